// A segment arrives (RFC 9293, 3.10.7), with the checks of RFC 7323 (old timestamps) and RFC 5961
// (blind attacks). The order of the checks is the standard's.
#include <algorithm>

#include "base/assert.h"
#include "net/tcp.h"

namespace tailrace::net {
namespace {

constexpr Duration invalid_ack_interval = milliseconds(500);
// RFC 7323, 5.5: a timestamp of this age says nothing any more.
constexpr Duration timestamp_age_max = seconds(24 * 24 * 3600);

// RFC 5961, 7: at most so many per second and connection. A limit over all connections would let
// one peer learn about another's (CVE-2016-5696).
void challenge(Tcp& tcp, Connection& c) {
  if (tcp.now - c.challenge_second >= seconds(1)) {
    c.challenge_second = tcp.now;
    c.challenges_left = static_cast<std::uint8_t>(
        std::min<std::uint32_t>(tcp.limits.challenge_acks_per_second, 255));
  }
  if (c.challenges_left == 0) return;
  --c.challenges_left;
  tcp.count(Count::challenge_acks);
  c.ack_now = true;
  tcp.mark_dirty(c);
}

// The answer to what lies outside the window. Two ends that both think so must not answer each
// other for ever, so pure ACKs get few.
void answer_unacceptable(Tcp& tcp, Connection& c, const TcpSegment& segment) {
  if (segment.header.has(tcp_flag::rst)) return;
  if (segment.length() == 0) {
    if (c.invalid_ack_at.ns != 0 && tcp.now - c.invalid_ack_at < invalid_ack_interval) return;
    c.invalid_ack_at = tcp.now;
  }
  c.ack_now = true;
  tcp.mark_dirty(c);
}

// RFC 7323, 5.3. A missing timestamp is accepted: some middleboxes take them out.
bool is_old_duplicate(const Tcp& tcp, const Connection& c, const TcpHeader& header) {
  return c.uses_timestamps && header.options.has_timestamp && !header.has(tcp_flag::rst) &&
         is_older_stamp(header.options.timestamp, c.timestamp_recent) &&
         tcp.now - c.timestamp_recent_at < timestamp_age_max;
}

void remember_timestamp(const Tcp& tcp, Connection& c, const TcpHeader& header) {
  if (!c.uses_timestamps || !header.options.has_timestamp) return;
  // RFC 7323, 4.3: of segments that begin at or before what our last ACK named, so that a delayed
  // ACK echoes the first one's.
  if (header.seq > c.last_ack_sent) return;
  if (is_older_stamp(header.options.timestamp, c.timestamp_recent)) return;
  c.timestamp_recent = header.options.timestamp;
  c.timestamp_recent_at = tcp.now;
}

void take_syn_options(Tcp& tcp, Connection& c, const TcpHeader& header) {
  const TcpOptions& options = header.options;
  c.peer_mss = options.mss == 0 ? (c.flow.remote.address.is_v4() ? 536 : 1220) : options.mss;
  c.uses_scale = options.window_scale != no_window_scale;
  c.send_scale = c.uses_scale ? options.window_scale : std::uint8_t{0};
  if (!c.uses_scale) c.receive_scale = 0;
  c.uses_sack = options.sack_permitted;
  c.uses_timestamps = options.has_timestamp;
  if (c.uses_timestamps) {
    c.timestamp_recent = options.timestamp;
    c.timestamp_recent_at = tcp.now;
  }
  tcp.set_segment_size(c);
}

// Both SYNs are known: numbers and windows begin.
void take_peer_start(Connection& c, Seq seq) {
  c.peer_start = seq;
  c.receive_next = seq + 1;
  c.last_ack_sent = c.receive_next;
  c.receive_edge = c.receive_next + std::min<std::uint32_t>(c.receive_buffer, 0xffff);
}

// RFC 9293, 3.10.7.3.
void on_segment_syn_sent(Tcp& tcp, Connection& c, const TcpSegment& segment) {
  const TcpHeader& header = segment.header;
  const bool has_ack = header.has(tcp_flag::ack);
  if (has_ack && header.ack != c.send_next) {
    if (!header.has(tcp_flag::rst)) push_reset_for(tcp, c.flow, segment);
    return;
  }
  if (header.has(tcp_flag::rst)) {
    // Without an ACK of our SYN it may be from anyone.
    if (has_ack) {
      tcp.count(Count::resets_in);
      tcp.kill(c);
    }
    return;
  }
  if (!header.has(tcp_flag::syn)) return;
  take_syn_options(tcp, c, header);
  take_peer_start(c, header.seq);
  c.send_window = header.window;
  c.send_window_max = header.window;
  c.window_seq = header.seq;
  c.window_ack = header.ack;
  if (!has_ack) {
    // Both opened at once (RFC 9293, figure 8).
    c.state = TcpState::syn_received;
    c.syn_due = true;
    tcp.mark_dirty(c);
    return;
  }
  c.uses_ecn = tcp.interface.use_ecn && header.has(tcp_flag::ece) && !header.has(tcp_flag::cwr);
  c.send_unacked = header.ack;
  if (c.retries == 0) c.rtt.sample(tcp.now - c.sent_at, tcp.now);
  establish(tcp, c);
  c.tell_connected = true;
  tcp.count(Count::connected);
  c.ack_now = true;
  tcp.mark_dirty(c);
  tcp.note_events(c);
}

// True when the segment is done with.
bool check_reset(Tcp& tcp, Connection& c, const TcpHeader& header) {
  if (!header.has(tcp_flag::rst)) return false;
  if (header.seq == c.receive_next) {
    tcp.count(Count::resets_in);
    tcp.kill(c);
  } else if (header.seq > c.receive_next && header.seq < c.receive_edge) {
    challenge(tcp, c);   // RFC 5961, 3.2: whoever guessed only the window is not the peer.
  }
  return true;
}

// The ACK of our SYN when both opened at once.
bool check_syn_received(Tcp& tcp, Connection& c, const TcpSegment& segment) {
  const TcpHeader& header = segment.header;
  if (header.ack != c.send_next) {
    push_reset_for(tcp, c.flow, segment);
    return false;
  }
  c.send_unacked = header.ack;
  c.send_window = std::uint32_t{header.window} << (header.has(tcp_flag::syn) ? 0 : c.send_scale);
  c.send_window_max = c.send_window;
  c.window_seq = header.seq;
  c.window_ack = header.ack;
  establish(tcp, c);
  c.tell_connected = true;
  tcp.count(Count::connected);
  tcp.note_events(c);
  return true;
}

// RFC 5961, 5.2 for data, and for everything else that acknowledges what was never sent.
bool is_ack_acceptable(const Connection& c, Seq ack) {
  return ack <= c.send_next && ack >= c.send_unacked - c.send_window_max;
}

// Our FIN is acknowledged (RFC 9293, 3.10.7.4, fifth check). True when the connection is over.
bool on_fin_acked(Tcp& tcp, Connection& c) {
  switch (c.state) {
    case TcpState::fin_wait_1:
      c.state = TcpState::fin_wait_2;
      arm_idle(tcp, c);
      return false;
    case TcpState::closing:
      tcp.rest(c);
      return true;
    case TcpState::last_ack:
      // The cookie is still good; the flow rests until no double of it can be on its way.
      if (c.was_cookie) {
        tcp.rest(c);
      } else {
        tcp.kill(c, true);
      }
      return true;
    case TcpState::closed:
    case TcpState::syn_sent:
    case TcpState::syn_received:
    case TcpState::established:
    case TcpState::close_wait:
      TR_ASSERT(false);   // Our FIN was not sent.
      return false;
    case TcpState::fin_wait_2:
      return false;       // Acknowledged before.
  }
  return false;
}

// The peer does not know yet that we took the byte with which it probed a closed window: its number
// stays before that byte, and what it acknowledges counts. A keepalive looks the same. Both want an
// answer; were neither ACK looked at, two ends that probe each other would never hear another.
bool is_behind_probe(const Connection& c, const TcpSegment& segment) {
  return segment.length() == 0 && !segment.header.has(tcp_flag::rst) &&
         segment.header.seq + 1 == c.receive_next && segment.header.seq < c.last_ack_sent;
}

// A segment within the window, or an old one that may still tell something.
bool is_acceptable(const Connection& c, const TcpSegment& segment) {
  const Seq seq = segment.header.seq;
  if (seq > c.receive_edge) {
    // What a peer acknowledges counts though our window is closed, and its numbers may be past its
    // own probe by then, of which nothing was taken.
    return c.receive_edge == c.receive_next && segment.length() == 0 &&
           seq == c.receive_edge + 1;
  }
  // An ACK that was overtaken by data that followed it is not the peer's mistake.
  if (segment.length() == 0) {
    return seq >= c.last_ack_sent || seq == c.receive_next || is_behind_probe(c, segment);
  }
  return segment.end() > c.receive_next;
}

// RFC 3168, 6.1: the receiver says ECE until the sender says CWR.
void note_congestion_marks(Connection& c, const Arrival& arrival) {
  if (!c.uses_ecn) return;
  if (arrival.segment.header.has(tcp_flag::cwr)) c.echo_congestion = false;
  if (arrival.ecn == Ecn::congested) {
    c.echo_congestion = true;
    c.ack_now = true;
  }
}

bool on_segment_synchronized(Tcp& tcp, Connection& c, const Arrival& arrival) {
  const TcpSegment& segment = arrival.segment;
  const TcpHeader& header = segment.header;
  if (is_old_duplicate(tcp, c, header)) {
    tcp.count(Count::drop_old_timestamp);
    answer_unacceptable(tcp, c, segment);
    return false;
  }
  if (!is_acceptable(c, segment)) {
    tcp.count(Count::drop_outside_window);
    if (!segment.payload.empty() && segment.end() <= c.receive_next) {
      note_duplicate(c, {header.seq, segment.end()});
      tcp.count(Count::duplicate_data);
    }
    answer_unacceptable(tcp, c, segment);
    return false;
  }
  if (check_reset(tcp, c, header)) return false;
  if (header.has(tcp_flag::syn)) {
    challenge(tcp, c);   // RFC 5961, 4.2.
    return false;
  }
  if (!header.has(tcp_flag::ack)) return false;
  if (c.state == TcpState::syn_received && !check_syn_received(tcp, c, segment)) return false;
  if (!is_ack_acceptable(c, header.ack)) {
    tcp.count(Count::drop_bad_ack);
    challenge(tcp, c);
    return false;
  }
  c.heard_at = tcp.now;
  c.keepalives = 0;
  remember_timestamp(tcp, c, header);
  note_congestion_marks(c, arrival);
  const bool fin_was_acked = c.fin_acked;
  if (is_behind_probe(c, segment)) answer_unacceptable(tcp, c, segment);
  on_ack(tcp, c, segment);
  if (c.fin_acked && !fin_was_acked && on_fin_acked(tcp, c)) return false;
  if (segment.length() == 0) {
    if (c.ack_now) tcp.mark_dirty(c);
    return false;
  }
  return on_payload(tcp, c, arrival);
}

// The peer's SYN again, with the ACK of ours: only its number is old.
bool on_syn_again(Tcp& tcp, Connection& c, const Arrival& arrival) {
  TcpSegment segment = arrival.segment;
  segment.header.flags &= static_cast<std::uint8_t>(~tcp_flag::syn);
  segment.header.seq += 1;
  if (!segment.header.has(tcp_flag::ack)) {
    c.syn_due = true;
    tcp.mark_dirty(c);
    return false;
  }
  return on_segment_synchronized(tcp, c, {segment, arrival.ecn, arrival.token});
}

}  // namespace

void establish(Tcp& tcp, Connection& c) {
  // The application may have ended its half meanwhile.
  c.state = c.wants_fin ? TcpState::fin_wait_1 : TcpState::established;
  c.retries = 0;
  c.retransmit_timer = RetransmitTimer::off;
  c.retransmit_at = never();
  c.progress_at = tcp.now;
  c.send_edge = c.send_unacked + c.send_window;
  c.recovery_end = c.send_unacked;
  c.ecn_reduced_to = c.send_unacked;
  c.rack.highest = c.send_unacked;
  c.rack.end = c.send_unacked;
  c.congestion.start(c.send_mss, tcp.limits.initial_window_segments, c.send_next);
  arm_idle(tcp, c);
  if (c.queue.unsent_bytes > 0 || c.wants_fin) tcp.mark_dirty(c);
}

void note_duplicate(Connection& c, SeqRange range) {
  if (c.uses_sack && c.dsack.empty()) c.dsack = range;   // RFC 2883: the first one that waits.
}

bool on_segment(Tcp& tcp, Connection& c, const Arrival& arrival) {
  tcp.count(Count::segments_in);
  if (is_predicted(tcp, c, arrival)) return take_predicted(tcp, c, arrival);
  if (c.state == TcpState::closed) return false;
  if (c.state == TcpState::syn_sent) {
    on_segment_syn_sent(tcp, c, arrival.segment);
    return false;
  }
  const TcpHeader& header = arrival.segment.header;
  if (c.state == TcpState::syn_received && header.has(tcp_flag::syn) &&
      header.seq == c.peer_start) {
    return on_syn_again(tcp, c, arrival);
  }
  return on_segment_synchronized(tcp, c, arrival);
}

}  // namespace tailrace::net
