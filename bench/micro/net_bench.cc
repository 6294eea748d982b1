// The stack without a driver: frames are in memory, warm, and payload is not touched. Goals and
// what they mean: bench/README.md.
#include <algorithm>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "micro/cycles.h"
#include "net/checksum.h"
#include "net/stack.h"

namespace tailrace::bench {
namespace {

constexpr std::uint16_t bench_port = 9092;
constexpr std::uint32_t segment_bytes = 1448;
const net::IpAddress server = net::IpAddress::v4(10, 0, 0, 1);
const net::MacAddress server_mac{{2, 0, 0, 0, 0, 1}};
const net::MacAddress client_mac{{2, 0, 0, 0, 0, 2}};

// A server with many established connections, and a client made of bare headers.
class Server {
 public:
  explicit Server(std::uint32_t connections, std::uint32_t tso_bytes = 0)
      : stack_(limits(connections), interface(tso_bytes), SipKey{3}, now) {
    stack_.listen({server, bench_port});
    drain();   // It tells its neighbours that it is there.
    peers.resize(connections);
    for (std::uint32_t i = 0; i < connections; ++i) open(i);
    TR_ASSERT(accepted_ == connections);
  }

  struct Peer {
    net::Endpoint address;
    net::Seq seq;    // of the client's next byte
    net::Seq ack;    // of the server's next byte
    ConnId conn = 0;
  };

  std::vector<std::byte> frame(const Peer& peer, std::uint8_t flags, std::size_t payload,
                               bool is_syn = false) const {
    std::vector<std::byte> bytes(net::ethernet_bytes + net::ipv4_bytes + 60 + payload);
    net::store_ethernet(bytes.data(), {server_mac, client_mac});
    net::TcpHeader header{.source_port = peer.address.port, .destination_port = bench_port,
                          .seq = peer.seq, .ack = peer.ack, .flags = flags, .window = 65'535};
    header.options.has_timestamp = true;
    header.options.timestamp = 1;
    if (is_syn) {
      header.options.mss = 1460;
      header.options.sack_permitted = true;
      header.options.window_scale = 7;
    }
    std::byte* at = bytes.data() + net::ethernet_bytes;
    const std::size_t size = net::store_tcp(at + net::ipv4_bytes, header, peer.address.address,
                                            server, payload);
    net::store_ip(at, {.source = peer.address.address, .destination = server}, size + payload);
    bytes.resize(net::ethernet_bytes + net::ipv4_bytes + size + payload);
    return bytes;
  }

  void give(std::span<const RxFrame> frames) {
    stack_.input(frames, now);
    benchmark::DoNotOptimize(stack_.take_released());
  }
  // Returns how many segments of data were told of.
  std::size_t take_events() {
    const std::size_t count = stack_.take_events(events_);
    std::size_t data = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const net::Event& event = events_[i];
      if (event.kind == net::Event::Kind::accepted) peers[accepted_++].conn = event.conn;
      if (event.kind != net::Event::Kind::data) continue;
      stack_.consumed(event.conn, event.bytes.size());
      ++data;
    }
    return data;
  }
  // Returns the payload that went out.
  std::uint64_t drain() {
    std::uint64_t bytes = 0;
    for (std::size_t count = out.size(); count == out.size();) {
      count = stack_.output(out, now);
      for (std::size_t i = 0; i < count; ++i) {
        bytes += out[i].payload_bytes;
        if (out[i].hold != no_hold) stack_.transmitted(out[i].hold);
      }
    }
    return bytes;
  }
  net::Stack& stack() { return stack_; }

  Instant now{seconds(1000).ns};
  std::vector<Peer> peers;
  std::array<TxFrame, 64> out;

 private:
  static net::Limits limits(std::uint32_t connections) {
    net::Limits limits;
    limits.connections_max = connections + 1;
    limits.half_open_max = limits.half_open_cookies_from = 64;
    limits.receive_bytes_max = std::uint64_t{limits.connections_max} * limits.receive_buffer_max;
    limits.keepalive_idle = seconds(100'000);
    return limits;
  }
  static net::Interface interface(std::uint32_t tso_bytes) {
    net::Interface interface;
    interface.mac = server_mac;
    interface.addresses = {{server, 8}};
    interface.segmentation_bytes_max = tso_bytes;
    return interface;
  }

  void one(std::vector<std::byte> bytes) {
    kept_ = std::move(bytes);
    const RxFrame in{.bytes = kept_, .checksum_good = true};
    give({&in, 1});
  }
  void open(std::uint32_t i) {
    Peer& peer = peers[i];
    // 256 clients, so that all are known neighbours.
    peer.address = {net::IpAddress::v4(10, 0, 1, static_cast<std::uint8_t>(i % 256)),
                    static_cast<std::uint16_t>(1024 + i / 256)};
    stack_.tcp().neighbours.learn({.address = peer.address.address, .mac = client_mac,
                                   .is_answer = true, .may_add = true}, now);
    peer.seq = {i * 77};
    one(frame(peer, net::tcp_flag::syn, 0, true));
    stack_.output(out, now);
    const Bytes header = Bytes(out[0].header).first(out[0].header_bytes);
    const std::size_t at = net::ethernet_bytes + net::ipv4_bytes;
    peer.ack = {load_be<std::uint32_t>(header.data() + at + 4) + 1};
    peer.seq += 1;
    one(frame(peer, net::tcp_flag::ack, 0));
    take_events();
    drain();
  }

  net::Stack stack_;
  std::array<net::Event, 64> events_;
  std::vector<std::byte> kept_;
  std::uint32_t accepted_ = 0;
};

// Bursts of 32 full segments for connections in turn, with the ACKs that they cause.
void net_receive(benchmark::State& state) {
  const auto connections = static_cast<std::uint32_t>(state.range(0));
  Server server_end(connections);
  constexpr std::size_t burst = 32;
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
      // A step that is no power of two, so that neighbours in memory do not follow each other.
      next = (next + 617) % connections;
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
  const double each = cycles / static_cast<double>(state.iterations());
  state.counters["cycles"] = each;
  state.counters["cycles/message"] = each / burst;
}

void net_checksum(benchmark::State& state) {
  const std::vector<std::byte> bytes(segment_bytes);
  const Cycles cycles;
  for (auto _ : state) benchmark::DoNotOptimize(net::checksum_of(bytes));
  cycles.report(state, bytes.size());
}

BENCHMARK(net_receive)->ArgName("connections")->Arg(1)->Arg(1000)->Arg(10'000)->Arg(100'000);
BENCHMARK(net_checksum);

}  // namespace
}  // namespace tailrace::bench
