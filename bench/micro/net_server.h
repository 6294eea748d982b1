// A server of the bare stack, and clients made of bare headers, for the benches of src/net.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "micro/cycles.h"
#include "net/stack.h"

namespace tailrace::bench {

inline constexpr std::uint16_t bench_port = 9092;
inline constexpr std::uint32_t segment_bytes = 1448;
inline const net::IpAddress server_address = net::IpAddress::v4(10, 0, 0, 1);
inline const net::MacAddress server_mac{{2, 0, 0, 0, 0, 1}};
inline const net::MacAddress client_mac{{2, 0, 0, 0, 0, 2}};

// A server with many established connections, and a client made of bare headers.
class Server {
 public:
  explicit Server(std::uint32_t connections, std::uint32_t tso_bytes = 0)
      : Server(connections, tso_bytes, limits_of(connections)) {
    open_all();
  }
  // Nobody has connected yet.
  Server(std::uint32_t connections, std::uint32_t tso_bytes, const net::Limits& limits)
      : stack_(limits, interface(tso_bytes), SipKey{3}, now) {
    stack_.listen({server_address, bench_port});
    drain();   // It tells its neighbours that it is there.
    peers.resize(connections);
    for (std::uint32_t i = 0; i < connections; ++i) introduce(i);
  }

  void open_all() {
    for (std::uint32_t i = 0; i < peers.size(); ++i) open(i);
    TR_ASSERT(accepted_ == peers.size());
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
    frame_bytes += bytes.size();
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
                                            server_address, payload);
    net::store_ip(at, {.source = peer.address.address, .destination = server_address},
                  size + payload);
    bytes.resize(net::ethernet_bytes + net::ipv4_bytes + size + payload);
    return bytes;
  }

  void give(std::span<const RxFrame> frames) {
    stack_.input(frames, now);
    benchmark::DoNotOptimize(stack_.take_released());
  }
  // Returns how many segments of data were told of.
  std::size_t take_events() {
    std::size_t data = 0;
    for (std::size_t count = events_.size(); count == events_.size();) {
      count = stack_.take_events(events_);
      data += take(std::span(events_).first(count));
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
  static net::Limits limits_of(std::uint32_t connections) {
    net::Limits limits;
    limits.connections_max = connections + 1;
    limits.half_open_max = limits.half_open_cookies_from = 64;
    limits.receive_bytes_max = std::uint64_t{limits.connections_max} * limits.receive_buffer_max;
    limits.keepalive_idle = seconds(100'000);
    return limits;
  }
  net::Stack& stack() { return stack_; }
  std::uint64_t count_of(net::Count what) const { return stack_.counters().of(what); }
  // A SYN-ACK that went out.
  static net::Seq seq_of(const TxFrame& frame) {
    const Bytes header = Bytes(frame.header).first(frame.header_bytes);
    return {load_be<std::uint32_t>(header.data() + net::ethernet_bytes + net::ipv4_bytes + 4)};
  }

  Instant now{seconds(1000).ns};
  std::vector<Peer> peers;
  std::array<TxFrame, 64> out;

  std::uint32_t accepted() const { return accepted_; }
  void forget_accepted() { accepted_ = 0; }
  mutable std::uint64_t frame_bytes = 0;   // of all frames that were made
  std::uint64_t sent_events = 0;
  std::uint64_t closed_events = 0;

 private:
  std::size_t take(std::span<const net::Event> events) {
    std::size_t data = 0;
    for (const net::Event& event : events) {
      if (event.kind == net::Event::Kind::accepted) peers[accepted_++].conn = event.conn;
      if (event.kind == net::Event::Kind::sent) ++sent_events;
      if (event.kind == net::Event::Kind::closed) ++closed_events;
      if (event.kind != net::Event::Kind::data) continue;
      stack_.consumed(event.conn, event.bytes.size());
      ++data;
    }
    return data;
  }
  static net::Interface interface(std::uint32_t tso_bytes) {
    net::Interface interface;
    interface.mac = server_mac;
    interface.addresses = {{server_address, 8}};
    interface.segmentation_bytes_max = tso_bytes;
    return interface;
  }

  void one(std::vector<std::byte> bytes) {
    kept_ = std::move(bytes);
    const RxFrame in{.bytes = kept_, .checksum_good = true};
    give({&in, 1});
  }
  void introduce(std::uint32_t i) {
    Peer& peer = peers[i];
    // 256 clients, so that all are known neighbours.
    peer.address = {net::IpAddress::v4(10, 0, 1, static_cast<std::uint8_t>(i % 256)),
                    static_cast<std::uint16_t>(1024 + i / 256)};
    if (i < 256) {
      stack_.tcp().neighbours.learn({.address = peer.address.address, .mac = client_mac,
                                     .is_answer = true, .may_add = true}, now);
    }
    peer.seq = {i * 77};
  }
  void open(std::uint32_t i) {
    Peer& peer = peers[i];
    one(frame(peer, net::tcp_flag::syn, 0, true));
    stack_.output(out, now);
    peer.ack = seq_of(out[0]) + 1;
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

}  // namespace tailrace::bench
