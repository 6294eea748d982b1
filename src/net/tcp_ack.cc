// An acknowledgement: what it takes from the log of sent segments, cumulatively and by SACK, what
// it says about the round trip, and the peer's window.
#include <algorithm>
#include <array>

#include "base/assert.h"
#include "net/tcp.h"

namespace tailrace::net {
namespace {

// Records that the blocks of one ACK may make us pass by, all together. What they would say beyond
// that is heard when they are told again, as they are in each ACK.
constexpr std::uint32_t sack_steps_max = 2048;

// One pass over an ACK.
struct Taken {
  AckNews news;
  std::uint32_t steps_left = sack_steps_max;
  bool has_echo = false;
  std::uint32_t echo = 0;
};

void deliver(Tcp& tcp, Connection& c, const SentRecord& record, Taken& taken) {
  taken.news.delivered_bytes += record.length;
  if (record.ever_resent) taken.news.acked_resent = true;
  // Of several the newest says most.
  if (!record.ever_resent && record.sent_at > taken.news.newest_sent_at) {
    taken.news.newest_sent_at = record.sent_at;
  }
  rack_delivered(c, record, taken.echo, taken.has_echo, tcp.now);
}

void take_cumulative(Tcp& tcp, Connection& c, Seq ack, Taken& taken) {
  std::uint32_t payload = 0;
  while (c.sent.head != none) {
    const SentRecord& record = tcp.records[c.sent.head];
    if (record.end() <= ack) {
      if (!record.sacked) deliver(tcp, c, record, taken);
      payload += record.payload();
      if (record.has_fin) c.fin_acked = true;
      tcp.records.pop_front(c.sent);
      continue;
    }
    if (record.seq < ack) {
      const std::uint32_t part = ack - record.seq;
      if (record.ever_resent) taken.news.acked_resent = true;
      if (!record.sacked) taken.news.delivered_bytes += part;
      payload += part;
      tcp.records.trim_front(c.sent, part, tcp.sends.advance(record.at, part));
    }
    break;
  }
  taken.news.acked_bytes = ack - c.send_unacked;
  taken.news.advanced = taken.news.acked_bytes > 0;
  c.send_unacked = ack;
  tcp.count(Count::bytes_out, payload);
  tcp.sends.acknowledge(c.queue, payload);
}

// A block's border within a record means a cut, but not into more records than the segments that
// are under way could have made, twice over: a peer who reports single bytes would have us keep
// books of each (CVE-2019-11477, 11478). What is not cut counts as not reported.
bool may_cut(const Tcp& tcp, const Connection& c) {
  constexpr std::uint32_t always = 256;
  return tcp.may_record(c) &&
         (c.sent.count < always || c.sent.count < 2 * (c.sent.bytes / c.send_mss));
}

// False: there is no memory for that.
bool sack_record(Tcp& tcp, Connection& c, std::uint32_t index, SeqRange block, Taken& taken) {
  SentRecord& record = tcp.records[index];
  if (record.sacked) return true;
  const bool is_cut = block.start > record.seq || block.end < record.end();
  if (is_cut && !may_cut(tcp, c)) return false;
  if (block.start > record.seq) {
    const std::uint32_t before = block.start - record.seq;
    // The rest is the next record, which the caller comes to.
    return tcp.records.split(c.sent, index, before, tcp.sends.advance(record.at, before));
  }
  if (block.end < record.end()) {
    const std::uint32_t covered = block.end - record.seq;
    const StreamPos rest = tcp.sends.advance(record.at, covered);
    if (!tcp.records.split(c.sent, index, covered, rest)) return false;
  }
  deliver(tcp, c, record, taken);
  tcp.records.mark_sacked(c.sent, index);
  return true;
}

// True: all of it was taken.
bool take_sack_block(Tcp& tcp, Connection& c, SeqRange block, Taken& taken) {
  std::uint32_t index = c.sent.sack_hint == none ? c.sent.head : c.sent.sack_hint;
  const auto may_step = [&] { return taken.steps_left > 0 && taken.steps_left-- > 0; };
  // Blocks grow at their end, so the last place is nearly always the right one.
  while (index != none && tcp.records[index].seq > block.start &&
         tcp.records[index].previous != none) {
    if (!may_step()) return false;
    index = tcp.records[index].previous;
  }
  while (index != none && tcp.records[index].end() <= block.start) {
    if (!may_step()) return false;
    index = tcp.records[index].next;
  }
  bool is_whole = true;
  while (index != none && tcp.records[index].seq < block.end) {
    if (!may_step()) return false;
    is_whole &= sack_record(tcp, c, index, block, taken);
    c.sent.sack_hint = index;
    index = tcp.records[index].next;
  }
  return is_whole;
}

// What is left of a block without what was heard of it before, at either end: while they grow,
// blocks are told again in each ACK.
SeqRange unheard(const Connection& c, SeqRange block) {
  for (std::size_t i = 0; i < c.sacks_heard_count && block.start < block.end; ++i) {
    const SeqRange heard = c.sacks_heard[i];
    if (heard.start <= block.start && block.start < heard.end) block.start = heard.end;
    if (heard.start < block.end && block.end <= heard.end) block.end = heard.start;
  }
  return block;
}

// RFC 2883, 4: the first block is a double when it lies below the ACK or within the second block.
bool is_dsack(const TcpOptions& options, Seq ack) {
  if (options.sack_count == 0) return false;
  const SeqRange first = options.sacks[0];
  if (first.start < ack) return true;
  return options.sack_count > 1 && options.sacks[1].start <= first.start &&
         first.end <= options.sacks[1].end;
}

void take_sacks(Tcp& tcp, Connection& c, const TcpHeader& header, Taken& taken) {
  const TcpOptions& options = header.options;
  if (!c.uses_sack) return;
  if (options.sack_count == 0) {
    c.sacks_heard_count = 0;
    return;
  }
  std::array<SeqRange, sacks_max> heard;
  std::uint8_t heard_count = 0;
  std::size_t first = 0;
  if (is_dsack(options, header.ack)) {
    first = 1;
    const SeqRange dsack = options.sacks[0];
    // Of what we sent, and not longer ago than a window.
    if (dsack.start < dsack.end && dsack.end <= c.send_next &&
        dsack.start >= c.send_unacked - c.send_window_max) {
      taken.news.has_dsack = true;
      take_dsack(tcp, c, dsack);
    }
  }
  for (std::size_t i = first; i < options.sack_count; ++i) {
    const SeqRange block = options.sacks[i];
    // Whatever lies outside of what is under way is not believed.
    if (block.start >= block.end || block.start < c.send_unacked || block.end > c.send_next) {
      continue;
    }
    const SeqRange news = unheard(c, block);
    if (news.start < news.end && !take_sack_block(tcp, c, news, taken)) continue;
    heard[heard_count++] = block;
  }
  c.sacks_heard = heard;
  c.sacks_heard_count = heard_count;
}

// RFC 9293, 3.10.7.4. A peer may shrink its window, though it should not.
void take_window(Tcp& tcp, Connection& c, const TcpHeader& header) {
  if (c.window_seq > header.seq || (c.window_seq == header.seq && c.window_ack > header.ack)) {
    return;
  }
  const Seq old_edge = c.send_unacked + c.send_window;
  const bool was_closed = c.send_window == 0;
  c.send_window = std::uint32_t{header.window} << c.send_scale;
  c.send_window_max = std::max(c.send_window_max, c.send_window);
  c.send_edge = later(c.send_edge, header.ack + c.send_window);
  c.window_seq = header.seq;
  c.window_ack = header.ack;
  if (c.send_window == 0 || !was_closed) return;
  c.retries = 0;
  // However long it was closed, the user time-out begins now.
  c.progress_at = tcp.now;
  // The probes of the closed window went beyond it, so the peer has thrown them away.
  for (std::uint32_t i = c.sent.tail; i != none; i = tcp.records[i].previous) {
    const SentRecord& record = tcp.records[i];
    if (record.seq < old_edge) break;
    if (!record.sacked && record.seq >= header.ack) tcp.records.mark_lost(c.sent, i);
  }
}

// RFC 5681, 2: an ACK that says only that something came which it can't acknowledge.
bool is_duplicate_ack(const Connection& c, const TcpSegment& segment, std::uint32_t old_window) {
  return segment.length() == 0 && c.sent.head != none && segment.header.ack == c.send_unacked &&
         std::uint32_t{segment.header.window} << c.send_scale == old_window;
}

// RFC 3168, 6.1.2: at most once per round trip.
void take_ecn_echo(Tcp& tcp, Connection& c, const TcpHeader& header) {
  if (!c.uses_ecn || !header.has(tcp_flag::ece) || header.ack <= c.ecn_reduced_to) return;
  c.ecn_reduced_to = c.send_next;
  if (c.recovery != Recovery::steady) return;
  c.say_reduced = true;
  c.congestion.on_congestion(c.send_mss, true);
  c.congestion.begin_reduction(std::max(pipe_of(c), std::uint32_t{c.send_mss}));
  c.recovery = Recovery::reduced;
  c.recovery_end = c.send_next;
  c.may_undo = false;
  tcp.count(Count::ecn_reductions);
}

void on_progress(Tcp& tcp, Connection& c, std::uint32_t acked_bytes) {
  c.retries = 0;
  // Of the segments that duplicate ACKs stood for, those below the new edge are counted off.
  const std::uint32_t segments = c.recovery == Recovery::fast ? acked_bytes / c.send_mss : 0xffff;
  c.duplicate_acks = static_cast<std::uint16_t>(
      c.duplicate_acks - std::min<std::uint32_t>(c.duplicate_acks, segments));
  c.progress_at = tcp.now;
  c.black_hole_step = 0;
  tcp.neighbours.confirm(c.neighbour, tcp.now);
  if (c.queue.head == none) arm_idle(tcp, c);
}

}  // namespace

void on_ack(Tcp& tcp, Connection& c, const TcpSegment& segment) {
  const TcpHeader& header = segment.header;
  const std::uint32_t old_window = c.send_window;
  // Older than what is known: only its SACK blocks may be news.
  const Seq ack = later(header.ack, c.send_unacked);
  Taken taken;
  taken.has_echo = c.uses_timestamps && header.options.has_timestamp;
  taken.echo = header.options.timestamp_echo;
  const bool had_flight = c.sent.head != none;
  const bool looks_duplicate = is_duplicate_ack(c, segment, old_window);
  take_window(tcp, c, header);
  if (ack > c.send_unacked) take_cumulative(tcp, c, ack, taken);
  take_sacks(tcp, c, header, taken);
  AckNews& news = taken.news;
  news.is_duplicate = looks_duplicate && !news.advanced && news.delivered_bytes == 0;
  // Karn: what was sent twice says nothing, nor does what came with it: its own ACK may be what was
  // lost, and this one the answer to the second copy.
  if (news.newest_sent_at.ns > 0 && !news.acked_resent) {
    news.sample = tcp.now - news.newest_sent_at;
    c.rtt.sample(news.sample, tcp.now);
  }
  if (news.advanced) on_progress(tcp, c, news.acked_bytes);
  // The answer to a probe may come when nothing is under way any more.
  if (had_flight || c.tail_probes > 0) {
    take_ecn_echo(tcp, c, header);
    recover(tcp, c, segment, news);
  }
  // An ACK that brings nothing new must not put the timer off (RFC 6298, 5.3).
  if (news.advanced || news.delivered_bytes > 0 || c.sent.head == none ||
      (c.send_window == 0) != (old_window == 0)) {
    arm_retransmit(tcp, c);
  }
  const bool has_more = c.queue.unsent_bytes > 0 || (c.wants_fin && !c.fin_sent) ||
                        c.sent.to_resend_bytes() > 0;
  if (has_more) tcp.mark_dirty(c);
}

}  // namespace tailrace::net
