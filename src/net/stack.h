// Stack: TCP/IP of one core over one interface. It is handed frames and the time, and hands back
// frames and events; it reads no clock, draws no random numbers and allocates nothing after it was
// made.
//
//   turn:  input(frames, now)       what the device received: staged, see below
//          advance(now)             timers; after input, lest a stall look like a loss
//          take_events(...)         what the application must hear
//          (send, consumed, ...)    what it says
//          output(frames, now)      what the device is to send
//          take_released()          received frames that are the device's again
//          transmitted(hold)        for each frame with a hold that the device has finished with
//
// input() works in stages over bursts of 32: take all frames apart and fetch the slots of their
// flows; find all connections and fetch them; then process in order. Memory that a later stage
// needs is on its way while the others are worked on. output() makes one pass over what became
// dirty, so that a burst causes at most one ACK per connection; only to a peer without SACK there
// is one for each segment out of order.
//
// What is where: base/frame.h (memory of frames); ethernet.h, arp.h, ip.h, icmp.h, tcp_header.h
// (bytes); packet.h (all of them at once); neighbours.h; connection.h and tcp.h (TCP);
// tcp_listen.h (passive open).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/frame.h"
#include "base/ops.h"
#include "base/time.h"
#include "net/arp.h"
#include "net/icmp.h"
#include "net/interface.h"
#include "net/limits.h"
#include "net/packet.h"
#include "net/tcp.h"
#include "net/tcp_listen.h"

namespace tailrace::net {

struct Event {
  enum class Kind : std::uint8_t {
    accepted,    // a peer connected; listener tells on which
    connected,   // connect() succeeded
    data,        // bytes in order, in a frame that is the application's until it gives the device
                 // its token back; tell consumed() as well, or the window stays closed
    sent,        // the send with this token is done: its memory is the application's again
    peer_ended,  // no more data will come; we may still send
    closed,      // the connection is gone; everything sent was told before
  };
  Kind kind = Kind::closed;
  ConnId conn = 0;
  Bytes bytes;
  std::uint64_t token = 0;
  std::uint32_t listener = 0;
  IpAddress peer;   // of accepted
};

// A station that uses an address of ours.
struct Conflict {
  IpAddress address;
  MacAddress mac;
};

// One line of a table of connections.
struct ConnectionInfo {
  Flow flow;
  TcpState state = TcpState::closed;
  std::uint32_t congestion_window = 0;
  std::uint32_t in_flight = 0;
  std::uint32_t send_window = 0;
  std::uint32_t receive_window = 0;
  std::uint64_t unsent_bytes = 0;
  std::uint16_t segment_bytes = 0;
  Duration round_trip{};
};

class Stack {
 public:
  // `key` is secret and new at each start (net/secrets.h).
  Stack(const Limits& limits, const Interface& interface, const SipKey& key, Instant start);

  void input(std::span<const RxFrame> frames, Instant now);
  void advance(Instant now);
  std::size_t output(std::span<TxFrame> frames, Instant now);
  std::size_t take_events(std::span<Event> events);
  std::span<const std::uint64_t> take_released() { return tcp_.receive.take_released(); }
  void transmitted(std::uint32_t hold);
  // When advance() or output() wants to be called even without a frame. At once (the last `now`)
  // while something waits to go out or to be told.
  Instant next_deadline() const;

  // The number that `accepted` will name, or no_listener: too many.
  static constexpr std::uint32_t no_listener = none;
  std::uint32_t listen(const Endpoint& local) { return listen_.listen(local); }
  // `connected` or `closed` follows; 0 when there is no room, no way there or no port. With
  // `local_port` 0 a port is chosen; a caller that needs one whose hash lands on its own queue
  // asks next_port() until one does.
  ConnId connect(const Endpoint& remote, std::uint16_t local_port, Instant now);
  // Each time another, which may be taken (RFC 6056, 3.3.3); 0 when there is no way there. So a
  // port rests for long before it goes to the same peer again, who may not be done with it.
  std::uint16_t next_port(const Endpoint& remote);

  // All of it, or nothing (false: too much is queued already; try again after a `sent`). The
  // memory stays as it is until `sent` tells the token, which comes also when the connection is
  // gone; then its conn may be 0.
  bool send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token);
  // The application is done with bytes of data events.
  void consumed(ConnId conn, std::uint64_t bytes);
  // While paused no data and no peer_ended comes, and the window closes.
  void pause(ConnId conn);
  void resume(ConnId conn);
  // No more is sent after what is queued (a FIN); data still comes.
  void shutdown(ConnId conn);
  // ... and what comes is thrown away; `closed` follows when both sides have ended, or after
  // limits.finishing_max and draining_max with a reset.
  void close(ConnId conn);
  // At once, with a reset; `closed` follows.
  void abort(ConnId conn);

  // One that spoke since the last call, if one did; it was answered (RFC 5227, 2.4).
  std::optional<Conflict> take_conflict() { return std::exchange(conflict_, std::nullopt); }

  // False for a stale id.
  bool info(ConnId conn, ConnectionInfo& info) const;
  // All connections, for a table: calls f(id, info).
  template <class F>
  void for_each(F&& f) const {
    for (std::uint32_t i = 0; i < tcp_.connections.capacity(); ++i) {
      ConnectionInfo line;
      const Connection& c = tcp_.connections[i];
      if (c.state != TcpState::closed && info(id_of(i, c), line)) f(id_of(i, c), line);
    }
  }
  std::uint32_t connection_count() const { return tcp_.connections.used_count(); }
  const Counters& counters() const { return tcp_.counters; }
  const Interface& interface() const { return tcp_.interface; }
  // For tests: everything, and whether it adds up.
  Tcp& tcp() { return tcp_; }
  bool is_consistent() const;

 private:
  static constexpr std::size_t burst_max = 32;

  static ConnId id_of(std::uint32_t index, const Connection& c) {
    return (std::uint64_t{c.generation} << 32 | index) + 1;
  }
  Connection* find(ConnId id);

  void input_burst(std::span<const RxFrame> frames);
  bool process(Packet& packet);
  bool process_tcp(Packet& packet);
  std::uint32_t lookup(std::uint32_t hash, const Flow& flow) const;

  void on_arp(const Packet& packet);
  bool on_icmp(const Packet& packet);
  bool on_echo(const Packet& packet, const IcmpMessage& message);
  void on_unreachable(const IcmpMessage& message);
  void on_too_big(const IcmpMessage& message);
  void on_neighbour_message(const Packet& packet, const IcmpMessage& message);
  void on_router(const Packet& packet, const IcmpMessage& message);
  void learn(const Neighbours::News& news);
  void announce(const IpAddress& own);
  void on_conflict(const IpAddress& own, const MacAddress& mac);
  void push_arp(const ArpPacket& packet, const MacAddress& to);
  void push_neighbour_message(IpHeader ip, const NeighbourMessage& message, const MacAddress& to);
  void push_questions();
  Connection* quoted_connection(const IcmpMessage& message);

  std::size_t output_control(std::span<TxFrame> frames);
  bool fill_control(std::uint32_t index, TxFrame& frame);
  std::size_t output_connections(std::span<TxFrame> frames);
  std::size_t take_events_of(Connection& c, std::span<Event> events, bool& is_done);

  Tcp tcp_;
  TcpListen listen_;
  std::unique_ptr<std::array<Packet, burst_max>> burst_;
  // The received frame that lies under an echo reply which the device still holds.
  struct EchoHold {
    std::uint32_t next = none;
    std::uint64_t token = 0;
  };
  Pool<EchoHold> echoes_;
  Instant router_until_ = never();
  std::optional<Conflict> conflict_;
  std::vector<Instant> conflict_at_;     // of each address the last one; 0: there was none
  std::uint32_t ports_tried_ = 0;
};

}  // namespace tailrace::net
