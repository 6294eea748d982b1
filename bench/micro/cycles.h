// Cycles beside nanoseconds: processor time of the thread, in ticks of the time-stamp counter,
// which runs at a fixed rate (the nominal clock, not the boosted one). Time in which the thread
// did not run, on a machine that does other things too, is not in it.
#pragma once

#include <benchmark/benchmark.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include <cstdint>

namespace tailrace::bench {

inline double clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Zero where there is no such counter: then no cycles are told.
inline double ticks_per_ns() {
#if defined(__x86_64__)
  static const double rate = [] {
    const double began_ns = clock_ns(CLOCK_MONOTONIC);
    const auto began = __rdtsc();
    while (clock_ns(CLOCK_MONOTONIC) - began_ns < 20e6) {
    }
    return static_cast<double>(__rdtsc() - began) / (clock_ns(CLOCK_MONOTONIC) - began_ns);
  }();
  return rate;
#else
  return 0;
#endif
}

// The time-stamp counter, for what lies between two of its reads; 0 where there is none.
inline double ticks() {
#if defined(__x86_64__)
  return static_cast<double>(__rdtsc());
#else
  return 0;
#endif
}

// Put before the loop; call report() after it.
class Cycles {
 public:
  Cycles() : rate_(ticks_per_ns()), began_ns_(clock_ns(CLOCK_THREAD_CPUTIME_ID)) {}

  // Returns the cycles of one iteration. `bytes`: of one iteration; 0: they do not matter.
  double report(benchmark::State& state, std::uint64_t bytes = 0) const {
    const double spent = (clock_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns_) * rate_;
    const double cycles = spent / static_cast<double>(state.iterations());
    state.counters["cycles"] = cycles;
    if (bytes == 0) return cycles;
    state.counters["cycles/B"] = cycles / static_cast<double>(bytes);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
    return cycles;
  }

 private:
  double rate_;
  double began_ns_;
};

}  // namespace tailrace::bench
