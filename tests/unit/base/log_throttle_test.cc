#include "base/log_throttle.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailrace {
namespace {

struct Log {
  LogThrottle throttle;
  std::vector<std::string> lines;

  void event(const std::string& kind, int figure, std::int64_t at_ms) {
    const std::string line = kind + " " + std::to_string(figure);
    const Instant now{milliseconds(at_ms).ns};
    if (throttle.admit(LogLevel::warn, "test", kind, line, now)) lines.push_back(line);
  }
  void look(std::int64_t at_ms, bool all = false) {
    LogThrottle::Held held;
    for (std::size_t at = 0; throttle.take_held({milliseconds(at_ms).ns}, all, at, held);) {
      lines.push_back(fmt::format("{} {}: {}", to_string(held.level), held.area.view(),
                                  held.line.view()));
    }
  }
  std::vector<std::string> take() { return std::exchange(lines, {}); }
};

using Lines = std::vector<std::string>;

TEST(LogThrottle, ThreeThousandOfOneKindAreSixLines) {
  Log log;
  for (int i = 1; i <= 3000; ++i) log.event("bad", i, 1000 + i / 10);
  log.look(2000);
  EXPECT_EQ(log.take(), (Lines{"bad 1", "bad 2", "bad 3", "bad 4", "bad 5"}));
  log.look(12'000);
  EXPECT_EQ(log.take(), Lines{"warn test: 2995 more like this in 11 s; the last: bad 3000"});
  log.look(60'000);
  EXPECT_TRUE(log.take().empty());
}

TEST(LogThrottle, AfterThatTheKindIsWrittenAgain) {
  Log log;
  for (int i = 1; i <= 6; ++i) log.event("bad", i, 1000);
  log.look(11'000);
  log.take();
  log.event("bad", 7, 11'001);
  EXPECT_EQ(log.take(), Lines{"bad 7"});
}

TEST(LogThrottle, AFewASecondAreNeverHeldBack) {
  Log log;
  for (int i = 0; i < 100; ++i) log.event("bad", i, 1000 + 250 * i);
  EXPECT_EQ(log.take().size(), 100U);
}

TEST(LogThrottle, AtTheEndAllIsTold) {
  Log log;
  for (int i = 1; i <= 6; ++i) log.event("bad", i, 1000);
  log.take();
  log.look(3500);
  EXPECT_TRUE(log.take().empty());
  log.look(3500, true);
  EXPECT_EQ(log.take(), Lines{"warn test: 1 more like this in 2 s; the last: bad 6"});
}

TEST(LogThrottle, OtherKindsAreNotTouched) {
  Log log;
  for (int i = 1; i <= 10; ++i) log.event("bad", i, 1000);
  log.take();
  log.event("worse", 1, 1000);
  EXPECT_EQ(log.take(), Lines{"worse 1"});
}

TEST(LogThrottle, MoreKindsThanThereIsRoomForAreWritten) {
  Log log;
  const int count = static_cast<int>(LogThrottle::kinds_max) + 1;
  for (int kind = 0; kind < count; ++kind) {
    for (int i = 0; i < 10; ++i) log.event("kind" + std::to_string(kind), i, 1000 + kind);
  }
  EXPECT_EQ(log.take().size(), LogThrottle::kinds_max * LogThrottle::lines_max + 10);
  // Those that are silent make room.
  log.look(20'000);
  EXPECT_EQ(log.take().size(), LogThrottle::kinds_max);
  for (int i = 0; i < 10; ++i) log.event("new", i, 20'001);
  EXPECT_EQ(log.take().size(), LogThrottle::lines_max);
}

}  // namespace
}  // namespace tailrace
