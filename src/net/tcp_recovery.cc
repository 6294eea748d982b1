// Loss: RACK-TLP (RFC 8985) for peers with SACK, NewReno (RFC 6582) for those without, what a
// time-out does (RFC 6298), and taking a reduction back that was a mistake (RFC 3522, 4015, 3708).
#include <algorithm>

#include "base/assert.h"
#include "net/tcp.h"

namespace tailrace::net {
namespace {

constexpr std::uint32_t duplicate_threshold = 3;
constexpr std::uint8_t reordering_recoveries = 16;   // RFC 8985, 6.2

bool was_sent_after(Instant a, Seq a_end, Instant b, Seq b_end) {
  return a > b || (a == b && a_end > b_end);
}

// How much later than the newest delivered one a segment may still come (RFC 8985, 6.2, step 4).
Duration reordering_window(const Connection& c) {
  const Rack& rack = c.rack;
  if (!rack.saw_reordering) {
    const bool is_recovering =
        c.recovery == Recovery::fast || c.recovery == Recovery::timeout;
    if (is_recovering || c.sent.sacked_bytes >= duplicate_threshold * c.send_mss) return {};
  }
  const Duration window{c.rtt.smallest.ns / 4 * rack.window_factor};
  return std::min(window, c.rtt.smoothed);
}

void begin_undo(Connection& c) {
  c.may_undo = true;
  c.undo_from = c.send_unacked;
  c.undo_resent = 0;
  c.first_resend_stamp = 0;
}

void forget_probes(Connection& c) {
  c.tail_probes = 0;
  c.tail_probes_resent = 0;
}

void enter_fast(Tcp& tcp, Connection& c) {
  // An ECN reduction under way already took its share of this round trip.
  if (c.recovery != Recovery::reduced) {
    c.congestion.on_congestion(c.send_mss, false);
    begin_undo(c);
  }
  c.recovery = Recovery::fast;
  c.recovery_end = c.send_next;
  c.say_reduced = c.uses_ecn;
  c.ecn_reduced_to = c.send_next;
  forget_probes(c);
  c.congestion.begin_reduction(c.in_flight());
  tcp.count(Count::fast_recoveries);
}

void leave(Connection& c) {
  if (c.recovery == Recovery::fast || c.recovery == Recovery::reduced) {
    c.congestion.window = std::max(c.congestion.threshold, std::uint32_t{c.send_mss});
  }
  if (c.recovery != Recovery::reduced && c.rack.window_persist > 0 &&
      --c.rack.window_persist == 0) {
    c.rack.window_factor = 1;
  }
  c.recovery = Recovery::steady;
  c.duplicate_acks = 0;
  c.may_undo = false;
}

// What was held for lost is so no longer after a time-out, which took all for lost; what RACK
// found stays.
void undo(Tcp& tcp, Connection& c) {
  c.congestion.restore();
  for (std::uint32_t i = c.sent.head; c.recovery == Recovery::timeout && i != none;
       i = tcp.records[i].next) {
    tcp.records.unmark_lost(c.sent, i);
  }
  c.recovery = Recovery::steady;
  c.may_undo = false;
  c.retries = 0;
  tcp.count(Count::undos);
}

// The first ACK after a retransmission that answers a segment from before it: the original had
// arrived (Eifel, RFC 3522).
bool is_answer_to_original(const Connection& c, const TcpSegment& segment, const AckNews& news) {
  if (!c.may_undo || !news.advanced || c.first_resend_stamp == 0) return false;
  const TcpOptions& options = segment.header.options;
  if (!c.uses_timestamps || !options.has_timestamp) return false;
  return static_cast<std::int32_t>(options.timestamp_echo - c.first_resend_stamp) < 0;
}

// RFC 8985, 7.4.2: were the answers to the loss probes ones to doubles, or did one of them repair a
// loss unseen?
void check_probe_answer(Tcp& tcp, Connection& c, const TcpSegment& segment, const AckNews& news) {
  if (c.tail_probes == 0) return;
  const bool is_at_end = segment.header.ack == c.tail_probe_end;
  const bool tells_of_double = news.has_dsack || (is_at_end && news.is_duplicate);
  if (tells_of_double && c.tail_probes_resent > 0) --c.tail_probes_resent;
  if (segment.header.ack < c.tail_probe_end) return;
  if (c.tail_probes_resent == 0) return forget_probes(c);
  if (is_at_end) return;   // Nothing may follow but the answer to a double.
  forget_probes(c);
  if (c.recovery != Recovery::steady) return;
  c.congestion.on_congestion(c.send_mss, false);
  c.congestion.begin_reduction(std::max(c.in_flight(), std::uint32_t{c.send_mss}));
  c.recovery = Recovery::reduced;
  c.recovery_end = c.send_next;
  c.may_undo = false;
  tcp.count(Count::fast_recoveries);
}

// RFC 6582. True if a segment was found lost.
bool newreno_detect(Tcp& tcp, Connection& c, const AckNews& news) {
  if (c.sent.head == none) return false;
  const bool is_recovering = c.recovery == Recovery::fast;
  if (news.is_duplicate) {
    if (c.duplicate_acks < UINT16_MAX) ++c.duplicate_acks;
    // What follows a recovery are answers to its own retransmissions (RFC 6582, 3.2, step 1).
    const bool is_new = c.send_unacked > c.recovery_end || c.recovery_end == c.send_start + 1;
    if (is_recovering || c.recovery == Recovery::timeout || !is_new ||
        c.duplicate_acks < duplicate_threshold) {
      return false;
    }
  } else if (!is_recovering || !news.advanced || c.send_unacked >= c.recovery_end) {
    return false;   // Not a partial ACK.
  }
  SentRecord& first = tcp.records[c.sent.head];
  // Of a super-segment only the first piece is known to be missing.
  if (first.length > c.send_mss) {
    tcp.records.split(c.sent, c.sent.head, c.send_mss,
                      tcp.sends.advance(first.at, c.send_mss));
  }
  tcp.records.mark_lost(c.sent, c.sent.head);
  return true;
}

void grow_window(Tcp& tcp, Connection& c, const AckNews& news) {
  Congestion::Ack ack;
  ack.bytes = news.delivered_bytes;
  ack.segment = c.send_mss;
  ack.window_max = tcp.limits.congestion_window_max;
  ack.acked_to = c.send_unacked;
  ack.sent_to = c.send_next;
  ack.rtt = c.rtt.smoothed;
  ack.sample = news.sample;
  ack.now = tcp.now;
  c.congestion.on_ack(ack);
}

}  // namespace

std::uint32_t pipe_of(const Connection& c) {
  const std::uint32_t pipe = c.sent.pipe();
  if (c.uses_sack || c.duplicate_acks == 0) return pipe;
  return pipe - std::min(pipe, std::uint32_t{c.duplicate_acks} * c.send_mss);
}

void rack_delivered(Connection& c, const SentRecord& record, std::uint32_t echo, bool has_echo,
                    Instant now) {
  Rack& rack = c.rack;
  const Duration rtt = now - record.sent_at;
  if (record.ever_resent) {
    // Perhaps an answer to the first copy (RFC 8985, 6.2, step 2).
    const auto sent_stamp =
        static_cast<std::uint32_t>(record.sent_at.ns / 1'000'000) + c.timestamp_offset;
    if (has_echo && static_cast<std::int32_t>(echo - sent_stamp) < 0) return;
    if (rtt < c.rtt.smallest) return;
  }
  if (was_sent_after(record.sent_at, record.end(), rack.sent_at, rack.end)) {
    rack.sent_at = record.sent_at;
    rack.end = record.end();
    rack.rtt = rtt;
  }
  if (record.end() > rack.highest) {
    rack.highest = record.end();
  } else if (!record.ever_resent) {
    rack.saw_reordering = true;
  }
}

bool rack_detect(Tcp& tcp, Connection& c) {
  c.reorder_at = never();
  if (!c.uses_sack || c.rack.sent_at.ns == 0) return false;
  const Duration patience{c.rack.rtt.ns + reordering_window(c).ns};
  bool found = false;
  std::uint32_t index = c.sent.oldest;
  while (index != none) {
    const SentRecord& record = tcp.records[index];
    if (!was_sent_after(c.rack.sent_at, c.rack.end, record.sent_at, record.end())) break;
    const Instant due = record.sent_at + patience;
    if (due > tcp.now) {
      c.reorder_at = due;
      break;
    }
    const std::uint32_t newer = record.newer;
    tcp.records.mark_lost(c.sent, index);
    found = true;
    index = newer;
  }
  tcp.schedule(c);
  return found;
}

void take_dsack(Tcp& tcp, Connection& c, SeqRange dsack) {
  tcp.count(Count::dsacks_in);
  // RFC 8985, 6.2, step 4: once a round trip, more patience.
  if (c.rack.has_dsack_round && c.send_unacked >= c.rack.dsack_round_end) {
    c.rack.has_dsack_round = false;
  }
  if (!c.rack.has_dsack_round) {
    c.rack.has_dsack_round = true;
    c.rack.dsack_round_end = c.send_next;
    if (c.rack.window_factor < UINT8_MAX) ++c.rack.window_factor;
    c.rack.window_persist = reordering_recoveries;
  }
  if (c.may_undo && c.undo_resent > 0 && dsack.start >= c.undo_from) {
    const std::uint32_t segments = (dsack.size() + c.send_mss - 1) / c.send_mss;
    c.undo_resent -= std::min(c.undo_resent, segments);
    if (c.undo_resent == 0) undo(tcp, c);
  }
}

void recover(Tcp& tcp, Connection& c, const TcpSegment& segment, AckNews& news) {
  if (is_answer_to_original(c, segment, news)) undo(tcp, c);
  check_probe_answer(tcp, c, segment, news);
  const bool was_reducing = c.recovery == Recovery::fast || c.recovery == Recovery::reduced;
  if (c.recovery != Recovery::steady && c.send_unacked >= c.recovery_end) leave(c);
  bool found = false;
  if (c.uses_sack) {
    if (news.delivered_bytes > 0 || news.has_dsack) found = rack_detect(tcp, c);
  } else {
    found = newreno_detect(tcp, c, news);
    if (news.is_duplicate) news.delivered_bytes = c.send_mss;
  }
  if (found && (c.recovery == Recovery::steady || c.recovery == Recovery::reduced)) {
    enter_fast(tcp, c);
  }
  switch (c.recovery) {
    case Recovery::fast:
    case Recovery::reduced:
      c.congestion.reduce(news.delivered_bytes, pipe_of(c), c.send_mss, news.advanced && !found);
      // RFC 6582, 3.2, step 3: what a partial ACK shows to be missing goes at once.
      if (!c.uses_sack && found) {
        c.congestion.window = std::max(c.congestion.window, pipe_of(c) + c.send_mss);
      }
      return;
    case Recovery::timeout:
      c.congestion.is_limiting = true;
      [[fallthrough]];
    case Recovery::steady:
      if (was_reducing) return;   // The ACK that ends a reduction does not grow the window, too.
      if (news.advanced || (c.uses_sack && news.delivered_bytes > 0)) grow_window(tcp, c, news);
      return;
  }
}

void on_reordering_timer(Tcp& tcp, Connection& c) {
  if (!rack_detect(tcp, c)) return;
  if (c.recovery == Recovery::steady || c.recovery == Recovery::reduced) {
    enter_fast(tcp, c);
    c.congestion.reduce(0, pipe_of(c), c.send_mss, false);
    arm_retransmit(tcp, c);   // A probe comes before the time-out.
  }
  tcp.mark_dirty(c);
}

void on_retransmit_timeout(Tcp& tcp, Connection& c) {
  tcp.count(Count::timeouts);
  forget_probes(c);
  c.duplicate_acks = 0;
  if (c.recovery != Recovery::timeout || c.send_unacked >= c.recovery_end) {
    if (c.recovery == Recovery::steady) {
      c.congestion.on_congestion(c.send_mss, false);
      begin_undo(c);
    } else {
      c.may_undo = false;   // Reduced already; what to go back to is no longer clear.
    }
    c.recovery = Recovery::timeout;
    c.recovery_end = c.send_next;
  }
  c.say_reduced = c.uses_ecn;
  c.congestion.on_timeout(c.send_mss);
  // A peer that has dropped what it had reported looks like this (RFC 2018, 8).
  if (c.sent.head != none && tcp.records[c.sent.head].sacked) {
    tcp.records.forget_sacks(c.sent);
    c.sacks_heard_count = 0;
  }
  // Those that can't have come any more, and the first in any case (RFC 8985, 6.3). Without SACK
  // nothing is known of any.
  const Duration patience{c.rack.rtt.ns + reordering_window(c).ns};
  for (std::uint32_t i = c.sent.head; i != none; i = tcp.records[i].next) {
    const SentRecord& record = tcp.records[i];
    if (record.sacked) continue;
    const bool is_late = !c.uses_sack || i == c.sent.head ||
                         record.sent_at + patience <= tcp.now;
    if (is_late) tcp.records.mark_lost(c.sent, i);
  }
  if (c.retries < UINT8_MAX) ++c.retries;
  tcp.mark_dirty(c);
}

// The path takes less than was sent: all of it again, in smaller pieces, with no blame for it.
void mark_lost_for_smaller_segments(Tcp& tcp, Connection& c) {
  for (std::uint32_t i = c.sent.head; i != none; i = tcp.records[i].next) {
    const SentRecord& record = tcp.records[i];
    if (!record.sacked && record.length > c.send_mss) tcp.records.mark_lost(c.sent, i);
  }
  tcp.mark_dirty(c);
}

}  // namespace tailrace::net
