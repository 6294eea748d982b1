// The parts of TCP that a core has one of, and the steps that a connection goes through. Read
// connection.h first. A step changes its connection and marks what must follow: the connection is
// dirty (something may go out), has events (the application must be told), or its deadline moved.
// Nothing is sent or told in the middle of a step, so none of them is entered twice.
#pragma once

#include <cstdint>
#include <span>

#include "base/frame.h"
#include "net/connection.h"
#include "net/control_queue.h"
#include "net/counters.h"
#include "net/flow_table.h"
#include "net/interface.h"
#include "net/limits.h"
#include "net/pool.h"
#include "net/secrets.h"
#include "net/syn_cache.h"
#include "net/time_wait.h"
#include "net/timer_wheel.h"

namespace tailrace::net {

// What a number in the flow table stands for: the top bits say of which table it is.
enum class FlowKind : std::uint32_t { connection = 0, half_open = 1, time_wait = 2 };
inline constexpr std::uint32_t flow_index_bits = 28;
constexpr std::uint32_t flow_value(FlowKind kind, std::uint32_t index) {
  return static_cast<std::uint32_t>(kind) << flow_index_bits | index;
}
constexpr FlowKind flow_kind(std::uint32_t value) { return FlowKind{value >> flow_index_bits}; }
constexpr std::uint32_t flow_index(std::uint32_t value) {
  return value & ((1U << flow_index_bits) - 1);
}

// One segment, and the frame it came in.
struct Arrival {
  const TcpSegment& segment;
  Ecn ecn = Ecn::not_capable;
  std::uint64_t token = 0;
};

// Timestamps go round like sequence numbers (RFC 7323, 5.2).
constexpr bool is_older_stamp(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

// A first-in-first-out list of connections, linked through them; each is in it at most once.
struct ConnectionList {
  std::uint32_t head = none;
  std::uint32_t tail = none;
};

struct Tcp {
  Tcp(const Limits& limits_, const Interface& interface_, const SipKey& key, Instant start);

  Limits limits;
  Interface interface;
  Secrets secrets;
  Counters counters;
  Instant now;

  Pool<Connection> connections;
  FlowTable flows;
  TimerWheel wheel;                  // connections, then half-open ones
  SendMemory sends;
  SentMemory records;
  ReceiveMemory receive;
  Neighbours neighbours;
  ControlQueue control;
  SynCache half_open;
  TimeWaitTable time_wait;
  ConnectionList dirty;
  ConnectionList eventful;
  ConnectionList missing_neighbour;  // linked like dirty ones, as these
  ConnectionList starved;            // memory was short when they wanted to send
  std::uint64_t receive_bytes = 0;   // buffers promised
  std::uint32_t resets_left = 0;
  std::uint32_t echoes_left = 0;
  Instant rate_second{};
  bool predicts = true;              // tests look whether on_segment() does the same without

  std::uint32_t index_of(const Connection& c) const {
    return static_cast<std::uint32_t>(&c - &connections[0]);
  }
  Connection& operator[](std::uint32_t index) { return connections[index]; }
  void count(Count what, std::uint64_t amount = 1) { counters.add(what, amount); }

  void mark_dirty(Connection& c);
  // The first of a list, no longer in it; none when it is empty.
  std::uint32_t pop_dirty();
  std::uint32_t pop_eventful();
  // Puts a connection that was dirty into one of the lists of those that wait; wake() makes all of
  // a list dirty again.
  void wait_in(ConnectionList& list, Connection& c);
  void wake(ConnectionList& list);
  void note_events(Connection& c);
  // The wheel must not come later than the connection's earliest deadline.
  void schedule(Connection& c);
  std::uint32_t clock_ms() const { return static_cast<std::uint32_t>(now.ns / 1'000'000); }
  std::uint32_t timestamp(const Connection& c) const { return clock_ms() + c.timestamp_offset; }
  // Whose link address a packet to `remote` needs; null without a way there.
  const IpAddress* next_hop(const IpAddress& remote) const;
  // Whether there is memory for one more record of what this connection has sent. The last quarter
  // is for connections that have few: peers who acknowledge nothing, or in splinters, must not stop
  // all others.
  bool may_record(const Connection& c) const;
  // A token of this second's resets or echoes.
  bool take_rate(std::uint32_t& left);

  // A connection in its first state, in no table yet; null when there is none left.
  Connection* make(const Flow& flow);
  void enter_flow(Connection& c);
  // The connection is no more: `closed` follows. What was received before is still told, but not to
  // an application that has paused when the end was not orderly.
  void kill(Connection& c, bool is_orderly = false);
  // ... but its flow rests for two segment lifetimes (RFC 9293, 3.6.1).
  void rest(Connection& c);
  // Tells the peer with a reset, then kill().
  void reset(Connection& c);
  // Gives the slot back, after `closed` was told.
  void forget(Connection& c);
  // Sizes of segments, from what the peer and the path take.
  void set_segment_size(Connection& c);
};

// --- the steps, in the order of their files

// A segment of this connection. True: its frame is held (it will be released, or told as data).
bool on_segment(Tcp& tcp, Connection& c, const Arrival& arrival);

// The handshake is complete: both windows and sequence numbers are known.
void establish(Tcp& tcp, Connection& c);
// A double came, to be reported with the next ACK.
void note_duplicate(Connection& c, SeqRange range);

// Whether it is what header prediction expects (Van Jacobson, 1990): the next bytes in order of a
// connection that has nothing under way, and nothing else about it. Then take_predicted() does for
// it what all the steps would.
bool is_predicted(const Tcp& tcp, const Connection& c, const Arrival& arrival);
bool take_predicted(Tcp& tcp, Connection& c, const Arrival& arrival);

// Its payload and FIN, acceptable and in a state that receives.
bool on_payload(Tcp& tcp, Connection& c, const Arrival& arrival);
// The application has consumed bytes of data events.
void on_consumed(Tcp& tcp, Connection& c, std::uint64_t bytes);
// What the window field may say now; moves the edge.
std::uint16_t advertise(Tcp& tcp, Connection& c);

// Its acknowledgement, which lies in [SND.UNA - the largest window, SND.NXT].
void on_ack(Tcp& tcp, Connection& c, const TcpSegment& segment);

// --- loss (tcp_recovery.cc)
struct AckNews {
  std::uint32_t acked_bytes = 0;     // cumulatively
  std::uint32_t delivered_bytes = 0; // ... and by SACK, each once
  Duration sample{};
  Instant newest_sent_at{};
  bool advanced = false;
  bool is_duplicate = false;         // RFC 5681, 2
  bool has_dsack = false;
  bool acked_resent = false;
};
void rack_delivered(Connection& c, const SentRecord& record, std::uint32_t echo_age_stamp,
                    bool has_echo, Instant now);
// Marks what RACK holds for lost; sets the reordering timer. True if anything was marked.
bool rack_detect(Tcp& tcp, Connection& c);
void take_dsack(Tcp& tcp, Connection& c, SeqRange dsack);
void recover(Tcp& tcp, Connection& c, const TcpSegment& segment, AckNews& news);
void on_retransmit_timeout(Tcp& tcp, Connection& c);
void on_reordering_timer(Tcp& tcp, Connection& c);
void mark_lost_for_smaller_segments(Tcp& tcp, Connection& c);
// Bytes under way; without SACK, each duplicate ACK stands for a segment that arrived.
std::uint32_t pipe_of(const Connection& c);

// --- output (tcp_output.cc)
enum class FillEnd : std::uint8_t {
  done,          // nothing is left for now
  more,          // no room in `frames`
  starved,       // memory is short
  no_neighbour,  // its link address is being asked for
};
// Fills frames with what the connection may send now.
std::size_t fill_frames(Tcp& tcp, Connection& c, std::span<TxFrame> frames, FillEnd& end);

// --- time (tcp_timers.cc)
void on_timer(Tcp& tcp, Connection& c);
void arm_retransmit(Tcp& tcp, Connection& c);
// ... without a loss probe before it.
void arm_timeout(Tcp& tcp, Connection& c);
void arm_idle(Tcp& tcp, Connection& c);

// --- answers without a connection (tcp_control.cc)
struct ControlSegment {
  Flow flow;
  TcpHeader header;
  Ecn ecn = Ecn::not_capable;
};
void push_control_segment(Tcp& tcp, const ControlSegment& segment);
void push_time_wait_ack(Tcp& tcp, TimeWait& entry);
// RFC 9293, 3.10.7.1: what a segment of no connection gets.
void push_reset_for(Tcp& tcp, const Flow& flow, const TcpSegment& segment);

}  // namespace tailrace::net
