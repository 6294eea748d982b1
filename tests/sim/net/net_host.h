// One simulated host: the stack, a device that reads what it is to send only some time after it
// was told (as one with DMA does), and an application that writes a stream whose every byte is
// known from its place, and reads the other's at its own pace.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "net/stack.h"
#include "net_link.h"

namespace tailrace::sim {

enum class EndMode : std::uint8_t { shut_down, close, abort };

struct AppPlan {
  std::uint64_t bytes = 0;             // to write
  std::uint32_t write_max = 65'536;    // of one send
  std::uint32_t writes_in_flight = 4;
  std::uint32_t pause_chance = 0;      // of 1000 turns with data: stop reading for a while
  Duration pause_max{};
  std::uint32_t write_pause_chance = 0;
  Duration write_pause_max{};
  EndMode end = EndMode::close;
};

struct HostPlan {
  net::Limits limits;
  net::Interface interface;
  AppPlan app;
  Duration device_delay{};
  std::int64_t clock_offset_ns = 0;
  std::uint64_t key = 0;
  // The network doubles frames: an old SYN and an old ACK may begin a connection anew when the
  // first is over. Only the side that ended first rests (RFC 9293, 3.6.1).
  bool may_see_ghosts = false;
};

// The byte at a place of the stream that host `writer` writes.
inline std::byte stream_byte(std::uint64_t seed, int writer, std::uint64_t at) {
  std::uint64_t x = (at >> 3) * 0x9e3779b97f4a7c15U + seed * 2 + static_cast<unsigned>(writer);
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 32;
  return static_cast<std::byte>(x >> (8 * (at & 7)));
}

class NetHost {
 public:
  NetHost(const HostPlan& plan, std::uint8_t index, std::uint64_t seed, NetLink& link,
          Instant start);

  void connect(const net::Endpoint& remote, Instant now);
  // Frames that arrived are handed over with the next turn.
  void receive(std::vector<std::byte> frame) { arrived_.push_back(std::move(frame)); }
  void turn(Instant now);
  Instant next_deadline() const;

  // All of the peer's bytes and its end came, all of ours were acknowledged, the connection and
  // all memory are gone. `peer_bytes`: how many there should be.
  bool is_done(std::uint64_t peer_bytes) const;
  bool is_closed() const { return closed_; }
  const std::string& failure() const { return failure_; }
  std::uint64_t received_bytes() const { return received_; }
  std::uint64_t written_bytes() const { return written_; }
  std::uint64_t longest_gap_ns() const { return longest_gap_ns_; }
  net::Stack& stack() { return stack_; }
  const net::Counters& counters() const { return stack_.counters(); }
  std::string describe() const;

 private:
  struct Write {
    std::vector<std::byte> memory;
    std::uint64_t token = 0;
  };
  struct Delayed {
    Instant at;
    TxFrame frame;
  };

  Instant own(Instant now) const { return now + Duration{plan_.clock_offset_ns}; }
  void fail(std::string what);
  void on_accepted(ConnId conn);
  bool is_of_ghost(const net::Event& event) const;
  void take_events(Instant now);
  void on_data(const net::Event& event);
  void write(Instant now);
  void read_on(Instant now);
  void end_if_done();
  void send_frames(Instant now);
  void put_on_wire(const TxFrame& frame, Instant now);
  void take_released();
  void check_promises(Instant now);

  HostPlan plan_;
  std::uint8_t index_;
  std::uint64_t seed_;
  NetLink& link_;
  Prng prng_;
  net::Stack stack_;
  ConnId conn_ = 0;
  std::vector<std::vector<std::byte>> arrived_;
  std::unordered_map<std::uint64_t, std::vector<std::byte>> lent_;  // frames the stack has
  std::uint64_t next_token_ = 0;
  std::deque<Write> writes_;
  std::deque<Delayed> device_;
  std::uint64_t written_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t unconsumed_ = 0;
  std::uint64_t next_write_token_ = 1;
  Instant read_again_at_ = never();
  Instant write_again_at_ = never();
  Instant last_sent_at_{};
  std::uint64_t longest_gap_ns_ = 0;
  bool peer_ended_ = false;
  bool ended_ = false;
  bool closed_ = false;
  bool has_ghosts_ = false;
  std::string failure_;
};

}  // namespace tailrace::sim
