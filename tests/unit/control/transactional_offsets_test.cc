#include "control/transactional_offsets.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

OffsetRecord at(std::int64_t offset) { return {.offset = offset}; }

TEST(TransactionalOffsets, TheNewestOfAProducerForOneKeyCounts) {
  TransactionalOffsets offsets;
  offsets.add(7, {"t", 0}, at(5), 1);
  offsets.add(7, {"t", 0}, at(6), 2);
  offsets.add(7, {"t", 1}, at(9), 2);
  offsets.add(8, {"t", 0}, at(1), 3);
  EXPECT_EQ(offsets.size(), 4U) << "the one before, too, until the newer is durable";
  EXPECT_TRUE(offsets.contains("t", 1));
  EXPECT_FALSE(offsets.contains("t", 2));
  offsets.keep(7, 2, 44);
  EXPECT_EQ(offsets.size(), 3U);
  const auto taken = offsets.take(7);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].record.offset, 6);
  EXPECT_EQ(taken[0].record.order, 44U);
  EXPECT_TRUE(offsets.contains("t", 0)) << "another producer's";
  EXPECT_TRUE(offsets.take(7).empty());
}

TEST(TransactionalOffsets, WhatWasNotKeptIsForgotten) {
  TransactionalOffsets offsets;
  offsets.add(7, {"t", 0}, at(5), 1);
  offsets.add(7, {"t", 1}, at(5), 1);
  offsets.add(7, {"t", 1}, at(6), 2);
  offsets.forget(7, 1);
  EXPECT_FALSE(offsets.contains("t", 0));
  EXPECT_TRUE(offsets.contains("t", 1)) << "written once more since";
  offsets.forget(7, 2);
  EXPECT_TRUE(offsets.empty());
  EXPECT_EQ(offsets.memory_bytes(), 0U);
  EXPECT_EQ(offsets.size(), 0U);
}

TEST(TransactionalOffsets, WhatIsDurableStaysWhenALaterWriteFails) {
  TransactionalOffsets offsets;
  offsets.add(7, {"t", 0}, at(5), 1);
  offsets.keep(7, 1, 44);
  offsets.add(7, {"t", 0}, at(6), 2);
  offsets.add(7, {"t", 0}, at(7), 3);
  offsets.forget(7, 3);
  offsets.forget(7, 2);
  const auto taken = offsets.take(7);
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].record.offset, 5);
  EXPECT_EQ(taken[0].record.order, 44U);
  EXPECT_EQ(offsets.memory_bytes(), 0U);
}

}  // namespace
}  // namespace tailrace::control
