// One stack for a fuzz target: what it is given it must survive, and give back.
#pragma once

#include <array>
#include <memory>
#include <set>
#include <vector>

#include "base/assert.h"
#include "net/stack.h"

namespace tailrace::fuzz {

inline const net::IpAddress own_v4 = net::IpAddress::v4(10, 0, 0, 1);
inline const net::IpAddress peer_v4 = net::IpAddress::v4(10, 0, 0, 2);
inline const net::IpAddress own_v6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
inline const net::IpAddress peer_v6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
inline constexpr net::MacAddress own_mac{{2, 0, 0, 0, 0, 1}};
inline constexpr net::MacAddress peer_mac{{2, 0, 0, 0, 0, 2}};
inline constexpr std::uint16_t own_port = 9092;
inline constexpr std::uint16_t peer_port = 40'000;

class NetHost {
 public:
  NetHost() : stack_(limits(), interface(), SipKey{1}, now) {
    stack_.listen({own_v4, own_port});
    stack_.listen({own_v6, own_port});
    for (const net::IpAddress& address : {peer_v4, peer_v6}) {
      stack_.tcp().neighbours.learn(
          {.address = address, .mac = peer_mac, .is_answer = true, .may_add = true}, now);
    }
    turn();
  }

  void give(std::vector<std::byte> frame, bool checksum_good) {
    const std::uint64_t token = next_token_++;
    auto& kept = lent_[token % lent_max];
    TR_ASSERT(kept == nullptr);
    kept = std::make_unique<std::vector<std::byte>>(std::move(frame));
    const RxFrame in{.bytes = *kept, .token = token, .checksum_good = checksum_good};
    stack_.input({&in, 1}, now);
    turn();
  }

  // Timers, events, output; the device is done with all frames at once.
  void turn() {
    stack_.advance(now);
    std::array<net::Event, 8> events;
    for (std::size_t count = events.size(); count == events.size();) {
      count = stack_.take_events(events);
      for (std::size_t i = 0; i < count; ++i) on_event(events[i]);
    }
    std::array<TxFrame, 8> frames;
    for (std::size_t count = frames.size(); count == frames.size();) {
      count = stack_.output(frames, now);
      for (std::size_t i = 0; i < count; ++i) {
        if (on_frame) on_frame(frames[i]);
        if (frames[i].hold != no_hold) stack_.transmitted(frames[i].hold);
      }
    }
    for (const std::uint64_t token : stack_.take_released()) release(token);
    TR_ASSERT(stack_.is_consistent());
  }

  // Whatever happened: when all connections are gone all memory is back.
  void finish() {
    for (const ConnId conn : std::set<ConnId>(conns)) stack_.abort(conn);
    turn();
    // Until neighbours that do not answer are given up, and then flows at rest.
    for (int i = 0; i < 6; ++i) {
      now = now + seconds(2);
      turn();
    }
    now = now + seconds(200);
    turn();
    net::Tcp& tcp = stack_.tcp();
    TR_ASSERT(tcp.connections.used_count() == 0);
    TR_ASSERT(tcp.receive.pieces_used() == 0);
    TR_ASSERT(tcp.records.records_used() == 0);
    TR_ASSERT(tcp.sends.slices_used() == 0);
    TR_ASSERT(tcp.receive_bytes == 0);
    for (const auto& kept : lent_) TR_ASSERT(kept == nullptr);
  }

  net::Stack& stack() { return stack_; }

  Instant now{seconds(100).ns};
  std::set<ConnId> conns;
  void (*on_frame)(const TxFrame&) = nullptr;

 private:
  static constexpr std::size_t lent_max = 4096;

  static net::Limits limits() {
    net::Limits limits;
    limits.connections_max = 4;
    limits.half_open_max = 4;
    limits.half_open_cookies_from = 3;
    limits.time_wait_max = 2;
    limits.neighbours_max = 8;
    limits.control_frames_max = 8;
    limits.sends_max = 8;
    limits.slices_max = 16;
    limits.sent_records_max = 32;
    limits.pieces_max = 16;
    limits.holds_max = 16;
    limits.frames_max = lent_max;
    limits.receive_buffer_min = 8192;
    limits.receive_buffer_max = 65'536;
    limits.reassembly_pieces_max = 8;
    return limits;
  }
  static net::Interface interface() {
    net::Interface interface;
    interface.mac = own_mac;
    interface.addresses = {{own_v4, 24}, {own_v6, 64}};
    return interface;
  }
  void release(std::uint64_t token) {
    auto& kept = lent_[token % lent_max];
    TR_ASSERT(kept != nullptr);
    kept.reset();
  }
  void on_event(const net::Event& event) {
    switch (event.kind) {
      case net::Event::Kind::accepted:
      case net::Event::Kind::connected:
        conns.insert(event.conn);
        return;
      case net::Event::Kind::data:
        stack_.consumed(event.conn, event.bytes.size());
        release(event.token);
        return;
      case net::Event::Kind::closed:
        conns.erase(event.conn);
        return;
      case net::Event::Kind::sent:
      case net::Event::Kind::peer_ended:
        return;
    }
  }

  net::Stack stack_;
  std::uint64_t next_token_ = 0;
  std::array<std::unique_ptr<std::vector<std::byte>>, lent_max> lent_;
};

// A whole frame with this segment, over IPv4 or IPv6, from the peer to the own port.
inline std::vector<std::byte> segment_frame(bool is_v6, net::TcpHeader header, Bytes payload) {
  const net::IpHeader ip{.source = is_v6 ? peer_v6 : peer_v4,
                         .destination = is_v6 ? own_v6 : own_v4};
  header.source_port = peer_port;
  std::vector<std::byte> frame(net::ethernet_bytes + net::ip_bytes(ip.source) + 60);
  net::store_ethernet(frame.data(), {own_mac, peer_mac, net::no_vlan,
                                     is_v6 ? net::EtherType::ipv6 : net::EtherType::ipv4});
  std::byte* at = frame.data() + net::ethernet_bytes;
  const std::size_t size = net::store_tcp(at + net::ip_bytes(ip.source), header, ip.source,
                                          ip.destination, payload.size());
  net::store_ip(at, ip, size + payload.size());
  frame.resize(net::ethernet_bytes + net::ip_bytes(ip.source) + size);
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

}  // namespace tailrace::fuzz
