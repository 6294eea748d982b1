#include "runtime/space_watch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/log.h"

namespace tailrace::runtime {
namespace {

std::vector<std::string> lines;

struct SpaceWatchTest : testing::Test {
  SpaceWatchTest() {
    lines.clear();
    set_log_level(LogLevel::info);
    set_log_sink([](LogLevel, std::string_view, std::string_view line) {
      lines.emplace_back(line);
    });
  }
  ~SpaceWatchTest() override { set_log_sink(nullptr); }

  static SpaceWatch::Sight full() {
    return {.refuses = true, .free_bytes = 3 << 20, .free_bytes_min = 64 << 20};
  }
  static SpaceWatch::Sight roomy() {
    return {.refuses = false, .free_bytes = 300 << 20, .free_bytes_min = 64 << 20};
  }
  static Instant at(std::int64_t s) { return Instant{} + seconds(s); }

  std::atomic<int> refusing{0};
  SpaceWatch one{refusing};
  SpaceWatch two{refusing};
};

TEST_F(SpaceWatchTest, TheBeginningAndTheEndAreToldOnce) {
  one.look(roomy(), at(0));
  EXPECT_TRUE(lines.empty());
  for (int second = 1; second < 5; ++second) one.look(full(), at(second));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("3 MiB free, storage.free_bytes_min is 64 MiB"), std::string::npos);
  for (int second = 5; second < 20; ++second) one.look(roomy(), at(second));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[1].find("accepted again: 300 MiB free"), std::string::npos);
}

TEST_F(SpaceWatchTest, SpaceThatComesAndGoesIsOneTrouble) {
  for (int second = 0; second < 60; ++second) {
    one.look(second % 3 == 0 ? full() : roomy(), at(second));
  }
  EXPECT_EQ(lines.size(), 1U);
}

TEST_F(SpaceWatchTest, OfAllCoresTheFirstAndTheLastSpeak) {
  one.look(full(), at(0));
  two.look(full(), at(1));
  EXPECT_EQ(lines.size(), 1U);
  one.look(roomy(), at(10));
  EXPECT_EQ(lines.size(), 1U);
  two.look(roomy(), at(20));
  EXPECT_EQ(lines.size(), 2U);
}

}  // namespace
}  // namespace tailrace::runtime
