#include "log/dedupe_map.h"

#include <gtest/gtest.h>

#include <map>

#include "base/prng.h"

namespace tailrace::log {
namespace {

TEST(DedupeMapTest, TheNewestOffsetOfAKeyIsFound) {
  DedupeMap map(1 << 16);
  map.begin(1000, 100);
  EXPECT_EQ(map.find({1, 2}), -1);
  EXPECT_TRUE(map.put({1, 2}, 1000));
  EXPECT_TRUE(map.put({1, 3}, 1001));
  EXPECT_TRUE(map.put({1, 2}, 1007));
  EXPECT_EQ(map.find({1, 2}), 1007);
  EXPECT_EQ(map.find({1, 3}), 1001);
  EXPECT_EQ(map.size(), 2U);
}

TEST(DedupeMapTest, ANewPassKnowsNothingOfTheOneBefore) {
  DedupeMap map(1 << 16);
  map.begin(0, 1000);
  for (std::uint64_t i = 0; i < 500; ++i) EXPECT_TRUE(map.put({i, i}, static_cast<int>(i)));
  map.begin(0, 10);
  EXPECT_EQ(map.size(), 0U);
  for (std::uint64_t i = 0; i < 500; ++i) EXPECT_EQ(map.find({i, i}), -1);
}

TEST(DedupeMapTest, FullIsAnAnswerAndKnownKeysStillMove) {
  DedupeMap map(64 * DedupeMap::slot_bytes);
  map.begin(0, 1'000'000);
  std::uint64_t count = 0;
  while (map.put({count, 0}, static_cast<std::int64_t>(count))) ++count;
  EXPECT_EQ(count, 48U);
  EXPECT_EQ(map.capacity(), 48U);
  EXPECT_TRUE(map.put({7, 0}, 999));
  EXPECT_EQ(map.find({7, 0}), 999);
  EXPECT_EQ(map.find({48, 0}), -1);
}

TEST(DedupeMapTest, AnOffsetTooFarFromTheFirstIsRefused) {
  DedupeMap map(1 << 16);
  map.begin(5, 10);
  EXPECT_TRUE(map.put({1, 1}, 5 + INT64_C(0xffff'ffff)));
  EXPECT_FALSE(map.put({2, 2}, 6 + INT64_C(0xffff'ffff)));
  EXPECT_EQ(map.find({1, 1}), 5 + INT64_C(0xffff'ffff));
}

TEST(DedupeMapTest, DoesWhatAMapDoes) {
  Prng prng(3, "dedupe map");
  DedupeMap map(1 << 18);
  for (int pass = 0; pass < 20; ++pass) {
    std::map<std::uint64_t, std::int64_t> expected;
    const std::uint64_t records = prng.below(5000);
    map.begin(100, records);
    for (std::uint64_t i = 0; i < records; ++i) {
      const std::uint64_t key = prng.below(2000);
      const auto offset = static_cast<std::int64_t>(100 + i);
      ASSERT_TRUE(map.put({key % 8, key}, offset));
      expected[key] = offset;
    }
    for (std::uint64_t key = 0; key < 2000; ++key) {
      const auto at = expected.find(key);
      ASSERT_EQ(map.find({key % 8, key}), at == expected.end() ? -1 : at->second);
    }
  }
}

}  // namespace
}  // namespace tailrace::log
