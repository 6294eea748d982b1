// Passive open (RFC 9293, 3.10.7.2), with what protects it: a bounded table of half-open
// handshakes, SYN cookies above its watermark (RFC 4987), and TIME-WAIT's part in it (RFC 6191,
// RFC 1337).
#pragma once

#include <cstdint>
#include <vector>

#include "net/tcp.h"

namespace tailrace::net {

class TcpListen {
 public:
  explicit TcpListen(Tcp& tcp) : tcp_(tcp) { listeners_.reserve(tcp.limits.listeners_max); }

  // The number of the listener; none when there are too many. An unspecified address stands for
  // all of its family.
  std::uint32_t listen(const Endpoint& local);

  // A segment whose flow is in no table, or (`value`) is half open or at rest. True: its frame is
  // held.
  bool on_segment(const Flow& flow, const Arrival& arrival);
  bool on_half_open_segment(std::uint32_t index, const Flow& flow, const Arrival& arrival);
  bool on_time_wait_segment(std::uint32_t index, const Flow& flow, const Arrival& arrival);
  // The wheel's entry of a half-open handshake.
  void on_half_open_timer(std::uint32_t index);
  void drop_rested();
  // A handshake that the network says is hopeless.
  void drop_half_open(std::uint32_t index);
  Flow flow_of(const HalfOpen& entry) const;

 private:
  // What both a table entry and a cookie tell about a handshake.
  struct Handshake {
    std::uint32_t listener = 0;
    Seq start;
    Seq peer_start;
    std::uint16_t mss = 536;
    std::uint8_t window_scale = no_window_scale;
    bool uses_timestamps = false;
    bool uses_sack = false;
    bool uses_ecn = false;
    bool was_cookie = false;
    std::uint32_t timestamp_recent = 0;
    Duration rtt{};
  };

  std::uint32_t find_listener(const Endpoint& local) const;
  void on_syn(const Flow& flow, const Arrival& arrival, std::uint32_t listener, Seq floor);
  void push_syn_ack(const Flow& flow, const Handshake& handshake, std::uint32_t timestamp);
  void push_half_open_syn_ack(std::uint32_t index);
  bool on_cookie(const Flow& flow, const Arrival& arrival, std::uint32_t listener);
  bool complete(const Flow& flow, const Handshake& handshake, const Arrival& arrival);
  Handshake handshake_of(const HalfOpen& entry) const;
  std::uint8_t receive_scale() const;

  Tcp& tcp_;
  std::vector<Endpoint> listeners_;
  Instant cookies_until_{};    // while peers may still answer cookies of ours
};

}  // namespace tailrace::net
