// The stack without a driver: frames are in memory, warm, and payload is not touched. Goals and
// what they mean: bench/README.md. Each bench ends with an assertion that what it says was done:
// a stack that refuses is fast.
#include <algorithm>

#include "micro/net_server.h"
#include "net/checksum.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t burst = 32;

// A step that is no power of two, so that neighbours in memory do not follow each other.
std::uint32_t after(std::uint32_t peer, std::uint32_t connections) {
  return (peer + 617) % connections;
}

void report(benchmark::State& state, double cycles, double messages) {
  const double each = cycles / static_cast<double>(state.iterations());
  state.counters["cycles"] = each;
  state.counters["cycles/message"] = each / messages;
}

// The peer has everything.
void acknowledge(Server& server_end, Server::Peer& peer, std::size_t bytes) {
  peer.ack += static_cast<std::uint32_t>(bytes);
  const std::vector<std::byte> header = server_end.frame(peer, net::tcp_flag::ack, 0);
  const RxFrame frame{.bytes = header, .checksum_good = true};
  server_end.now = server_end.now + microseconds(20);
  server_end.give({&frame, 1});
  server_end.take_events();
}

// Sends 100 KB and more, so that later as much goes at once; the window doubles each time.
void grow_window(Server& server_end, Server::Peer& peer, const std::vector<std::byte>& memory) {
  const Bytes slice(memory);
  const std::size_t sends = std::max<std::size_t>(1, 128 * segment_bytes / memory.size());
  for (std::size_t i = 0; i < sends; ++i) {
    TR_ASSERT(server_end.stack().send(peer.conn, {&slice, 1}, 1));
  }
  for (std::size_t left = sends * memory.size(); left > 0;) {
    server_end.now = server_end.now + microseconds(20);
    const std::uint64_t sent = server_end.drain();
    TR_ASSERT(sent > 0);
    acknowledge(server_end, peer, sent);
    left -= sent;
  }
}

void throw_out(Server& server_end) {
  for (Server::Peer& peer : server_end.peers) {
    server_end.stack().abort(peer.conn);
    server_end.take_events();
    server_end.drain();
    peer.seq += 1000;
  }
  TR_ASSERT(server_end.stack().connection_count() == 0);
  server_end.forget_accepted();
}

// Bursts of 32 full segments for connections in turn, with the ACKs that they cause.
void net_receive(benchmark::State& state) {
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  Server server_end(connections);
  std::vector<std::vector<std::byte>> memory(burst);
  std::array<RxFrame, burst> frames;
  std::uint32_t next = 0;
  double cycles = 0;
  std::size_t told = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (std::size_t i = 0; i < burst; ++i) {
      Server::Peer& peer = server_end.peers[next];
      memory[i] = server_end.frame(peer, net::tcp_flag::ack, segment_bytes);
      frames[i] = {.bytes = memory[i], .token = i, .checksum_good = true};
      peer.seq += segment_bytes;
      next = after(next, connections);
    }
    server_end.now = server_end.now + microseconds(20);
    state.ResumeTiming();
    const double began = ticks();
    server_end.give(frames);
    told += server_end.take_events();
    server_end.drain();
    cycles += ticks() - began;
  }
  // Else it is something else that was measured.
  TR_ASSERT(told == static_cast<std::size_t>(state.iterations()) * burst);
  report(state, cycles, burst);
}

// Bursts of 32 ACKs, each of two segments, with all that they free; a connection gets one of a
// burst, and a single one all of them.
void net_ack(benchmark::State& state) {
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  Server server_end(connections);
  constexpr std::uint32_t acked = 2 * segment_bytes;
  const std::vector<std::byte> memory(acked);
  const Bytes slice(memory);
  for (int i = 0; i < 8; ++i) grow_window(server_end, server_end.peers[0], memory);
  std::vector<std::vector<std::byte>> headers(burst);
  std::array<RxFrame, burst> frames;
  std::uint32_t next = 0;
  double cycles = 0;
  const std::uint64_t sent_before = server_end.sent_events;
  const std::uint64_t bytes_before = server_end.count_of(net::Count::bytes_out);
  for (auto _ : state) {
    state.PauseTiming();
    std::uint64_t out_bytes = 0;
    for (std::size_t i = 0; i < burst; ++i) {
      Server::Peer& peer = server_end.peers[next];
      TR_ASSERT(server_end.stack().send(peer.conn, {&slice, 1}, 1));
      out_bytes += server_end.drain();
      peer.ack += acked;
      headers[i] = server_end.frame(peer, net::tcp_flag::ack, 0);
      frames[i] = {.bytes = headers[i], .token = i, .checksum_good = true};
      next = after(next, connections);
    }
    TR_ASSERT(out_bytes == burst * acked);
    server_end.now = server_end.now + microseconds(20);
    state.ResumeTiming();
    const double began = ticks();
    server_end.give(frames);
    server_end.take_events();
    server_end.drain();
    cycles += ticks() - began;
  }
  const auto acks = static_cast<std::uint64_t>(state.iterations()) * burst;
  TR_ASSERT(server_end.sent_events - sent_before == acks);
  TR_ASSERT(server_end.count_of(net::Count::bytes_out) - bytes_before == acks * acked);
  TR_ASSERT(server_end.count_of(net::Count::retransmits) == 0);
  report(state, cycles, burst);
}

// 64 segments of one connection at a time: send() and the frames, up to the device's being done
// with them. Their ACK is not in it. Per segment, also where the device cuts.
void net_transmit(benchmark::State& state) {
  Server server_end(1, static_cast<std::uint32_t>(state.range(0)));
  Server::Peer& peer = server_end.peers[0];
  constexpr std::size_t segments = 64;
  const std::vector<std::byte> memory(segments * segment_bytes);
  const Bytes slice(memory);
  for (int i = 0; i < 8; ++i) grow_window(server_end, peer, memory);
  double cycles = 0;
  for (auto _ : state) {
    server_end.now = server_end.now + microseconds(20);
    const double began = ticks();
    TR_ASSERT(server_end.stack().send(peer.conn, {&slice, 1}, 1));
    const std::uint64_t bytes = server_end.drain();
    cycles += ticks() - began;
    state.PauseTiming();
    TR_ASSERT(bytes == memory.size());
    acknowledge(server_end, peer, memory.size());
    state.ResumeTiming();
  }
  TR_ASSERT(server_end.count_of(net::Count::retransmits) == 0);
  report(state, cycles, segments);
}

// Bursts of 32 clients that connect, to a server with room for 100,000: SYN, SYN-ACK, ACK and the
// event. When all slots are used everybody is thrown out, which is not counted.
void net_accept(benchmark::State& state) {
  constexpr std::uint32_t connections = 96'000;
  Server server_end(connections, 0, Server::limits_of(connections));
  std::vector<std::vector<std::byte>> memory(burst);
  std::array<RxFrame, burst> frames;
  std::uint32_t next = 0;
  double cycles = 0;
  std::uint64_t accepted = 0;
  const auto prepare = [&](std::uint8_t flags) {
    for (std::uint32_t i = 0; i < burst; ++i) {
      memory[i] = server_end.frame(server_end.peers[next + i], flags, 0,
                                   flags == net::tcp_flag::syn);
      frames[i] = {.bytes = memory[i], .token = i, .checksum_good = true};
    }
  };
  for (auto _ : state) {
    state.PauseTiming();
    if (next == connections) {
      throw_out(server_end);
      next = 0;
    }
    prepare(net::tcp_flag::syn);
    state.ResumeTiming();
    double began = ticks();
    server_end.give(frames);
    const std::size_t answers = server_end.stack().output(server_end.out, server_end.now);
    cycles += ticks() - began;
    state.PauseTiming();
    TR_ASSERT(answers == burst);
    for (std::uint32_t i = 0; i < burst; ++i) {
      server_end.peers[next + i].ack = Server::seq_of(server_end.out[i]) + 1;
      server_end.peers[next + i].seq += 1;
    }
    prepare(net::tcp_flag::ack);
    server_end.now = server_end.now + microseconds(20);
    const std::uint32_t before = server_end.accepted();
    state.ResumeTiming();
    began = ticks();
    server_end.give(frames);
    server_end.take_events();
    server_end.drain();
    cycles += ticks() - began;
    accepted += server_end.accepted() - before;
    next += burst;
  }
  TR_ASSERT(accepted == static_cast<std::uint64_t>(state.iterations()) * burst);
  report(state, cycles, burst);
  state.counters["accepts/s"] = ticks_per_ns() * 1e9 / state.counters["cycles/message"];
}

void net_checksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(segment_bytes);
  const Cycles cycles;
  for (auto _ : state) benchmark::DoNotOptimize(net::checksum_of(bytes));
  cycles.report(state, bytes.size());
}

BENCHMARK(net_receive)->ArgName("connections")->Arg(1)->Arg(1000)->Arg(10'000)->Arg(100'000);
BENCHMARK(net_ack)->ArgName("connections")->Arg(1)->Arg(1000)->Arg(100'000);
BENCHMARK(net_transmit)->ArgName("cut_bytes")->Arg(0)->Arg(65'535);
BENCHMARK(net_accept);
BENCHMARK(net_checksum);

}  // namespace
}  // namespace tailrace::bench
