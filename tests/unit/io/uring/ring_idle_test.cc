#include "io/uring/ring_idle.h"

#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <ctime>
#include <thread>

#include "support.h"

namespace tailrace::io {
namespace {

std::unique_ptr<RingIdle> make_idle(Ring& ring, IdlePolicy policy = IdlePolicy::wait) {
  std::string why;
  auto idle = RingIdle::create(ring, policy, microseconds(20), why);
  EXPECT_TRUE(idle.has_value()) << why;
  return std::move(*idle);
}

Duration thread_cpu() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

class RingIdleTest : public ::testing::TestWithParam<IdlePolicy> {};
INSTANTIATE_TEST_SUITE_P(Policies, RingIdleTest,
                         ::testing::Values(IdlePolicy::wait, IdlePolicy::spin));

TEST_P(RingIdleTest, SleepsUntilTheDeadlineForNearlyNothing) {
  auto ring = make_ring();
  auto idle = make_idle(*ring, GetParam());
  const Instant start = Ring::monotonic_now();
  const Duration cpu = thread_cpu();
  for (int i = 0; i < 5; ++i) idle->wait(Ring::monotonic_now() + milliseconds(50));
  EXPECT_GE(Ring::monotonic_now() - start, milliseconds(245));
  EXPECT_LT(thread_cpu().ns - cpu.ns, milliseconds(20).ns);
}

TEST_P(RingIdleTest, AnotherThreadWakesIt) {
  auto ring = make_ring();
  auto idle = make_idle(*ring, GetParam());
  std::atomic<int> asked{0};
  std::atomic<bool> stop{false};
  std::thread waker([&] {
    for (int i = 1; i <= 50; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      asked.store(i);
      idle->wake();
    }
    stop.store(true);
    idle->wake();
  });
  const Instant start = Ring::monotonic_now();
  int wakes = 0;
  while (!stop.load() && wakes < 100'000) {
    idle->wait(never());
    ++wakes;
  }
  waker.join();
  EXPECT_EQ(asked.load(), 50);
  EXPECT_LE(wakes, 200);   // It slept in between.
  EXPECT_LT(Ring::monotonic_now() - start, seconds(8));
}

// A ball between two threads that both sleep: one lost wake stops it for ever.
TEST_P(RingIdleTest, NoWakeIsLost) {
  auto ring_a = make_ring();
  auto ring_b = make_ring();
  auto a = make_idle(*ring_a, GetParam());
  auto b = make_idle(*ring_b, GetParam());
  constexpr int rounds = 2000;
  std::atomic<int> ball{0};
  const auto play = [&](RingIdle& mine, RingIdle& other, int parity) {
    while (ball.load() < rounds) {
      const int now = ball.load();
      if (now % 2 == parity) {
        ball.store(now + 1);
        other.wake();
      } else {
        mine.wait(never());
      }
    }
    other.wake();
  };
  std::thread player([&] { play(*a, *b, 0); });
  play(*b, *a, 1);
  player.join();
  EXPECT_GE(ball.load(), rounds);
}

TEST_P(RingIdleTest, AWakeBeforeTheWaitCounts) {
  auto ring = make_ring();
  auto idle = make_idle(*ring, GetParam());
  idle->wake();
  const Instant start = Ring::monotonic_now();
  idle->wait(start + seconds(5));
  EXPECT_LT(Ring::monotonic_now() - start, seconds(2));
}

// A thread that polls a device asks to be called again at once; what the kernel does for it may be
// waiting for its processor.
TEST_P(RingIdleTest, AThreadThatWillNotWaitGivesWayToOthers) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);   // Inherited by the other.
  auto ring = make_ring();
  auto idle = make_idle(*ring, GetParam());
  rusage usage{};
  idle->wait({});
  ASSERT_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
  const auto forced = usage.ru_nivcsw + usage.ru_nvcsw;
  std::atomic<bool> over{false};
  std::thread other([&] {
    while (!over) sched_yield();
  });
  for (int i = 0; i < 200; ++i) idle->wait({});
  ASSERT_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
  over = true;
  other.join();
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(usage.ru_nivcsw + usage.ru_nvcsw - forced, 50);
}

TEST_P(RingIdleTest, BytesOnASocketEndTheWait) {
  Loop server(Loop::listening());
  auto idle = make_idle(*server.ring, GetParam());
  Loop client;
  const ConnId conn = client.transport->connect(server.address());
  EXPECT_TRUE(client.until([&] {
    server.step();
    return server.accepted.size() == 1 && client.connected.size() == 1;
  }));
  server.settle(milliseconds(5));
  const std::string text = "wake up";
  ASSERT_TRUE(client.send_text(conn, text, 1));
  client.step();
  const Instant start = Ring::monotonic_now();
  while (server.received_bytes() == 0 && Ring::monotonic_now() < start + seconds(5)) {
    idle->wait(start + seconds(5));
    server.step({});
  }
  EXPECT_LT(Ring::monotonic_now() - start, seconds(2));
}

}  // namespace
}  // namespace tailrace::io
