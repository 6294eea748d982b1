#include "log/index.h"

#include <gtest/gtest.h>

#include "base/aligned.h"
#include "base/prng.h"

namespace tailrace::log {
namespace {

constexpr std::uint32_t interval_bytes = 100;

Index three_entries() {
  Index index(interval_bytes);
  index.on_batch(0, 0, 50);
  index.on_batch(5, 60, 70);
  index.on_batch(9, 120, 60);   // 120 bytes from the front: the first entry.
  index.on_batch(12, 180, 90);
  index.on_batch(20, 220, 80);  // 100 bytes further.
  index.on_batch(30, 1000, 95);
  return index;
}

TEST(Index, has_an_entry_once_enough_bytes_have_come) {
  const std::vector<IndexEntry> wanted = {{9, 120, 70}, {20, 220, 90}, {30, 1000, 90}};
  EXPECT_EQ(three_entries().entries(), wanted);
}

TEST(Index, finds_the_last_entry_at_or_before_an_offset) {
  const Index index = three_entries();
  EXPECT_EQ(index.at_or_before(8).base_offset, -1);
  EXPECT_EQ(index.at_or_before(8).segment_pos, 0U);
  EXPECT_EQ(index.at_or_before(9).segment_pos, 120U);
  EXPECT_EQ(index.at_or_before(19).segment_pos, 120U);
  EXPECT_EQ(index.at_or_before(INT64_MAX).segment_pos, 1000U);
}

TEST(Index, never_skips_a_batch_with_the_timestamp) {
  const Index index = three_entries();
  EXPECT_EQ(index.before_timestamp(70).base_offset, -1);  // Offset 5 has it.
  EXPECT_EQ(index.before_timestamp(71).base_offset, 9);
  EXPECT_EQ(index.before_timestamp(90).base_offset, 9);
  EXPECT_EQ(index.before_timestamp(91).base_offset, 30);  // The last of two that are equal.
}

TEST(Index, a_batch_told_again_changes_nothing) {
  Index index = three_entries();
  const auto before = index.entries();
  index.on_batch(20, 220, 80);
  index.on_batch(30, 1000, 95);
  EXPECT_EQ(index.entries(), before);
}

TEST(Index, comes_back_from_its_file_and_goes_on) {
  Index index = three_entries();
  std::vector<std::byte> bytes;
  index.encode(1060, bytes);
  EXPECT_EQ(bytes.size() % disk_block_bytes, 0U);
  auto decoded = Index::decode(bytes, interval_bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->covered_bytes, 1060U);
  EXPECT_EQ(decoded->index.entries(), index.entries());
  index.on_batch(40, 1200, 1);
  decoded->index.on_batch(40, 1200, 1);
  EXPECT_EQ(decoded->index.entries(), index.entries());
  EXPECT_EQ(decoded->index.entries().back().max_timestamp_before, 95);
}

TEST(Index, an_empty_one_has_a_file_too) {
  std::vector<std::byte> bytes;
  Index(interval_bytes).encode(7, bytes);
  const auto decoded = Index::decode(bytes, interval_bytes);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->index.entries().empty());
}

TEST(Index, what_is_no_index_is_told_apart) {
  std::vector<std::byte> bytes;
  three_entries().encode(1060, bytes);
  const auto error_with = [&](std::size_t pos, std::byte flip) {
    std::vector<std::byte> bad = bytes;
    bad[pos] ^= flip;
    const auto decoded = Index::decode(bad, interval_bytes);
    return decoded ? "none" : to_string(decoded.error().code);
  };
  EXPECT_STREQ(error_with(0, std::byte{1}), "malformed");
  EXPECT_STREQ(error_with(8, std::byte{2}), "unsupported");
  EXPECT_STREQ(error_with(15, std::byte{0x80}), "truncated");  // Two thousand million entries.
  EXPECT_STREQ(error_with(12, std::byte{1}), "corrupt");
  EXPECT_STREQ(error_with(17, std::byte{1}), "corrupt");
  EXPECT_STREQ(error_with(25, std::byte{1}), "corrupt");
  EXPECT_STREQ(error_with(70, std::byte{1}), "corrupt");
  EXPECT_STREQ(error_with(2000, std::byte{1}), "none");  // Padding.
  EXPECT_EQ(Index::decode({}, interval_bytes).error().code, Errc::truncated);
  EXPECT_EQ(Index::decode(Bytes(bytes).first(63), interval_bytes).error().code, Errc::truncated);
  EXPECT_EQ(Index::decode(Bytes(bytes).first(64), interval_bytes).error().code, Errc::truncated);
}

// A right CRC over nonsense: entries behind what is covered.
TEST(Index, entries_have_to_make_sense) {
  std::vector<std::byte> bytes;
  three_entries().encode(500, bytes);
  EXPECT_EQ(Index::decode(bytes, interval_bytes).error().code, Errc::malformed);
}

TEST(Index, random_batches_searched_in_every_way) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed, "index");
    struct Batch {
      std::int64_t base_offset;
      std::uint64_t pos;
      std::int64_t timestamp;
    };
    std::vector<Batch> batches;
    Index index(interval_bytes);
    std::int64_t offset = static_cast<std::int64_t>(prng.below(1000));
    std::uint64_t pos = 0;
    for (int i = 0; i < 300; ++i) {
      batches.push_back({offset, pos, static_cast<std::int64_t>(prng.below(100)) + i * 3});
      index.on_batch(offset, pos, batches.back().timestamp);
      offset += static_cast<std::int64_t>(prng.between(1, 10));
      pos += prng.between(61, 200);
    }
    for (int i = 0; i < 300; ++i) {
      const Batch& target = batches[prng.below(batches.size())];
      const IndexEntry by_offset = index.at_or_before(target.base_offset);
      ASSERT_LE(by_offset.base_offset, target.base_offset);
      ASSERT_LT(target.pos - by_offset.segment_pos, interval_bytes + 200);  // It is near.
      const IndexEntry by_time = index.before_timestamp(target.timestamp);
      for (const Batch& batch : batches) {
        if (batch.pos >= by_time.segment_pos) break;
        ASSERT_LT(batch.timestamp, target.timestamp);
      }
      for (const IndexEntry& entry : index.entries()) {  // None further on would do.
        if (entry.segment_pos > by_time.segment_pos) {
          ASSERT_GE(entry.max_timestamp_before, target.timestamp);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tailrace::log
