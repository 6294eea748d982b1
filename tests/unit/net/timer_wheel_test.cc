#include "net/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/prng.h"

namespace tailrace::net {
namespace {

constexpr std::int64_t tick_ns = 1 << 15;

TEST(timer_wheel, goes_off_not_early_and_at_most_a_tick_late) {
  for (std::uint64_t seed = 1; seed < 100; ++seed) {
    Prng prng(seed);
    Instant now{static_cast<std::int64_t>(prng.below(1ULL << 45))};
    TimerWheel wheel(16, now);
    std::vector<std::int64_t> deadlines(16, -1);
    for (int step = 0; step < 500; ++step) {
      const auto id = static_cast<std::uint32_t>(prng.below(16));
      switch (prng.below(3)) {
        case 0:
          deadlines[id] = now.ns + static_cast<std::int64_t>(
                                       prng.below(1ULL << prng.between(1, 44)));
          wheel.arm(id, {deadlines[id]});
          continue;
        case 1:
          deadlines[id] = -1;
          wheel.cancel(id);
          continue;
      }
      const Instant next = wheel.next_deadline();
      const bool is_any = std::any_of(deadlines.begin(), deadlines.end(),
                                      [](std::int64_t at) { return at >= 0; });
      ASSERT_EQ(next == never(), !is_any);
      now.ns = prng.chance(1, 2) && is_any
                   ? std::max(now.ns, next.ns)
                   : now.ns + static_cast<std::int64_t>(prng.below(1ULL << prng.between(1, 41)));
      for (;;) {
        const std::uint32_t due = wheel.take_due(now);
        if (due == TimerWheel::no_timer) break;
        ASSERT_GE(deadlines[due], 0);
        ASSERT_LE(deadlines[due], now.ns);
        deadlines[due] = -1;
      }
      for (const std::int64_t at : deadlines) ASSERT_TRUE(at < 0 || at + tick_ns > now.ns);
      ASSERT_GT(wheel.next_deadline(), now);
    }
  }
}

TEST(timer_wheel, an_old_deadline_is_due_at_once) {
  TimerWheel wheel(1, Instant{seconds(10).ns});
  wheel.arm(0, Instant{seconds(1).ns});
  EXPECT_EQ(wheel.take_due(Instant{seconds(10).ns}), 0U);
  EXPECT_EQ(wheel.take_due(Instant{seconds(10).ns}), TimerWheel::no_timer);
}

}  // namespace
}  // namespace tailrace::net
