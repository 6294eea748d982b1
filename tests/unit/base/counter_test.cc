#include "base/counter.h"

#include <gtest/gtest.h>

#include <thread>

namespace tailrace {
namespace {

TEST(Counter, AddsAndCopiesItsValue) {
  Counter counter;
  counter.add();
  counter.add(41);
  EXPECT_EQ(counter.load(), 42U);
  Counter copy = counter;
  counter.add();
  EXPECT_EQ(copy.load(), 42U);
  copy = counter;
  EXPECT_EQ(copy.load(), 43U);
}

TEST(Gauge, GoesBothWays) {
  Gauge gauge;
  gauge.set(5);
  gauge.add(-7);
  EXPECT_EQ(gauge.load(), -2);
  const Gauge copy = gauge;
  EXPECT_EQ(copy.load(), -2);
}

TEST(Counter, AReaderNeverSeesItShrinkWhileItIsWritten) {
  Counter counter;
  constexpr std::uint64_t total = 200'000;
  std::thread writer([&] {
    for (std::uint64_t i = 0; i < total; ++i) counter.add();
  });
  std::uint64_t seen = 0;
  while (seen < total) {
    const std::uint64_t now = counter.load();
    ASSERT_GE(now, seen);
    seen = now;
  }
  writer.join();
  EXPECT_EQ(counter.load(), total);
}

}  // namespace
}  // namespace tailrace
