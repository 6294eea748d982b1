// The CRC of every byte that is acknowledged, and the one copy of the ack path that goes with it.
//
// copy_and_crc32c takes steps that stay in the first-level cache, the checksum first. Beside it:
// both passes over everything (what the steps save), the copy alone and the checksum alone (the
// lower bounds), the copy first, other step sizes, and a loop of our own with stores that pass the
// caches. Sources and targets move on as in the broker: from receive buffers of a few MiB into
// chunks of 64 MiB, which no cache holds.
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <vector>

#include "base/aligned.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "micro/cycles.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t from_bytes = std::size_t{4} << 20;
constexpr std::size_t to_bytes = std::size_t{64} << 20;

class Regions {
 public:
  explicit Regions(std::size_t piece_bytes)
      : from_(from_bytes), to_(to_bytes), piece_bytes_(piece_bytes) {
    Prng prng(1, "crc32c");
    for (std::size_t i = 0; i + 8 <= from_.size(); i += 8) {
      const std::uint64_t word = prng.next();
      std::memcpy(from_.data() + i, &word, 8);
    }
    std::memset(to_.data(), 1, to_.size());
  }
  // The next piece and its place, at odd addresses: behind headers of some length.
  Bytes from() {
    from_at_ = from_at_ + 2 * piece_bytes_ + 64 <= from_bytes ? from_at_ + piece_bytes_ : 0;
    return {from_.data() + from_at_ + 37, piece_bytes_};
  }
  std::byte* to() {
    to_at_ = to_at_ + 2 * piece_bytes_ + 64 <= to_bytes ? to_at_ + piece_bytes_ : 0;
    return to_.data() + to_at_ + 5;
  }

 private:
  AlignedBuffer from_;
  AlignedBuffer to_;
  std::size_t piece_bytes_;
  std::size_t from_at_ = 0;
  std::size_t to_at_ = 0;
};

std::size_t piece_of(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(0));
}

void checksum(benchmark::State& state) {
  Regions regions(piece_of(state));
  const Cycles cycles;
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(regions.from()));
  cycles.report(state, piece_of(state));
}

void copy(benchmark::State& state) {
  Regions regions(piece_of(state));
  const Cycles cycles;
  for (auto _ : state) {
    const Bytes from = regions.from();
    std::memcpy(regions.to(), from.data(), from.size());
    benchmark::ClobberMemory();
  }
  cycles.report(state, piece_of(state));
}

void copy_with_checksum(benchmark::State& state) {
  Regions regions(piece_of(state));
  const Cycles cycles;
  for (auto _ : state) {
    const Bytes from = regions.from();
    benchmark::DoNotOptimize(copy_and_crc32c(regions.to(), from));
  }
  cycles.report(state, piece_of(state));
}

void copy_then_checksum(benchmark::State& state) {
  Regions regions(piece_of(state));
  const Cycles cycles;
  for (auto _ : state) {
    const Bytes from = regions.from();
    std::byte* to = regions.to();
    std::memcpy(to, from.data(), from.size());
    benchmark::DoNotOptimize(crc32c({to, from.size()}));
  }
  cycles.report(state, piece_of(state));
}

// The second argument: bytes per step.
void copy_in_steps(benchmark::State& state) {
  Regions regions(piece_of(state));
  const auto step_bytes = static_cast<std::size_t>(state.range(1));
  const Cycles cycles;
  for (auto _ : state) {
    Bytes from = regions.from();
    std::byte* to = regions.to();
    std::uint32_t crc = 0;
    while (!from.empty()) {
      const std::size_t size = std::min(from.size(), step_bytes);
      std::memcpy(to, from.data(), size);
      crc = crc32c({to, size}, crc);
      to += size;
      from = from.subspan(size);
    }
    benchmark::DoNotOptimize(crc);
  }
  cycles.report(state, piece_of(state));
}

// The checksum brings the source into the cache, the copy takes it from there.
void checksum_then_copy_in_steps(benchmark::State& state) {
  Regions regions(piece_of(state));
  const auto step_bytes = static_cast<std::size_t>(state.range(1));
  const Cycles cycles;
  for (auto _ : state) {
    Bytes from = regions.from();
    std::byte* to = regions.to();
    std::uint32_t crc = 0;
    while (!from.empty()) {
      const Bytes step = from.first(std::min(from.size(), step_bytes));
      crc = crc32c(step, crc);
      std::memcpy(to, step.data(), step.size());
      to += step.size();
      from = from.subspan(step.size());
    }
    benchmark::DoNotOptimize(crc);
  }
  cycles.report(state, piece_of(state));
}

#if defined(__x86_64__)
// Whole lines past the caches: the target's lines need not be read first.
__attribute__((target("avx512f"))) void stream_copy(std::byte* to, const std::byte* from,
                                                    std::size_t bytes) {
  const std::size_t lead =
      std::min<std::size_t>(bytes, (64 - reinterpret_cast<std::uintptr_t>(to) % 64) % 64);
  std::memcpy(to, from, lead);
  std::size_t at = lead;
  for (; at + 64 <= bytes; at += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at),
                        _mm512_loadu_si512(reinterpret_cast<const void*>(from + at)));
  }
  std::memcpy(to + at, from + at, bytes - at);
}

void checksum_then_stream_in_steps(benchmark::State& state) {
  if (!__builtin_cpu_supports("avx512f")) return state.SkipWithError("no AVX-512 here");
  Regions regions(piece_of(state));
  const auto step_bytes = static_cast<std::size_t>(state.range(1));
  const Cycles cycles;
  for (auto _ : state) {
    Bytes from = regions.from();
    std::byte* to = regions.to();
    std::uint32_t crc = 0;
    while (!from.empty()) {
      const Bytes step = from.first(std::min(from.size(), step_bytes));
      crc = crc32c(step, crc);
      stream_copy(to, step.data(), step.size());
      to += step.size();
      from = from.subspan(step.size());
    }
    _mm_sfence();
    benchmark::DoNotOptimize(crc);
  }
  cycles.report(state, piece_of(state));
}
BENCHMARK(checksum_then_stream_in_steps)->ArgsProduct({{1024, 65536, 1 << 20}, {4096, 16384}});
#endif

BENCHMARK(checksum)->Arg(64)->Arg(1024)->Arg(16384)->Arg(65536)->Arg(1 << 20);
BENCHMARK(copy)->Arg(1024)->Arg(16384)->Arg(65536)->Arg(1 << 20);
BENCHMARK(copy_with_checksum)->Arg(1024)->Arg(16384)->Arg(65536)->Arg(1 << 20);
BENCHMARK(copy_then_checksum)->Arg(1024)->Arg(16384)->Arg(65536)->Arg(1 << 20);
BENCHMARK(checksum_then_copy_in_steps)->ArgsProduct({{1024, 65536, 1 << 20}, {4096, 16384}});
BENCHMARK(copy_in_steps)->ArgsProduct({{65536, 1 << 20}, {2048, 4096, 16384, 32768}});

}  // namespace
}  // namespace tailrace::bench
