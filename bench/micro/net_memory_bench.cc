// What the stack reserves for 100,000 connections: every byte that is asked of operator new while
// it is made, and what that consists of. Goals: bench/README.md.
#include <atomic>
#include <cstdlib>
#include <new>

#include "micro/net_server.h"

namespace {

std::atomic<std::uint64_t> asked_bytes{0};

void* counted(std::size_t bytes, std::size_t alignment) {
  asked_bytes.fetch_add(bytes, std::memory_order_relaxed);
  void* at = alignment <= alignof(std::max_align_t)
                 ? std::malloc(bytes)
                 : std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (at == nullptr) std::abort();
  return at;
}

}  // namespace

void* operator new(std::size_t bytes) { return counted(bytes, 1); }
void* operator new[](std::size_t bytes) { return counted(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }

namespace tailrace::bench {
namespace {

template <class Make>
double asked_by(Make&& make) {
  const std::uint64_t before = asked_bytes.load();
  const auto made = make();
  benchmark::DoNotOptimize(&made);
  return static_cast<double>(asked_bytes.load() - before);
}

void net_memory(benchmark::State& state) {
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  net::Limits limits;
  limits.connections_max = connections;
  limits.receive_bytes_max = std::uint64_t{connections} * limits.receive_buffer_min;
  for (auto _ : state) {
    const std::uint64_t before = asked_bytes.load();
    Server server_end(connections, 0, limits);
    const auto reserved = static_cast<double>(asked_bytes.load() - before -
                                              connections * sizeof(Server::Peer));
    const std::uint64_t made = asked_bytes.load();
    server_end.open_all();
    TR_ASSERT(server_end.stack().connection_count() == connections);
    TR_ASSERT(server_end.accepted() == connections);
    // Frames are the bench's own; nothing else may be asked for once the stack is made.
    TR_ASSERT(asked_bytes.load() - made == server_end.frame_bytes);
    state.counters["MB"] = reserved / 1e6;
  }
  const double mb = 1e6;
  const std::uint32_t flows =
      limits.connections_max + limits.half_open_max + limits.time_wait_max;
  auto& counters = state.counters;
  counters["connections_MB"] =
      asked_by([&] { return net::Pool<net::Connection>(connections); }) / mb;
  counters["flows_MB"] = asked_by([&] { return net::FlowTable(flows, 1); }) / mb;
  counters["timers_MB"] = asked_by([&] {
    return net::TimerWheel(connections + limits.half_open_max, Instant{});
  }) / mb;
  counters["sends_MB"] = asked_by([&] {
    return net::SendMemory(limits.sends_max, limits.slices_max, limits.holds_max);
  }) / mb;
  counters["records_MB"] =
      asked_by([&] { return net::SentMemory(limits.sent_records_max); }) / mb;
  counters["pieces_MB"] = asked_by([&] {
    return net::ReceiveMemory(limits.pieces_max, limits.frames_max);
  }) / mb;
  counters["half_open_MB"] =
      asked_by([&] { return net::SynCache(limits.half_open_max); }) / mb;
  counters["time_wait_MB"] =
      asked_by([&] { return net::TimeWaitTable(limits.time_wait_max); }) / mb;
  counters["neighbours_MB"] =
      asked_by([&] { return net::Neighbours(limits.neighbours_max, 1); }) / mb;
  counters["control_MB"] =
      asked_by([&] { return net::ControlQueue(limits.control_frames_max); }) / mb;
}

BENCHMARK(net_memory)->ArgName("connections")->Arg(100'000)->Iterations(1);

}  // namespace
}  // namespace tailrace::bench
