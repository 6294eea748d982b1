#include "record/batch_view.h"

#include <gtest/gtest.h>

#include <vector>

#include "record/batch_builder.h"

namespace tailrace::record {
namespace {

std::vector<std::byte> one_batch() {
  BatchBuilder builder(4096);
  builder.start({.base_offset = 40, .leader_epoch = 3});
  EXPECT_TRUE(builder.add({.timestamp = 1000, .key = "k", .value = "v"}));
  EXPECT_TRUE(builder.add({.timestamp = 1005, .value = "w"}));
  const Result<Bytes> made = builder.finish();
  return {made->begin(), made->end()};
}

TEST(BatchView, ReadsWhatWasWritten) {
  const auto bytes = one_batch();
  const Result<BatchView> batch = parse_batch(bytes);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->header.base_offset, 40);
  EXPECT_EQ(batch->header.last_offset(), 41);
  EXPECT_EQ(batch->header.leader_epoch, 3);
  EXPECT_EQ(batch->header.record_count, 2);
  EXPECT_EQ(batch->header.base_timestamp, 1000);
  EXPECT_EQ(batch->header.max_timestamp, 1005);
  EXPECT_EQ(batch->header.producer_id, -1);
  EXPECT_EQ(batch->bytes.size(), bytes.size());
  EXPECT_TRUE(crc_matches(batch->bytes));
}

TEST(BatchView, StoresAHeaderAsItWasRead) {
  auto bytes = one_batch();
  const Result<BatchHeader> header = parse_header(bytes);
  std::vector<std::byte> copy(header_bytes);
  store_header(copy, *header);
  EXPECT_TRUE(std::equal(copy.begin(), copy.end(), bytes.begin()));
}

TEST(BatchView, RefusesWhatCannotBeABatch) {
  auto bytes = one_batch();
  EXPECT_EQ(parse_header(Bytes(bytes).first(60)).error().code, Errc::truncated);
  EXPECT_EQ(parse_batch(Bytes(bytes).first(bytes.size() - 1)).error().code, Errc::truncated);
  auto other = bytes;
  other[16] = std::byte{1};
  EXPECT_EQ(parse_header(other).error().code, Errc::unsupported);
  other = bytes;
  store_be(other.data() + 8, std::int32_t{48});  // One byte less than the header needs.
  EXPECT_EQ(parse_header(other).error().code, Errc::malformed);
  other = bytes;
  store_be(other.data() + 57, std::int32_t{-1});
  EXPECT_EQ(parse_header(other).error().code, Errc::malformed);
  other = bytes;
  store_be(other.data() + 23, std::int32_t{-1});
  EXPECT_EQ(parse_header(other).error().code, Errc::malformed);
}

TEST(BatchView, OffsetAndEpochAreGivenWithoutANewCrc) {
  auto bytes = one_batch();
  set_base_offset(bytes, 1'000'000);
  set_leader_epoch(bytes, 9);
  EXPECT_TRUE(crc_matches(bytes));
  EXPECT_EQ(parse_header(bytes)->base_offset, 1'000'000);
  EXPECT_EQ(parse_header(bytes)->leader_epoch, 9);
}

TEST(BatchView, TheBrokersClockComesWithANewCrc) {
  auto bytes = one_batch();
  set_log_append_time(bytes, 5555);
  EXPECT_TRUE(crc_matches(bytes));
  EXPECT_TRUE(parse_header(bytes)->is_log_append_time());
  EXPECT_EQ(parse_header(bytes)->max_timestamp, 5555);
  set_max_timestamp(bytes, 7777);
  EXPECT_TRUE(crc_matches(bytes));
  EXPECT_EQ(parse_header(bytes)->max_timestamp, 7777);
}

TEST(BatchView, AFlippedBitIsSeen) {
  auto bytes = one_batch();
  for (std::size_t i = crc_start; i < bytes.size(); ++i) {
    bytes[i] ^= std::byte{4};
    EXPECT_FALSE(crc_matches(bytes)) << i;
    bytes[i] ^= std::byte{4};
  }
}

TEST(BatchView, SequencesWrapAfterTheLargestInt) {
  BatchHeader header;
  header.base_sequence = INT32_MAX;
  header.last_offset_delta = 0;
  EXPECT_EQ(header.last_sequence(), INT32_MAX);
  header.last_offset_delta = 1;
  EXPECT_EQ(header.last_sequence(), 0);
  header.base_sequence = INT32_MAX - 2;
  header.last_offset_delta = 5;
  EXPECT_EQ(header.last_sequence(), 2);
}

// A batch of one record as Kafka's Java producer writes it: value "hi", no key.
TEST(BatchView, ReadsKafkasOwnBytes) {
  constexpr unsigned char records[] = {0x10, 0, 0, 0, 0x01, 0x04, 'h', 'i', 0};
  std::vector<std::byte> bytes(header_bytes + sizeof records);
  std::memcpy(bytes.data() + header_bytes, records, sizeof records);
  BatchHeader header;
  header.batch_length = 49 + sizeof records;
  header.record_count = 1;
  store_header(bytes, header);
  seal_crc(bytes);

  BatchBuilder builder(200);
  builder.start();
  ASSERT_TRUE(builder.add({.timestamp = -1, .value = "hi"}));
  const Result<Bytes> made = builder.finish();
  ASSERT_EQ(made->size(), bytes.size());
  EXPECT_TRUE(std::equal(made->begin(), made->end(), bytes.begin()));
}

}  // namespace
}  // namespace tailrace::record
