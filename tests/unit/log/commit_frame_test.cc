#include "log/commit_frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/crc32c.h"
#include "support/raw_batch.h"

namespace tailrace::log {
namespace {

PartitionKey key_of(std::uint8_t topic) {
  PartitionKey key{.partition = 7, .incarnation = 3};
  key.topic.bytes.fill(topic);
  return key;
}

struct Built {
  std::vector<std::byte> bytes;
  FrameHeader header;
  std::vector<Entry> entries;
};

// A frame with a batch, a tail and a log start.
Built build_frame() {
  Built built;
  const auto batch =
      test::make_raw_batch({.base_offset = 40, .record_count = 3, .leader_epoch = 2});
  const std::string tail = "the last partial block";
  built.entries = {
      {.kind = EntryKind::tail, .key = key_of(1), .base_offset = 10, .segment_base = 10,
       .segment_pos = 4096, .payload_pos = 64,
       .payload_bytes = static_cast<std::uint32_t>(tail.size()),
       .payload_crc = crc32c(as_bytes(tail))},
      {.kind = EntryKind::batch, .key = key_of(1), .base_offset = 40, .leader_epoch = 2,
       .last_offset_delta = 2, .segment_base = 10, .segment_pos = 4118,
       .payload_pos = static_cast<std::uint32_t>(64 + tail.size()),
       .payload_bytes = static_cast<std::uint32_t>(batch.size()),
       .payload_crc = record::parse_header(batch)->crc},
      {.kind = EntryKind::log_start, .key = key_of(2), .base_offset = 5,
       .payload_pos = static_cast<std::uint32_t>(64 + tail.size() + batch.size())}};
  built.header.wal.bytes.fill(9);
  built.header.seq = 12;
  built.header.durable_seq = 10;
  built.header.previous_crc = 0xabcd;
  built.header.payload_bytes = static_cast<std::uint32_t>(tail.size() + batch.size());
  built.header.entry_count = 3;
  built.header.frame_bytes = frame_size(built.header.payload_bytes, 3);
  built.bytes.assign(built.header.frame_bytes, std::byte{0xee});
  std::memcpy(built.bytes.data() + 64, tail.data(), tail.size());
  std::memcpy(built.bytes.data() + 64 + tail.size(), batch.data(), batch.size());
  built.header.header_crc = seal_frame(built.bytes, built.header, built.entries);
  return built;
}

TEST(CommitFrameTest, what_was_sealed_is_read_back) {
  const Built built = build_frame();
  const Result<FrameHeader> header = parse_frame_header(built.bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->wal, built.header.wal);
  EXPECT_EQ(header->seq, 12U);
  EXPECT_EQ(header->durable_seq, 10U);
  EXPECT_EQ(header->previous_crc, 0xabcdU);
  EXPECT_EQ(header->frame_bytes, 4096U);
  EXPECT_EQ(header->header_crc, built.header.header_crc);
  ASSERT_TRUE(check_frame(built.bytes, *header));
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Entry entry = frame_entry(built.bytes, *header, i);
    const Entry& expected = built.entries[i];
    EXPECT_EQ(entry.kind, expected.kind);
    EXPECT_EQ(entry.key, expected.key);
    EXPECT_EQ(entry.base_offset, expected.base_offset);
    EXPECT_EQ(entry.leader_epoch, expected.leader_epoch);
    EXPECT_EQ(entry.last_offset_delta, expected.last_offset_delta);
    EXPECT_EQ(entry.segment_base, expected.segment_base);
    EXPECT_EQ(entry.segment_pos, expected.segment_pos);
    EXPECT_EQ(entry.payload_pos, expected.payload_pos);
    EXPECT_EQ(entry.payload_bytes, expected.payload_bytes);
    EXPECT_EQ(entry.payload_crc, expected.payload_crc);
  }
}

TEST(CommitFrameTest, the_padding_is_zeros) {
  const Built built = build_frame();
  const std::size_t used = 64 + built.header.payload_bytes + 3 * frame_entry_bytes;
  for (std::size_t i = used; i < built.bytes.size(); ++i) EXPECT_EQ(built.bytes[i], std::byte{0});
}

TEST(CommitFrameTest, every_flipped_bit_outside_the_padding_is_found) {
  Built built = build_frame();
  const std::size_t used = 64 + built.header.payload_bytes + 3 * frame_entry_bytes;
  for (std::size_t bit = 0; bit < used * 8; ++bit) {
    const std::byte mask = std::byte{1} << static_cast<int>(bit % 8);
    built.bytes[bit / 8] ^= mask;
    const Result<FrameHeader> header = parse_frame_header(built.bytes);
    const bool accepted = header && check_frame(built.bytes, *header);
    EXPECT_FALSE(accepted) << "bit " << bit;
    built.bytes[bit / 8] ^= mask;
  }
}

TEST(CommitFrameTest, an_unknown_version_is_named) {
  Built built = build_frame();
  built.bytes[4] = std::byte{2};
  const std::uint32_t crc = crc32c(Bytes(built.bytes).first(60));
  std::memcpy(built.bytes.data() + 60, &crc, 4);
  EXPECT_EQ(parse_frame_header(built.bytes).error(), (Error{Errc::unsupported, 2}));
}

TEST(CommitFrameTest, zeros_are_no_frame) {
  const std::vector<std::byte> zeros(4096);
  EXPECT_EQ(parse_frame_header(zeros).error().code, Errc::malformed);
}

TEST(CommitFrameTest, sizes_are_whole_blocks) {
  EXPECT_EQ(frame_size(0, 1), 4096U);
  EXPECT_EQ(frame_size(4096 - 64 - 72, 1), 4096U);
  EXPECT_EQ(frame_size(4096 - 64 - 71, 1), 8192U);
}

}  // namespace
}  // namespace tailrace::log
