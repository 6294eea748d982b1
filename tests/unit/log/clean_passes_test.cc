#include "log/clean_passes.h"

#include <gtest/gtest.h>

namespace tailrace::log {
namespace {

constexpr std::int64_t retention_ms = 16'000;

void add(CleanPasses& passes, std::int64_t end, std::int64_t wall_ms,
         std::vector<std::uint64_t> waiting) {
  passes.add(end, wall_ms, retention_ms, waiting);
}

TEST(CleanPassesTest, TombstonesStayFromTheirFirstPassOn) {
  CleanPasses passes;
  EXPECT_EQ(passes.end_offset(), 0);
  EXPECT_EQ(passes.expired_end(retention_ms, 1'000'000), 0);
  add(passes, 100, 50'000, {3});
  EXPECT_EQ(passes.end_offset(), 100);
  EXPECT_EQ(passes.expired_end(retention_ms, 50'000 + retention_ms - 1), 0);
  EXPECT_FALSE(passes.has_expired(retention_ms, 50'000 + retention_ms - 1));
  EXPECT_EQ(passes.expired_end(retention_ms, 50'000 + retention_ms), 100);
  EXPECT_TRUE(passes.has_expired(retention_ms, 50'000 + retention_ms));
  // Cleaned again: the first time still counts.
  add(passes, 200, 60'000, {2, 1});
  EXPECT_EQ(passes.expired_end(retention_ms, 50'000 + retention_ms), 100);
  EXPECT_EQ(passes.expired_end(retention_ms, 60'000 + retention_ms), 200);
}

TEST(CleanPassesTest, AnotherRetentionHoldsForWhatIsThere) {
  CleanPasses passes;
  add(passes, 100, 50'000, {3});
  EXPECT_EQ(passes.expired_end(0, 50'000), 100);
  EXPECT_EQ(passes.expired_end(INT64_MAX, INT64_MAX), 0);
}

TEST(CleanPassesTest, PassesCloseToEachOtherAreOneAndTheLaterCounts) {
  CleanPasses passes;
  add(passes, 100, 50'000, {1});
  add(passes, 200, 50'900, {1, 1});
  EXPECT_EQ(passes.passes(), (std::vector<CleanPass>{{200, 50'000, 50'900, 2}}));
  EXPECT_EQ(passes.expired_end(retention_ms, 50'000 + retention_ms), 0);
  EXPECT_EQ(passes.expired_end(retention_ms, 50'900 + retention_ms), 200);
}

TEST(CleanPassesTest, APassEveryMomentDoesNotKeepThemForEver) {
  CleanPasses passes;
  std::int64_t wall_ms = 0;
  for (std::int64_t i = 1; i <= 2000; ++i) {
    wall_ms = i * 100;
    const std::int64_t expired = passes.expired_end(retention_ms, wall_ms);
    std::vector<std::uint64_t> waiting(passes.size() + 1, 1);
    for (std::size_t p = 0; p < passes.size(); ++p) {
      if (passes.passes()[p].end_offset <= expired) waiting[p] = 0;
    }
    passes.add(i * 10, wall_ms, retention_ms, waiting);
    EXPECT_LE(passes.size(), 20U);
  }
  const std::int64_t late_ms = retention_ms + retention_ms / 8;
  for (const CleanPass& pass : passes.passes()) EXPECT_GE(pass.first_ms, wall_ms - late_ms);
}

TEST(CleanPassesTest, WhatHasNothingLeftIsNotRemembered) {
  CleanPasses passes;
  add(passes, 100, 50'000, {4});
  add(passes, 200, 60'000, {0, 4});
  EXPECT_EQ(passes.passes(), (std::vector<CleanPass>{{200, 60'000, 60'000, 4}}));
  add(passes, 200, 99'000, {0, 0});
  EXPECT_EQ(passes.end_offset(), 200);
  EXPECT_FALSE(passes.has_expired(retention_ms, INT64_MAX));
}

TEST(CleanPassesTest, TheListIsBounded) {
  CleanPasses passes;
  for (std::int64_t i = 1; i <= 500; ++i) {
    const std::vector<std::uint64_t> waiting(passes.size() + 1, 1);
    passes.add(i, i * 10, INT64_MAX, waiting);
  }
  EXPECT_LE(passes.size(), CleanPasses::passes_max);
  EXPECT_EQ(passes.end_offset(), 500);
}

TEST(CleanPassesTest, AClockThatJumpsIsNoTrouble) {
  CleanPasses passes;
  add(passes, 100, INT64_MAX, {1});
  add(passes, 200, INT64_MIN, {1, 1});
  EXPECT_EQ(passes.expired_end(retention_ms, INT64_MAX), 0);
  EXPECT_EQ(passes.end_offset(), 200);
}

TEST(CleanPassesTest, OffsetsFindTheirPass) {
  CleanPasses passes;
  add(passes, 100, 50'000, {1});
  add(passes, 200, 60'000, {1, 1});
  EXPECT_EQ(passes.index_of(0), 0U);
  EXPECT_EQ(passes.index_of(99), 0U);
  EXPECT_EQ(passes.index_of(100), 1U);
  EXPECT_EQ(passes.index_of(200), 2U);
}

TEST(CleanPassesTest, ACheckpointBringsThemBack) {
  CleanPasses passes;
  passes.restore({{100, 1, 2, 3}, {90, 1, 2, 3}, {120, 4, 5, 6}});
  EXPECT_EQ(passes.passes(), (std::vector<CleanPass>{{100, 1, 2, 3}, {120, 4, 5, 6}}));
  passes.restore({});
  EXPECT_EQ(passes.end_offset(), 0);
}

}  // namespace
}  // namespace tailrace::log
