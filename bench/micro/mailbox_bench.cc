// The queue between two threads. One thread alone tells the price of the instructions; the round
// trip adds what the caches of two cores take to hand a line over.
#include <array>
#include <atomic>
#include <thread>

#include "bus/mailbox.h"
#include "bus/message.h"
#include "micro/cycles.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t capacity = 1024;

// Pushes `range` messages, asks once whether to wake, takes them out.
void mailbox_turn(benchmark::State& state) {
  bus::Mailbox<bus::Message> box(capacity);
  std::array<bus::Message, 64> taken;
  const auto count = static_cast<std::size_t>(state.range(0));
  const bus::Message message{.kind = bus::MessageKind::task};
  const Cycles cycles;
  for (auto _ : state) {
    for (std::size_t i = 0; i < count; ++i) benchmark::DoNotOptimize(box.push(message));
    benchmark::DoNotOptimize(box.wants_wake());
    benchmark::DoNotOptimize(box.pop(taken));
  }
  state.counters["cycles/message"] = cycles.report(state) / static_cast<double>(count);
}

void mailbox_round_trip(benchmark::State& state) {
  bus::Mailbox<bus::Message> there(capacity);
  bus::Mailbox<bus::Message> back(capacity);
  std::atomic<bool> stop{false};
  std::thread echo([&] {
    std::array<bus::Message, 64> taken;
    while (!stop.load(std::memory_order_relaxed)) {
      const std::size_t count = there.pop(taken);
      for (std::size_t i = 0; i < count; ++i) benchmark::DoNotOptimize(back.push(taken[i]));
      // With fewer processors than threads the other one may wait for this one's.
      if (count == 0) std::this_thread::yield();
    }
  });
  std::array<bus::Message, 64> taken;
  const bus::Message message{.kind = bus::MessageKind::task};
  const Cycles cycles;
  for (auto _ : state) {
    benchmark::DoNotOptimize(there.push(message));
    while (back.pop(taken) == 0) std::this_thread::yield();
  }
  cycles.report(state);
  stop.store(true);
  echo.join();
}

BENCHMARK(mailbox_turn)->ArgName("messages")->Arg(1)->Arg(8)->Arg(64);
BENCHMARK(mailbox_round_trip)->UseRealTime();

}  // namespace
}  // namespace tailrace::bench
