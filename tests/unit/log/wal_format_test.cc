#include "log/wal_format.h"

#include <gtest/gtest.h>

#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

Uuid some_id() {
  Prng prng(7);
  return random_uuid(prng);
}

class WalFormatTest : public testing::Test {
 protected:
  static Limits limits() {
    Limits limits;
    limits.wal_bytes = (std::uint64_t{5} << 20) + 4096;
    return limits;
  }
  std::uint64_t file_bytes() const { return limits_.wal_bytes + 4096; }
  Result<WalFormatBlock> block() {
    return parse_wal_format(Bytes(disk_.bytes("wal/0.wal")).first(4096));
  }
  void run_to_end() {
    for (format_.step(); !format_.done() && !format_.failed(); format_.step()) {
      disk_.take_all(queue_);
      ASSERT_GT(disk_.waiting_count(), 0U);
      format_.on_disk_done(disk_.complete_any(prng_));
    }
  }
  Limits limits_ = limits();
  OpQueue queue_;
  test::FakeDisk disk_;
  Prng prng_{1};
  WalFormat format_{limits_, "wal/0.wal", some_id(), queue_};
};

TEST_F(WalFormatTest, leaves_zeros_behind_a_valid_block_synced_and_closed) {
  disk_.put("wal/0.wal", std::vector<std::byte>(100'000, std::byte{0xff}));
  run_to_end();
  ASSERT_TRUE(format_.done());
  EXPECT_EQ(format_.done_bytes(), limits_.wal_bytes);
  EXPECT_EQ(disk_.open_count(), 0U);
  EXPECT_EQ(disk_.waiting_count(), 0U);
  const auto& synced = disk_.synced_bytes("wal/0.wal");
  ASSERT_EQ(synced.size(), file_bytes());
  for (std::size_t i = 4096; i < synced.size(); ++i) ASSERT_EQ(synced[i], std::byte{0}) << i;
  ASSERT_TRUE(block());
  EXPECT_EQ(block()->wal, some_id());
  EXPECT_EQ(block()->ring_bytes, limits_.wal_bytes);
}

TEST_F(WalFormatTest, several_writes_are_under_way_and_never_more_than_four) {
  format_.step();
  disk_.take_all(queue_);
  format_.on_disk_done(disk_.complete(0));  // open
  disk_.take_all(queue_);
  EXPECT_EQ(disk_.waiting_count(), 4U);
  format_.on_disk_done(disk_.complete(2));
  disk_.take_all(queue_);
  EXPECT_EQ(disk_.waiting_count(), 4U);
}

TEST_F(WalFormatTest, a_power_cut_at_any_time_leaves_no_half_format_that_looks_whole) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Prng prng(seed);
    test::FakeDisk disk;
    OpQueue queue;
    // Noise that a half-made WAL would show.
    disk.put("w", std::vector<std::byte>(file_bytes(), std::byte{0xaa}));
    WalFormat format(limits_, "w", some_id(), queue);
    for (std::uint64_t turns = prng.below(14); turns > 0 && !format.done(); --turns) {
      format.step();
      disk.take_all(queue);
      format.on_disk_done(disk.complete_any(prng));
    }
    disk.take_all(queue);
    disk.crash(prng);
    if (!parse_wal_format(Bytes(disk.bytes("w")).first(4096))) continue;
    const auto& bytes = disk.bytes("w");
    const auto noise = std::find(bytes.begin() + 4096, bytes.end(), std::byte{0xaa});
    EXPECT_EQ(noise, bytes.end()) << "seed " << seed;
  }
}

TEST_F(WalFormatTest, a_full_disk_is_reported_after_the_file_is_closed) {
  format_.step();
  disk_.take_all(queue_);
  format_.on_disk_done(disk_.complete(0));
  disk_.take_all(queue_);
  disk_.fail_next(DiskOpKind::write, ENOSPC);
  run_to_end();
  ASSERT_TRUE(format_.failed());
  EXPECT_EQ(format_.error_number(), ENOSPC);
  EXPECT_EQ(disk_.open_count(), 0U);
  EXPECT_FALSE(block());
}

TEST_F(WalFormatTest, a_short_write_and_a_failed_sync_are_failures) {
  disk_.cut_next(DiskOpKind::write, 4096);
  run_to_end();
  EXPECT_TRUE(format_.failed());
  EXPECT_EQ(format_.error_number(), ENOSPC);

  WalFormat again(limits_, "wal/0.wal", some_id(), queue_);
  disk_.fail_next(DiskOpKind::sync, EIO);
  again.step();
  disk_.run(queue_, [&](const DiskDone& done) { again.on_disk_done(done); });
  EXPECT_TRUE(again.failed());
  EXPECT_EQ(again.error_number(), EIO);
}

TEST_F(WalFormatTest, a_file_that_cannot_be_opened_is_a_failure) {
  disk_.fail_next(DiskOpKind::open, EACCES);
  run_to_end();
  EXPECT_TRUE(format_.failed());
  EXPECT_EQ(format_.error_number(), EACCES);
}

TEST(WalFormatBlockTest, damage_and_newer_versions_are_told_apart) {
  AlignedBuffer block(4096);
  EXPECT_EQ(parse_wal_format(block.bytes()).error().code, Errc::malformed);
  EXPECT_EQ(parse_wal_format(block.bytes().first(100)).error().code, Errc::malformed);
  store_wal_format(block.bytes(), {.wal = some_id(), .ring_bytes = 8192});
  ASSERT_TRUE(parse_wal_format(block.bytes()));
  for (std::size_t i = 4; i < 36; ++i) {
    block.data()[i] ^= std::byte{4};
    EXPECT_EQ(parse_wal_format(block.bytes()).error().code, Errc::corrupt) << i;
    block.data()[i] ^= std::byte{4};
  }
  block.data()[4] = std::byte{2};
  const std::uint32_t crc = crc32c(block.bytes().first(32));
  std::memcpy(block.data() + 32, &crc, 4);
  EXPECT_EQ(parse_wal_format(block.bytes()).error(), (Error{Errc::unsupported, 2}));
}

}  // namespace
}  // namespace tailrace::log
