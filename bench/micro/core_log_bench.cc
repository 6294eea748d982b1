// CoreLog::append and the whole turn behind it (check, copy with CRC, frame, segment writes,
// checkpoints) on a disk that completes at once: what a byte costs before any system call.
#include <vector>

#include "micro/cycles.h"
#include "micro/instant_disk.h"
#include "record/batch_builder.h"

namespace tailrace::bench {
namespace {

std::vector<std::byte> batch_of(std::size_t bytes, std::size_t record_bytes) {
  record::BatchBuilder builder(bytes);
  builder.start();
  const std::vector<std::byte> value(record_bytes, std::byte{42});
  record::NewRecord record{.timestamp = 1'700'000'000'000, .value = Bytes(value)};
  while (builder.add(record)) {
  }
  const Bytes made = *builder.finish();
  return {made.begin(), made.end()};
}

// Appends one batch and lets it become durable. Arguments: bytes of the batch, of its records.
void core_log_append(benchmark::State& state) {
  const log::Limits limits = bench_limits();
  AlignedBuffer memory(log::CoreLog::memory_bytes(limits));
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
  const auto log = make_log(limits, memory, now);
  InstantDisk disk;
  const auto turn = [&] {
    log->step(now);
    while (disk.run(*log, [&](const DiskDone& done) { log->on_disk_done(done, now); }) > 0) {
      log->step(now);
    }
    std::array<log::PartitionLog*, 16> advanced;
    log->take_advanced(advanced);
  };
  for (int i = 0; i < 4; ++i) turn();
  log::PartitionKey key;
  key.topic.bytes[0] = 1;
  log::PartitionLog& partition = **log->create(key, {.batch_bytes_max = 2 << 20}, now);
  const std::vector<std::byte> batch =
      batch_of(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));

  std::uint64_t stalls = 0;
  const Cycles cycles;
  for (auto _ : state) {
    while (!log->append(partition, {.batch = batch, .leader_epoch = 1}, now)) {
      turn();
      ++stalls;
    }
    turn();
    now.instant = now.instant + microseconds(50);
  }
  cycles.report(state, batch.size());
  state.counters["stalls"] = static_cast<double>(stalls);
}

BENCHMARK(core_log_append)
    ->ArgNames({"batch", "record"})
    ->Args({1024, 900})
    ->Args({16384, 1024})
    ->Args({65536, 1024})
    ->Args({1 << 20, 1024})
    ->Args({65536, 100})
    ->Args({65536, 65000});

}  // namespace
}  // namespace tailrace::bench
