// The receiving half: bytes in order, bytes ahead, when to acknowledge, and how large the window
// is.
#include <algorithm>

#include "base/assert.h"
#include "net/tcp.h"

namespace tailrace::net {
namespace {

// The blocks to report, newest first (RFC 2018, 4): one that touches others takes them in.
void add_sack(Connection& c, SeqRange range) {
  std::array<SeqRange, sacks_max> blocks;
  std::size_t count = 1;
  for (std::size_t i = 0; i < c.sack_count; ++i) {
    const SeqRange old = c.sacks[i];
    if (old.start <= range.end && range.start <= old.end) {
      range = {earlier(old.start, range.start), later(old.end, range.end)};
    } else if (count < sacks_max) {
      blocks[count++] = old;
    }
  }
  blocks[0] = range;
  c.sacks = blocks;
  c.sack_count = static_cast<std::uint8_t>(count);
}

// Those the stream has reached are said by the ACK itself.
void drop_reached_sacks(Connection& c) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < c.sack_count; ++i) {
    if (c.sacks[i].end > c.receive_next) c.sacks[kept++] = c.sacks[i];
  }
  c.sack_count = static_cast<std::uint8_t>(kept);
}

void ack_at_once(Tcp& tcp, Connection& c) {
  c.ack_now = true;
  tcp.mark_dirty(c);
}

// RFC 5681, 4.2: at least every second full segment, and not later than the delay. The frames of
// one burst together cause one ACK, because output comes after all input.
void ack_in_time(Tcp& tcp, Connection& c, std::uint32_t bytes) {
  c.unacked_bytes += bytes;
  if (c.unacked_bytes >= 2U * c.receive_mss) return ack_at_once(tcp, c);
  if (c.ack_at == never()) {
    c.ack_at = tcp.now + tcp.limits.delayed_ack_max;
    tcp.schedule(c);
  }
}

// RFC 9293, 3.10.7.4, eighth check; all before the FIN is here.
void on_fin(Tcp& tcp, Connection& c) {
  c.receive_next += 1;
  c.receive_edge = later(c.receive_edge, c.receive_next);
  c.fin_received = true;
  ack_at_once(tcp, c);
  if (!c.is_closing) {
    c.tell_end = true;
    tcp.note_events(c);
  }
  switch (c.state) {
    case TcpState::established:
      c.state = TcpState::close_wait;
      return;
    case TcpState::fin_wait_1:
      c.state = TcpState::closing;   // Had ours been acknowledged, it would be fin_wait_2.
      return;
    case TcpState::fin_wait_2:
      return tcp.rest(c);
    case TcpState::closed:
    case TcpState::syn_sent:
    case TcpState::syn_received:
    case TcpState::close_wait:
    case TcpState::closing:
    case TcpState::last_ack:
      TR_ASSERT(false);   // Not a state that receives.
  }
}

void after_advance(Tcp& tcp, Connection& c) {
  drop_reached_sacks(c);
  if (c.has_early_fin && c.early_fin == c.receive_next) on_fin(tcp, c);
}

// The last quarter of the pieces is for connections that hold few: peers who send tiny segments to
// an application that does not take them must not stop all others.
bool may_hold(const Tcp& tcp, const Connection& c) {
  constexpr std::uint32_t few = 4;
  if (c.received.count >= tcp.limits.receive_pieces_max) return false;
  return c.received.count + c.received.early_count < few ||
         tcp.receive.pieces_used() < tcp.limits.pieces_max - tcp.limits.pieces_max / 4;
}

bool take_in_order(Tcp& tcp, Connection& c, Bytes bytes, std::uint64_t token) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  bool is_held = false;
  if (!c.is_closing) {
    is_held = may_hold(tcp, c) && tcp.receive.append(c.received, bytes, token);
    if (!is_held && c.received.early != none) {
      // What waits out of order is the first that must go: this is what it waits for.
      tcp.receive.drop_early(c.received);
      c.sack_count = 0;
      c.has_early_fin = false;
      ack_at_once(tcp, c);
      is_held = may_hold(tcp, c) && tcp.receive.append(c.received, bytes, token);
    }
    if (!is_held) {
      // Not acknowledged, so it comes again.
      tcp.count(Count::drop_no_memory);
      ack_at_once(tcp, c);
      return false;
    }
  }
  const Seq before = c.receive_next;
  const bool had_gap = c.received.early != none;
  c.receive_next += size;
  if (had_gap) c.receive_next = tcp.receive.join(c.received, c.receive_next);
  const std::uint32_t grown = c.receive_next - before;
  tcp.count(Count::bytes_in, grown);
  if (c.is_closing) {
    tcp.receive.drop_all(c.received);
  } else {
    c.receive_held += grown;
    if (!c.is_paused) tcp.note_events(c);
  }
  // A gap that is filled, wholly or in part, is told at once (RFC 5681, 4.2).
  if (had_gap) {
    c.duplicate_acks_due = 0;
    ack_at_once(tcp, c);
  }
  ack_in_time(tcp, c, grown);
  return is_held;
}

bool take_early(Tcp& tcp, Connection& c, Seq seq, Bytes bytes, std::uint64_t token) {
  tcp.count(Count::out_of_order);
  // One ACK of a burst tells by its blocks all that came. Without SACK the peer counts ACKs, and
  // needs three of them (RFC 5681, 3.2 and 4.2).
  if (!c.uses_sack && c.duplicate_acks_due < UINT8_MAX) ++c.duplicate_acks_due;
  ack_at_once(tcp, c);
  const SeqRange range{seq, seq + static_cast<std::uint32_t>(bytes.size())};
  for (std::size_t i = 0; i < c.sack_count; ++i) {
    if (c.sacks[i].start <= range.start && range.end <= c.sacks[i].end) {
      note_duplicate(c, range);
      tcp.count(Count::duplicate_data);
      add_sack(c, c.sacks[i]);   // The block it lies in is the newest.
      return false;
    }
  }
  if (!may_hold(tcp, c) ||
      !tcp.receive.insert_early(c.received, seq, bytes, token, tcp.limits.reassembly_pieces_max)) {
    tcp.count(Count::drop_no_memory);
    return false;
  }
  add_sack(c, range);
  return true;
}

// Grows a buffer that limits the peer: twice what the application took in a round trip, as long as
// the core's budget has room (dynamic right-sizing, Fisk and Feng 2001).
void tune_buffer(Tcp& tcp, Connection& c) {
  const Duration round = std::max(c.rtt.is_known() ? c.rtt.smoothed : milliseconds(1),
                                  microseconds(100));
  if (tcp.now - c.tuned_at < round) return;
  const std::uint64_t wanted =
      std::min<std::uint64_t>(2 * c.consumed_bytes, tcp.limits.receive_buffer_max);
  c.consumed_bytes = 0;
  c.tuned_at = tcp.now;
  if (wanted <= c.receive_buffer || c.state == TcpState::closed) return;
  const std::uint64_t room = tcp.limits.receive_bytes_max - tcp.receive_bytes;
  const auto growth =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted - c.receive_buffer, room));
  c.receive_buffer += growth;
  tcp.receive_bytes += growth;
}

// How far the edge may be now.
Seq edge_wanted(const Connection& c) {
  const std::uint32_t free =
      c.receive_buffer > c.receive_held ? c.receive_buffer - c.receive_held : 0;
  const std::uint32_t most = std::uint32_t{0xffff} << c.receive_scale;
  return c.receive_next + std::min(free, most);
}

// Against the silly window syndrome (RFC 9293, 3.8.6.2.2).
bool is_worth_moving(const Connection& c, Seq edge) {
  return edge > c.receive_edge &&
         edge - c.receive_edge >= std::min<std::uint32_t>(c.receive_mss, c.receive_buffer / 2);
}

}  // namespace

std::uint16_t advertise(Tcp&, Connection& c) {
  const Seq wanted = edge_wanted(c);
  if (is_worth_moving(c, wanted)) {
    // What the rounding takes off is not promised: one number is both told and enforced.
    const std::uint32_t window = (wanted - c.receive_next) >> c.receive_scale << c.receive_scale;
    c.receive_edge = later(c.receive_edge, c.receive_next + window);
  }
  const std::uint32_t window = (c.receive_edge - c.receive_next) >> c.receive_scale;
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(window, 0xffff));
}

bool is_predicted(const Tcp& tcp, const Connection& c, const Arrival& arrival) {
  const TcpHeader& header = arrival.segment.header;
  const std::size_t size = arrival.segment.payload.size();
  return tcp.predicts && c.state == TcpState::established &&
         (header.flags & ~tcp_flag::psh) == tcp_flag::ack && header.seq == c.receive_next &&
         header.ack == c.send_unacked && c.sent.head == none && c.queue.unsent_bytes == 0 &&
         size > 0 && size <= c.receive_mss && size <= c.receive_edge - c.receive_next &&
         c.received.early == none && c.sack_count == 0 && !c.has_early_fin && !c.is_closing &&
         header.options.sack_count == 0 && arrival.ecn != Ecn::congested &&
         header.options.has_timestamp == c.uses_timestamps &&
         !(c.uses_timestamps &&
           is_older_stamp(header.options.timestamp, c.timestamp_recent)) &&
         header.window != 0 && c.send_window != 0 && c.window_seq <= header.seq &&
         c.window_ack <= header.ack && may_hold(tcp, c);
}

bool take_predicted(Tcp& tcp, Connection& c, const Arrival& arrival) {
  const TcpHeader& header = arrival.segment.header;
  const Bytes bytes = arrival.segment.payload;
  const auto size = static_cast<std::uint32_t>(bytes.size());
  // Its window, as take_window() does.
  c.send_window = std::uint32_t{header.window} << c.send_scale;
  c.send_window_max = std::max(c.send_window_max, c.send_window);
  c.send_edge = later(c.send_edge, header.ack + c.send_window);
  c.window_seq = header.seq;
  c.window_ack = header.ack;
  c.heard_at = tcp.now;
  c.keepalives = 0;
  c.sacks_heard_count = 0;
  c.retransmit_timer = RetransmitTimer::off;
  c.retransmit_at = never();
  if (c.uses_timestamps && header.seq <= c.last_ack_sent) {
    c.timestamp_recent = header.options.timestamp;
    c.timestamp_recent_at = tcp.now;
  }
  if (!tcp.receive.append(c.received, bytes, arrival.token)) {
    tcp.count(Count::drop_no_memory);
    ack_at_once(tcp, c);
    return false;
  }
  c.receive_next += size;
  tcp.count(Count::bytes_in, size);
  c.receive_held += size;
  if (!c.is_paused) tcp.note_events(c);
  ack_in_time(tcp, c, size);
  if (c.ack_now) tcp.mark_dirty(c);
  return true;
}

bool on_payload(Tcp& tcp, Connection& c, const Arrival& arrival) {
  const TcpSegment& segment = arrival.segment;
  Seq seq = segment.header.seq;
  Bytes bytes = segment.payload;
  bool has_fin = segment.header.has(tcp_flag::fin);
  if (!c.may_receive_data()) {
    // The peer has ended: what it says beyond its FIN is not looked at.
    ack_at_once(tcp, c);
    return false;
  }
  if (bytes.size() > c.receive_mss) {
    c.receive_mss = static_cast<std::uint16_t>(
        std::min<std::size_t>(bytes.size(), tcp.interface.mtu));
  }
  if (seq < c.receive_next) {
    const std::uint32_t known = c.receive_next - seq;
    if (known >= bytes.size()) {   // All but a FIN.
      if (!bytes.empty()) note_duplicate(c, {seq, seq + static_cast<std::uint32_t>(bytes.size())});
      bytes = {};
    } else {
      note_duplicate(c, {seq, c.receive_next});
      bytes = bytes.subspan(known);
    }
    tcp.count(Count::duplicate_data);
    seq = c.receive_next;
    c.ack_now = true;
  }
  const std::uint32_t room = c.receive_edge - seq;
  if (bytes.size() > room) {
    bytes = bytes.first(room);
    has_fin = false;
    ack_at_once(tcp, c);
  }
  // A FIN takes no memory; it needs no window of its own.
  if (has_fin) {
    c.has_early_fin = true;
    c.early_fin = seq + static_cast<std::uint32_t>(bytes.size());
  }
  bool is_held = false;
  if (!bytes.empty()) {
    is_held = seq == c.receive_next ? take_in_order(tcp, c, bytes, arrival.token)
                                    : take_early(tcp, c, seq, bytes, arrival.token);
    // Memory was short, and the FIN with it.
  } else if (has_fin && seq != c.receive_next) {
    ack_at_once(tcp, c);
  }
  after_advance(tcp, c);
  if (c.ack_now && c.state != TcpState::closed) tcp.mark_dirty(c);
  return is_held;
}

void on_consumed(Tcp& tcp, Connection& c, std::uint64_t bytes) {
  TR_ASSERT(bytes <= c.receive_held);
  c.receive_held -= static_cast<std::uint32_t>(bytes);
  c.consumed_bytes += bytes;
  tune_buffer(tcp, c);
  if (!c.may_receive_data()) return;
  // A peer that waits for the window hears of it now, not with the next data: half the buffer, or
  // two segments when it was all but closed.
  const Seq wanted = edge_wanted(c);
  if (!is_worth_moving(c, wanted)) return;
  const std::uint32_t open = c.receive_edge - c.receive_next;
  const std::uint32_t gain = wanted - c.receive_edge;
  if (open < 2U * c.receive_mss || gain >= c.receive_buffer / 2) ack_at_once(tcp, c);
}

}  // namespace tailrace::net
