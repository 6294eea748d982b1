// One TCP connection (RFC 9293, 3.3.2), as data. What happens to it is in tcp_input.cc (a segment),
// tcp_ack.cc and tcp_recovery.cc (an acknowledgement), tcp_output.cc (what goes out) and
// tcp_timers.cc.
//
//                      connect()                                      listener, SYN
//                          |                                               v
//                      [syn_sent] --SYN--> [syn_received]         (half-open table, syn_cache.h)
//                          |                    |                          |
//                   SYN,ACK|                ACK |                      ACK |
//                          +------------> [established] <------------------+
//                            shutdown() |           | FIN
//                                       v           v
//               FIN               [fin_wait_1]   [close_wait]
//        +---------------------------- | |           | shutdown()
//        v               ACK of FIN    | |           v
//    [closing]        +----------------+ |FIN,ACK  [last_ack]
//        | ACK        v                  v           | ACK
//        |      [fin_wait_2] --FIN--> (time-wait     v
//        +--------------------------->  table)    [closed]
//
// A reset, abort(), or a time-out leads to closed from anywhere. A connection stays in the table
// of the core as `closed` until the application has been told and all its memory is back.
// LISTEN is a listener and TIME-WAIT an entry of a table of its own: neither needs all this.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "net/address.h"
#include "net/congestion.h"
#include "net/neighbours.h"
#include "net/receive_queue.h"
#include "net/rtt.h"
#include "net/send_queue.h"
#include "net/sent_log.h"
#include "net/seq.h"
#include "net/tcp_header.h"

namespace tailrace::net {

enum class TcpState : std::uint8_t {
  closed,
  syn_sent,
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
};

// How the sender stands to loss.
enum class Recovery : std::uint8_t {
  steady,
  reduced,   // ECN: the window shrinks, nothing is to be sent again
  fast,      // found by RACK, or by three duplicate ACKs
  timeout,   // the retransmission timer went off
};

// What the retransmission timer stands for.
enum class RetransmitTimer : std::uint8_t { off, timeout, loss_probe, persist };

// RACK's view of what was delivered last (RFC 8985, 5.2).
struct Rack {
  Instant sent_at{};
  Duration rtt{};
  Seq end;
  Seq highest;                     // delivered
  Seq dsack_round_end;
  bool has_dsack_round = false;
  bool saw_reordering = false;
  std::uint8_t window_factor = 1;
  std::uint8_t window_persist = 0; // recoveries until the factor falls back
};

// In groups of cache lines by what touches them, for with many connections none of them is in a
// cache: a segment in order needs the first, an acknowledgement a few more, and what only loss, the
// handshake or an attack needs is at the end.
struct Connection {
  // Of the lists it is in; stay when the slot gets another connection.
  struct Links {
    std::uint32_t dirty_next = none;
    std::uint32_t event_next = none;
    bool is_dirty = false;
    bool has_events = false;
  };

  // --- line 0: who it is
  std::uint32_t next = none;       // Pool
  std::uint32_t generation = 0;
  Links links;
  Flow flow;
  std::uint32_t hash = 0;
  std::uint32_t listener = 0;

  // --- line 1: both directions
  alignas(64) TcpState state = TcpState::closed;
  Recovery recovery = Recovery::steady;
  RetransmitTimer retransmit_timer = RetransmitTimer::off;
  std::uint8_t send_scale = 0;
  std::uint8_t receive_scale = 0;
  std::uint8_t retries = 0;             // of the retransmission timer, in a row
  std::uint8_t keepalives = 0;
  bool uses_scale = false;
  bool uses_timestamps = false;
  bool uses_sack = false;
  bool uses_ecn = false;
  bool is_passive = false;
  bool was_cookie = false;              // a double of what began it would begin another
  bool is_paused = false;               // data events are held back
  bool is_closing = false;              // close(): received bytes are thrown away
  bool wants_fin = false;
  bool fin_sent = false;
  bool fin_acked = false;
  bool fin_received = false;            // in order
  bool has_early_fin = false;
  bool syn_due = false;                 // a SYN or SYN-ACK must go out
  bool ack_now = false;
  bool echo_congestion = false;         // ECE until the peer says CWR
  bool say_reduced = false;             // CWR with the next new segment
  bool is_probe_due = false;            // one byte beyond the window
  bool is_keepalive_due = false;
  bool is_tail_probe_due = false;
  bool is_pacing_wait = false;
  std::uint8_t tail_probes = 0;         // sent and not answered
  std::uint8_t tail_probes_resent = 0;  // of them, resends that may have repaired a loss unseen
  bool tell_accepted = false;
  bool tell_connected = false;
  bool tell_end = false;
  bool tell_closed = false;
  bool may_undo = false;
  std::uint8_t black_hole_step = 0;
  std::uint8_t challenges_left = 0;
  std::uint8_t sack_count = 0;
  std::uint8_t sacks_heard_count = 0;
  std::uint8_t duplicate_acks_due = 0;  // without SACK: one for each segment out of order
  std::uint16_t duplicate_acks = 0;
  std::uint16_t receive_mss = 536;      // the largest segment seen
  std::uint16_t send_mss = 536;         // payload of a full segment, options taken off
  std::uint16_t peer_mss = 536;
  std::uint16_t path_mtu = 1500;
  NeighbourRef neighbour;
  Seq early_fin;

  // --- line 2: receiving
  alignas(64) Seq receive_next;                     // RCV.NXT
  Seq receive_edge;                     // the end of the window as last advertised: never goes back
  Seq last_ack_sent;
  std::uint32_t receive_buffer = 0;
  std::uint32_t receive_held = 0;       // in order, and not yet consumed by the application
  std::uint32_t unacked_bytes = 0;      // received since our last ACK
  Instant timestamp_recent_at{};
  std::uint32_t timestamp_recent = 0;
  std::uint32_t timestamp_offset = 0;
  ReceiveQueue received;

  // --- line 3: the peer's window, and when what was heard
  alignas(64) Seq send_unacked;                     // SND.UNA
  Seq send_next;                        // SND.NXT
  Seq send_edge;                        // the furthest end of the peer's window so far
  Seq window_seq;                       // SND.WL1
  Seq window_ack;                       // SND.WL2
  std::uint32_t send_window = 0;
  std::uint32_t send_window_max = 0;
  Seq recovery_end;
  SeqRange dsack;                       // a double to report
  Instant heard_at{};
  Instant sent_at{};                    // the last data
  Instant progress_at{};                // since when nothing was acknowledged

  // --- line 4: time
  alignas(64) Instant armed_at = never();           // what the timer wheel has
  Instant retransmit_at = never();
  Instant reorder_at = never();
  Instant ack_at = never();
  Instant pace_at{};                    // not before
  Instant idle_at = never();            // keepalive, or the end of closing
  std::uint64_t consumed_bytes = 0;     // since tuned_at
  Instant tuned_at{};

  // --- lines 5 and 6: what was sent
  alignas(64) SendQueue queue;
  SentLog sent;
  Rtt rtt;

  // --- lines 7 and 8: how much may be
  alignas(64) Congestion congestion;
  Rack rack;

  // --- the rest: loss, the handshake, attacks
  alignas(64) std::array<SeqRange, sacks_max> sacks;        // newest first
  std::array<SeqRange, sacks_max> sacks_heard;  // the peer's, of its last ACK with any
  Instant invalid_ack_at{};
  Instant challenge_second{};
  Seq peer_start;                       // IRS
  Seq send_start;                       // ISS
  Seq undo_from;
  std::uint32_t undo_resent = 0;        // retransmissions of this recovery the peer had not needed
  std::uint32_t first_resend_stamp = 0; // our timestamp of the first retransmission
  Seq tail_probe_end;
  Seq ecn_reduced_to;                   // one reduction per round trip

  // For prefetching: what a segment in order touches, and what an acknowledgement does.
  static constexpr std::size_t data_bytes = 7 * 64;
  static constexpr std::size_t ack_bytes = 9 * 64;

  bool is_synchronized() const { return state >= TcpState::established; }
  bool may_send_data() const {
    return state == TcpState::established || state == TcpState::close_wait ||
           state == TcpState::fin_wait_1 || state == TcpState::closing ||
           state == TcpState::last_ack;
  }
  bool may_receive_data() const {
    return state == TcpState::established || state == TcpState::fin_wait_1 ||
           state == TcpState::fin_wait_2;
  }
  std::uint32_t in_flight() const { return send_next - send_unacked; }
  // The number of a segment without data: SND.NXT, but not beyond what the peer ever offered. A
  // probe of a closed window goes beyond it, and a peer that threw it away takes nothing that lies
  // there.
  Seq bare_seq() const { return is_synchronized() ? earlier(send_next, send_edge) : send_next; }
};
// So the groups above leave no gaps.
static_assert(sizeof(Connection) == 11 * 64);

}  // namespace tailrace::net
