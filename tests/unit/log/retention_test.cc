#include "log/retention.h"

#include <gtest/gtest.h>

#include <vector>

namespace tailrace::log {
namespace {

// Four segments of 100 bytes and ten offsets, one second apart.
std::vector<SegmentInfo> four_segments() {
  std::vector<SegmentInfo> segments;
  for (int i = 0; i < 4; ++i) {
    segments.push_back({.base_offset = i * 10,
                        .end_offset = i * 10 + 10,
                        .size_bytes = 100,
                        .max_timestamp = 1000 + i * 1000,
                        .created_ms = 1000 + i * 1000});
  }
  return segments;
}

std::size_t deleted(RetentionRule rule, std::int64_t wall_ms = 0, std::int64_t log_start = 0) {
  return segments_to_delete(four_segments(), log_start, rule, wall_ms);
}

TEST(Retention, without_a_limit_everything_stays) { EXPECT_EQ(deleted({}, INT64_MAX), 0U); }

TEST(Retention, by_size_only_as_long_as_the_limit_is_still_filled) {
  EXPECT_EQ(deleted({.retention_bytes = 400}), 0U);
  EXPECT_EQ(deleted({.retention_bytes = 301}), 0U);  // 300 would be left: less than asked for.
  EXPECT_EQ(deleted({.retention_bytes = 300}), 1U);
  EXPECT_EQ(deleted({.retention_bytes = 150}), 2U);
  EXPECT_EQ(deleted({.retention_bytes = 1000}), 0U);
}

TEST(Retention, the_active_segment_never_goes) {
  EXPECT_EQ(deleted({.retention_bytes = 0}), 3U);
  EXPECT_EQ(deleted({.retention_ms = 0}, 1'000'000), 3U);
  EXPECT_EQ(deleted({}, 0, 1'000'000), 3U);
}

TEST(Retention, by_age_of_the_newest_record) {
  EXPECT_EQ(deleted({.retention_ms = 1000}, 2000), 0U);  // Exactly as old as allowed.
  EXPECT_EQ(deleted({.retention_ms = 1000}, 2001), 1U);
  EXPECT_EQ(deleted({.retention_ms = 1000}, 3001), 2U);
}

TEST(Retention, by_age_stops_at_the_first_young_segment) {
  std::vector<SegmentInfo> segments = four_segments();
  segments[0].max_timestamp = 1'000'000;
  EXPECT_EQ(segments_to_delete(segments, 0, {.retention_ms = 1}, 50'000), 0U);
}

TEST(Retention, records_without_timestamps_are_as_old_as_their_file) {
  std::vector<SegmentInfo> segments = four_segments();
  segments[0].max_timestamp = -1;
  EXPECT_EQ(segments_to_delete(segments, 0, {.retention_ms = 1000}, 2000), 0U);
  EXPECT_EQ(segments_to_delete(segments, 0, {.retention_ms = 1000}, 2001), 1U);
}

TEST(Retention, what_delete_records_passed_goes_whatever_the_policy) {
  const RetentionRule compact{.delete_policy = false, .retention_ms = 0, .retention_bytes = 0};
  EXPECT_EQ(deleted(compact, 1'000'000), 0U);
  EXPECT_EQ(deleted(compact, 1'000'000, 9), 0U);
  EXPECT_EQ(deleted(compact, 1'000'000, 10), 1U);
  EXPECT_EQ(deleted(compact, 1'000'000, 29), 2U);
}

TEST(Retention, the_rules_add_up_from_the_front) {
  // One by log start; of the 300 bytes left one by size; the third by age.
  EXPECT_EQ(deleted({.retention_ms = 1000, .retention_bytes = 200}, 4001, 10), 3U);
}

TEST(Retention, no_segments_no_deletion) {
  EXPECT_EQ(segments_to_delete({}, 100, {.retention_bytes = 0}, 0), 0U);
}

SegmentInfo active(std::uint64_t size_bytes) {
  return {.base_offset = 5, .end_offset = 15, .size_bytes = size_bytes, .created_ms = 1000};
}

TEST(Retention, the_records_of_the_active_segment_go_by_age_alone) {
  const std::vector<SegmentInfo> segments = four_segments();
  const auto expired = [&](RetentionRule rule, std::int64_t wall_ms, std::size_t before = 3) {
    return active_has_expired(segments, before, rule, wall_ms);
  };
  EXPECT_FALSE(expired({.retention_ms = 1000}, 5000));
  EXPECT_TRUE(expired({.retention_ms = 1000}, 5001));
  EXPECT_FALSE(expired({.retention_ms = 1000}, 5001, 2));   // One before it stays.
  EXPECT_FALSE(expired({.retention_bytes = 0}, 5001));
  EXPECT_FALSE(expired({.delete_policy = false, .retention_ms = 1000}, 5001));
  EXPECT_FALSE(active_has_expired({}, 0, {.retention_ms = 0}, 5001));
  const std::vector<SegmentInfo> empty = {{.base_offset = 40, .end_offset = 40, .created_ms = 1}};
  EXPECT_FALSE(active_has_expired(empty, 0, {.retention_ms = 0}, 5001));
}

TEST(Roll, when_the_batch_would_exceed_the_size) {
  EXPECT_FALSE(should_roll(active(900), 100, 1000, 1000, 1000));
  EXPECT_TRUE(should_roll(active(901), 100, 1000, 1000, 1000));
}

TEST(Roll, an_empty_segment_takes_any_batch) {
  EXPECT_FALSE(should_roll(active(0), 5000, 1000, 1000, 1'000'000));
}

TEST(Roll, when_older_than_allowed) {
  EXPECT_FALSE(should_roll(active(1), 1, 1000, 500, 1500));
  EXPECT_TRUE(should_roll(active(1), 1, 1000, 500, 1501));
}

TEST(Roll, positions_and_offsets_stay_within_31_bits) {
  EXPECT_FALSE(should_roll(active(INT32_MAX - 1), 1, INT64_MAX, 1000, 1000));
  EXPECT_TRUE(should_roll(active(INT32_MAX), 1, INT64_MAX, 1000, 1000));
  SegmentInfo long_one = active(10);
  long_one.end_offset = long_one.base_offset + INT32_MAX + std::int64_t{1};
  EXPECT_TRUE(should_roll(long_one, 1, 1000, 1000, 1000));
}

}  // namespace
}  // namespace tailrace::log
