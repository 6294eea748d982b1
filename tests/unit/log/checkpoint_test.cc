#include "log/checkpoint.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>

#include "base/crc32c.h"
#include "log/little_endian.h"
#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

Checkpoint make_checkpoint(std::uint64_t seed, std::size_t partition_count = 3) {
  Prng prng(seed);
  Checkpoint checkpoint{.wal = random_uuid(prng), .number = seed};
  checkpoint.replay_from = {.seq = 9 + seed, .file_pos = 8192, .previous_crc = 77};
  for (std::size_t p = 0; p < partition_count; ++p) {
    PartitionCheckpoint partition;
    partition.key = {random_uuid(prng), static_cast<std::int32_t>(p), 4};
    partition.log_start = 10;
    partition.end_offset = 1000;
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(prng.below(4)); ++i) {
      partition.segments.push_back({.base_offset = i * 100, .end_offset = i * 100 + 100,
                                    .size_bytes = prng.next(), .max_timestamp = 5,
                                    .max_timestamp_offset = -1, .created_ms = 12,
                                    .generation = static_cast<std::uint32_t>(3 - i)});
    }
    partition.epochs.push_back({.epoch = 3, .start_offset = 10});
    ProducerState producer{.producer_id = 42, .epoch = 1, .batch_count = 2, .last_seen_ms = 99};
    producer.batches[0] = {1, 2, 3, 4, 5};
    producer.batches[1] = {6, 7, 8, 9, -1};
    producer.coordinator_epoch = 8;
    producer.transaction_start = 700;
    partition.producers.push_back(producer);
    partition.aborted = {{42, 100, 200, 150}, {43, 150, 300, 301}};
    partition.passes = {{300, 5, 6, 7}, {400, 8, 9, 0}};
    checkpoint.partitions.push_back(partition);
  }
  return checkpoint;
}

std::vector<std::byte> encoded(const Checkpoint& checkpoint) {
  std::vector<std::byte> bytes;
  encode_checkpoint(checkpoint, bytes);
  return bytes;
}

TEST(CheckpointTest, what_was_encoded_is_decoded) {
  const Checkpoint checkpoint = make_checkpoint(5);
  const auto bytes = encoded(checkpoint);
  EXPECT_EQ(bytes.size() % 4096, 0U);
  const Result<Checkpoint> decoded = decode_checkpoint(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->wal, checkpoint.wal);
  EXPECT_EQ(decoded->number, 5U);
  EXPECT_EQ(decoded->replay_from, checkpoint.replay_from);
  ASSERT_EQ(decoded->partitions.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    const PartitionCheckpoint& got = decoded->partitions[i];
    const PartitionCheckpoint& expected = checkpoint.partitions[i];
    EXPECT_EQ(got.key, expected.key);
    EXPECT_EQ(got.log_start, expected.log_start);
    EXPECT_EQ(got.end_offset, expected.end_offset);
    EXPECT_EQ(got.segments, expected.segments);
    EXPECT_EQ(got.epochs, expected.epochs);
    EXPECT_EQ(got.passes, expected.passes);
    ASSERT_EQ(got.producers.size(), 1U);
    EXPECT_EQ(got.producers[0].producer_id, 42);
    EXPECT_EQ(got.producers[0].batch_count, 2);
    EXPECT_EQ(got.producers[0].batches[1].last_offset, 9);
    EXPECT_EQ(got.producers[0].last_seen_ms, 99);
    EXPECT_EQ(got.producers[0].coordinator_epoch, 8);
    EXPECT_EQ(got.producers[0].transaction_start, 700);
    EXPECT_EQ(got.aborted, expected.aborted);
  }
  EXPECT_EQ(encoded(*decoded), bytes);
}

// As the version before compaction wrote it: one partition with one segment, one epoch.
std::vector<std::byte> version_1_with_a_segment() {
  std::vector<std::byte> bytes(24);
  const auto put = [&](auto value) {
    std::byte stored[sizeof value];
    store_le(stored, value);
    bytes.insert(bytes.end(), stored, stored + sizeof value);
  };
  for (int i = 0; i < 16; ++i) put(std::uint8_t{1});
  for (const std::uint64_t value : {7, 3, 4096}) put(value);  // number, seq, file_pos
  put(std::uint32_t{9});                                      // previous_crc
  put(std::uint32_t{1});                                      // partitions
  for (int i = 0; i < 16; ++i) put(std::uint8_t{2});
  put(std::int32_t{5});
  put(std::uint32_t{6});
  for (const std::int64_t value : {10, 1000}) put(value);     // log_start, end_offset
  for (const std::uint32_t count : {1, 1, 0}) put(count);     // segments, epochs, producers
  for (const std::int64_t value : {10, 1000, 5000, 77, 12, 13}) put(value);
  put(std::int32_t{4});
  put(std::int64_t{10});
  const std::size_t content_bytes = bytes.size() - 24;
  store_le(bytes.data(), std::uint32_t{0x5043'5254U});
  store_le(bytes.data() + 4, std::uint32_t{1});
  store_le(bytes.data() + 8, std::uint64_t{content_bytes});
  store_le(bytes.data() + 16, crc32c(Bytes(bytes).subspan(24)));
  store_le(bytes.data() + 20, crc32c(Bytes(bytes).first(20)));
  return bytes;
}

TEST(CheckpointTest, version_1_is_read_and_knows_no_passes) {
  const Result<Checkpoint> decoded = decode_checkpoint(version_1_with_a_segment());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->number, 7U);
  ASSERT_EQ(decoded->partitions.size(), 1U);
  const PartitionCheckpoint& partition = decoded->partitions[0];
  ASSERT_EQ(partition.segments.size(), 1U);
  EXPECT_EQ(partition.segments[0].created_ms, 13);
  EXPECT_EQ(partition.segments[0].generation, 0U);
  EXPECT_EQ(partition.epochs[0].epoch, 4);
  EXPECT_TRUE(partition.passes.empty());
}

// A checkpoint of version 1, byte for byte: one partition with one producer that sent one batch.
std::vector<std::byte> version_1_with_a_producer() {
  std::vector<std::byte> bytes(24);
  const auto put = [&](auto value) {
    const auto stored = std::bit_cast<std::array<std::byte, sizeof(value)>>(value);
    bytes.insert(bytes.end(), stored.begin(), stored.end());
  };
  const auto put_id = [&](std::uint8_t first) {
    put(first);
    for (int i = 1; i < 16; ++i) put(std::uint8_t{0});
  };
  put_id(5);
  put(std::uint64_t{12});   // number
  put(std::uint64_t{3});    // replay from: seq, position, CRC
  put(std::uint64_t{8192});
  put(std::uint32_t{77});
  put(std::uint32_t{1});    // partitions
  put_id(6);
  put(std::int32_t{2});
  put(std::uint32_t{4});
  put(std::int64_t{10});    // log start and end
  put(std::int64_t{90});
  put(std::uint32_t{0});    // segments, epochs, producers
  put(std::uint32_t{0});
  put(std::uint32_t{1});
  put(std::int64_t{42});
  put(std::int16_t{1});
  put(std::uint8_t{1});
  put(std::int64_t{99});
  put(std::int32_t{0});     // a batch: sequences, offsets, timestamp
  put(std::int32_t{4});
  put(std::int64_t{80});
  put(std::int64_t{84});
  put(std::int64_t{1234});
  const std::uint64_t content_bytes = bytes.size() - 24;
  const std::uint32_t magic = 0x5043'5254U;
  const std::uint32_t version = 1;
  std::memcpy(bytes.data(), &magic, 4);
  std::memcpy(bytes.data() + 4, &version, 4);
  std::memcpy(bytes.data() + 8, &content_bytes, 8);
  std::uint32_t crc = crc32c(Bytes(bytes).subspan(24));
  std::memcpy(bytes.data() + 16, &crc, 4);
  crc = crc32c(Bytes(bytes).first(20));
  std::memcpy(bytes.data() + 20, &crc, 4);
  return bytes;
}

TEST(CheckpointTest, version_1_is_read_and_knows_no_transactions) {
  const Result<Checkpoint> decoded = decode_checkpoint(version_1_with_a_producer());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->number, 12U);
  ASSERT_EQ(decoded->partitions.size(), 1U);
  const PartitionCheckpoint& partition = decoded->partitions[0];
  EXPECT_EQ(partition.end_offset, 90);
  EXPECT_TRUE(partition.aborted.empty());
  ASSERT_EQ(partition.producers.size(), 1U);
  EXPECT_EQ(partition.producers[0].producer_id, 42);
  EXPECT_EQ(partition.producers[0].batches[0].last_offset, 84);
  EXPECT_EQ(partition.producers[0].transaction_start, -1);
  EXPECT_EQ(partition.producers[0].coordinator_epoch, -1);
}

TEST(CheckpointTest, every_flipped_bit_and_every_cut_is_found) {
  auto bytes = encoded(make_checkpoint(6));
  std::uint64_t content_bytes;
  std::memcpy(&content_bytes, bytes.data() + 8, 8);
  const std::size_t used = 24 + content_bytes;
  for (std::size_t bit = 0; bit < used * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
    EXPECT_FALSE(decode_checkpoint(bytes)) << "bit " << bit;
    bytes[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
  }
  for (std::size_t size = 0; size < used; ++size) {
    EXPECT_FALSE(decode_checkpoint(Bytes(bytes).first(size))) << "size " << size;
  }
}

// A CRC is no shield against our own mistakes or a forger: with a right one in front, any content
// must still be refused or decoded without asking for more memory than the file could mean.
TEST(CheckpointTest, any_content_behind_a_right_crc_is_survived) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Prng prng(seed);
    auto bytes = encoded(make_checkpoint(seed, 1 + prng.below(3)));
    std::uint64_t content_bytes;
    std::memcpy(&content_bytes, bytes.data() + 8, 8);
    for (std::uint64_t hits = prng.between(1, 4); hits > 0; --hits) {
      const std::size_t at = 24 + prng.below(content_bytes);
      bytes[at] = prng.chance(1, 2) ? std::byte{0xff} : static_cast<std::byte>(prng.next());
    }
    std::uint32_t crc = crc32c(Bytes(bytes).subspan(24, content_bytes));
    std::memcpy(bytes.data() + 16, &crc, 4);
    crc = crc32c(Bytes(bytes).first(20));
    std::memcpy(bytes.data() + 20, &crc, 4);
    const Result<Checkpoint> decoded = decode_checkpoint(bytes);
    if (decoded) {
      EXPECT_EQ(encoded(*decoded), bytes) << "seed " << seed;
    }
  }
}

TEST(CheckpointTest, a_newer_version_is_named) {
  auto bytes = encoded(make_checkpoint(1));
  bytes[4] = std::byte{9};
  const std::uint32_t crc = crc32c(Bytes(bytes).first(20));
  std::memcpy(bytes.data() + 20, &crc, 4);
  EXPECT_EQ(decode_checkpoint(bytes).error(), (Error{Errc::unsupported, 9}));
}

class CheckpointWriterTest : public testing::Test {
 protected:
  void write(const std::string& path, const Checkpoint& checkpoint) {
    writer_.start(path, checkpoint);
    disk_.run(queue_, [this](const DiskDone& done) { writer_.on_disk_done(done); });
    ASSERT_FALSE(writer_.busy());
  }
  OpQueue queue_;
  test::FakeDisk disk_;
  CheckpointWriter writer_{queue_};
};

TEST_F(CheckpointWriterTest, a_checkpoint_is_synced_before_it_counts) {
  write("a", make_checkpoint(1, 4000));
  EXPECT_TRUE(writer_.succeeded());
  EXPECT_GT(disk_.count(DiskOpKind::write), 1U);  // In pieces.
  EXPECT_EQ(disk_.open_count(), 0U);
  EXPECT_EQ(decode_checkpoint(disk_.synced_bytes("a"))->partitions.size(), 4000U);
}

TEST_F(CheckpointWriterTest, a_smaller_one_may_be_written_over_a_larger_one) {
  write("a", make_checkpoint(1, 200));
  write("a", make_checkpoint(2, 1));
  EXPECT_EQ(decode_checkpoint(disk_.synced_bytes("a"))->number, 2U);
}

TEST_F(CheckpointWriterTest, each_failing_step_is_told_and_the_next_attempt_works) {
  for (const DiskOpKind kind : {DiskOpKind::open, DiskOpKind::write, DiskOpKind::sync}) {
    disk_.fail_next(kind, EIO);
    write("a", make_checkpoint(3));
    EXPECT_FALSE(writer_.succeeded());
    EXPECT_EQ(disk_.open_count(), 0U);
    write("a", make_checkpoint(4));
    EXPECT_TRUE(writer_.succeeded());
  }
  disk_.cut_next(DiskOpKind::write, 512);
  write("a", make_checkpoint(5));
  EXPECT_FALSE(writer_.succeeded());
}

TEST_F(CheckpointWriterTest, of_two_files_one_survives_every_power_cut) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Prng prng(seed);
    test::FakeDisk disk;
    OpQueue queue;
    CheckpointWriter writer(queue);
    const auto deliver = [&](const DiskDone& done) { writer.on_disk_done(done); };
    writer.start("a", make_checkpoint(10, 20));
    disk.run(queue, deliver);
    writer.start("b", make_checkpoint(11, 20));
    disk.run(queue, deliver);
    writer.start("a", make_checkpoint(12, 20));
    for (std::uint64_t steps = prng.below(4); steps > 0; --steps) {
      disk.take_all(queue);
      writer.on_disk_done(disk.complete(0));
    }
    disk.take_all(queue);
    disk.crash(prng);
    const Result<Checkpoint> a = decode_checkpoint(disk.bytes("a"));
    const Result<Checkpoint> b = decode_checkpoint(disk.bytes("b"));
    ASSERT_TRUE(b) << "seed " << seed;
    EXPECT_EQ(b->number, 11U);
    if (a) {
      EXPECT_TRUE(a->number == 10 || a->number == 12) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tailrace::log
