#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/prng.h"

namespace tailrace {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.percentile(99), 0U);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(Histogram, BucketsFollowOneAnotherWithoutGap) {
  for (std::size_t i = 0; i + 1 < Histogram::bucket_count; ++i) {
    const std::uint64_t last = Histogram::last_value_of(i);
    ASSERT_EQ(Histogram::bucket_of(last), i);
    ASSERT_EQ(Histogram::bucket_of(last + 1), i + 1);
  }
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 200; ++value) histogram.record(value);
  EXPECT_EQ(histogram.percentile(50), 100U);
  EXPECT_EQ(histogram.percentile(99), 198U);
  EXPECT_EQ(histogram.percentile(100), 200U);
  EXPECT_EQ(histogram.percentile(0), 1U);
  EXPECT_EQ(histogram.min(), 1U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 100.5);
}

TEST(Histogram, PercentilesAreWithinOnePercentOfTheSortedValues) {
  Prng prng(7, "histogram");
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 50'000; ++i) {
    const std::uint64_t value = prng.next() >> prng.below(64);
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  EXPECT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.min(), values.front());
  EXPECT_EQ(histogram.max(), values.back());
  for (const double percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9}) {
    const auto rank = static_cast<std::size_t>(std::lround(percent * 500));
    const double exact = static_cast<double>(values[rank - 1]);
    const double found = static_cast<double>(histogram.percentile(percent));
    EXPECT_GE(found, exact) << percent;
    EXPECT_LE(found, exact * (1 + 1.0 / 128)) << percent;
  }
}

TEST(Histogram, MergingIsAsIfAllWereRecordedInOne) {
  Histogram one;
  Histogram two;
  SharedHistogram shared;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    one.record(i * 1000);
    (i % 2 == 0 ? two.record(i * 1000) : shared.record(i * 1000));
  }
  two.merge(shared);
  EXPECT_EQ(two.count(), one.count());
  EXPECT_EQ(two.sum(), one.sum());
  EXPECT_EQ(two.min(), one.min());
  EXPECT_EQ(two.max(), one.max());
  EXPECT_EQ(two.percentile(73), one.percentile(73));
  two.merge(Histogram());
  EXPECT_EQ(two.min(), one.min());
}

TEST(Histogram, ClearForgetsAll) {
  SharedHistogram histogram;
  histogram.record(UINT64_MAX, 3);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_EQ(histogram.percentile(50), UINT64_MAX);
  histogram.clear();
  EXPECT_EQ(histogram.count(), 0U);
  histogram.record(9);
  EXPECT_EQ(histogram.min(), 9U);
  EXPECT_EQ(histogram.max(), 9U);
}

}  // namespace
}  // namespace tailrace
