// What a connection sends now. In this order, each as far as windows, pacing and memory allow:
// its SYN; what was lost; a probe; new data; and if none of them carried it, an ACK.
#include <algorithm>

#include "base/assert.h"
#include "net/checksum.h"
#include "net/tcp.h"

namespace tailrace::net {
namespace {

// What paced output may be behind or ahead of its rate: a timer, or a core that was busy, makes
// up to so much go at once. Paths with shorter round trips are not paced (their ACKs do it).
constexpr Duration pacing_slack = milliseconds(1);
constexpr std::uint32_t frame_payload_max = 65'535 - 60 - 40;

enum class Step : std::uint8_t { sent, nothing, starved };

struct Draft {
  Seq seq;
  std::uint8_t flags = tcp_flag::ack;
  bool is_data = false;     // new or again: may be marked as able to say congestion
};

// Into what the caller has: written in bytes and copied in words, they would be waited for.
void fill_options(Tcp& tcp, const Connection& c, bool is_syn, TcpOptions& options) {
  if (is_syn) {
    const bool answers = c.state == TcpState::syn_received;
    const std::size_t headers = ip_bytes(c.flow.local.address) + tcp_header_bytes;
    options.mss = static_cast<std::uint16_t>(tcp.interface.mtu - headers);
    options.sack_permitted = answers ? c.uses_sack : tcp.interface.use_sack;
    options.has_timestamp = answers ? c.uses_timestamps : tcp.interface.use_timestamps;
    if (answers ? c.uses_scale : tcp.interface.use_window_scale) {
      options.window_scale = c.receive_scale;
    }
  } else {
    options.has_timestamp = c.uses_timestamps;
  }
  if (options.has_timestamp) {
    options.timestamp = tcp.timestamp(c);
    options.timestamp_echo = c.timestamp_recent;
  }
}

// The double first (RFC 2883), then the newest blocks. Beside timestamps there is room for three.
void add_sacks(Connection& c, TcpOptions& options) {
  if (!c.uses_sack) return;
  const std::size_t room = c.uses_timestamps ? 3 : 4;
  std::size_t count = 0;
  if (!c.dsack.empty()) options.sacks[count++] = c.dsack;
  c.dsack = {};
  for (std::size_t i = 0; i < c.sack_count && count < room; ++i) {
    options.sacks[count++] = c.sacks[i];
  }
  options.sack_count = static_cast<std::uint8_t>(count);
}

// Bytes that SACK blocks will take from the payload of a segment.
std::uint32_t sack_bytes(const Connection& c) {
  if (!c.uses_sack) return 0;
  const std::uint32_t room = c.uses_timestamps ? 3 : 4;
  const std::uint32_t count =
      std::min<std::uint32_t>(c.sack_count + (c.dsack.empty() ? 0U : 1U), room);
  return count == 0 ? 0 : 4 + 8 * count;
}

void note_acked(Connection& c) {
  c.last_ack_sent = c.receive_next;
  c.unacked_bytes = 0;
  c.ack_now = false;
  c.ack_at = never();
}

// Headers in front of whatever payload the frame has.
void finish_frame(Tcp& tcp, Connection& c, const Draft& draft, const MacAddress& mac,
                  TxFrame& frame) {
  const bool is_syn = (draft.flags & tcp_flag::syn) != 0;
  TcpHeader header;
  header.source_port = c.flow.local.port;
  header.destination_port = c.flow.remote.port;
  header.seq = draft.seq;
  header.flags = draft.flags;
  fill_options(tcp, c, is_syn, header.options);
  if ((draft.flags & tcp_flag::ack) != 0) {
    header.ack = c.receive_next;
    if (!is_syn) add_sacks(c, header.options);
    if (c.echo_congestion && !is_syn) header.flags |= tcp_flag::ece;
  }
  // The window of a SYN is not scaled (RFC 7323, 2.2).
  header.window = is_syn ? static_cast<std::uint16_t>(
                               std::min<std::uint32_t>(c.receive_buffer, 0xffff))
                         : advertise(tcp, c);
  IpHeader ip{.source = c.flow.local.address, .destination = c.flow.remote.address};
  if (c.uses_ecn && draft.is_data && frame.payload_bytes > 0) ip.ecn = Ecn::capable_0;
  std::byte* at = frame.header.data();
  const EthernetHeader link{.destination = mac,
                            .source = tcp.interface.mac,
                            .vlan = tcp.interface.vlan,
                            .type = ip.source.is_v4() ? EtherType::ipv4 : EtherType::ipv6};
  frame.link_bytes = static_cast<std::uint8_t>(store_ethernet(at, link));
  frame.network_bytes = static_cast<std::uint8_t>(ip_bytes(ip.source));
  std::byte* network = at + frame.link_bytes;
  const std::size_t tcp_bytes = store_tcp(network + frame.network_bytes, header, ip.source,
                                          ip.destination, frame.payload_bytes);
  store_ip(network, ip, tcp_bytes + frame.payload_bytes);
  frame.header_bytes =
      static_cast<std::uint16_t>(frame.link_bytes + frame.network_bytes + tcp_bytes);
  frame.checksum_pos = tcp_checksum_pos;
  const std::uint32_t segment = c.send_mss - (header.options.sack_count == 0
                                                  ? 0U
                                                  : 4 + 8U * header.options.sack_count);
  frame.segment_bytes =
      frame.payload_bytes > segment ? static_cast<std::uint16_t>(segment) : std::uint16_t{0};
  if ((draft.flags & tcp_flag::ack) != 0) note_acked(c);
  tcp.count(Count::segments_out);
}

void clear(TxFrame& frame) {
  frame.slice_count = 0;
  frame.payload_bytes = 0;
  frame.segment_bytes = 0;
  frame.hold = no_hold;
}

// --- how much may go

std::uint32_t congestion_room(const Connection& c) {
  const std::uint32_t pipe = pipe_of(c);
  const std::uint32_t room = c.congestion.window > pipe ? c.congestion.window - pipe : 0;
  // With nothing under way no ACK would open the window.
  return pipe == 0 ? std::max<std::uint32_t>(room, c.send_mss) : room;
}

bool must_wait_for_pace(Tcp& tcp, Connection& c) {
  c.is_pacing_wait = c.pace_at > tcp.now + pacing_slack;
  if (c.is_pacing_wait) tcp.schedule(c);
  return c.is_pacing_wait;
}

void note_paced(Tcp& tcp, Connection& c, std::uint32_t bytes) {
  if (!c.rtt.is_known() || c.congestion.window == 0) return;
  // The window in a round trip, and more: twice while it doubles, a fifth later (RFC 9002, 7.7
  // says why it must be more).
  const double gain = c.congestion.in_slow_start() ? 2.0 : 1.2;
  const double ns = static_cast<double>(bytes) * static_cast<double>(c.rtt.smoothed.ns) /
                    (gain * static_cast<double>(c.congestion.window));
  c.pace_at = std::max(c.pace_at, tcp.now) + Duration{static_cast<std::int64_t>(ns)};
}

// The largest payload of one frame: one segment, or what the device cuts.
std::uint32_t frame_payload_limit(const Tcp& tcp, std::uint32_t segment) {
  const std::uint32_t most = std::min(tcp.interface.segmentation_bytes_max, frame_payload_max);
  return std::max(segment, most / segment * segment);
}

// --- the kinds of output

Step send_syn(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  c.syn_due = false;
  Draft draft{.seq = c.send_start};
  const bool answers = c.state == TcpState::syn_received;
  draft.flags = answers ? tcp_flag::syn | tcp_flag::ack : tcp_flag::syn;
  // A path that drops SYNs with these bits gets one without them (RFC 3168, 6.1.1.1).
  if (!answers && tcp.interface.use_ecn && c.retries == 0) {
    draft.flags |= tcp_flag::ece | tcp_flag::cwr;
  }
  finish_frame(tcp, c, draft, mac, frame);
  c.sent_at = tcp.now;
  arm_retransmit(tcp, c);
  return Step::sent;
}

void note_resent(Tcp& tcp, Connection& c, std::uint32_t length) {
  tcp.count(Count::retransmits);
  c.undo_resent += (length + c.send_mss - 1) / c.send_mss;
  if (c.first_resend_stamp == 0) c.first_resend_stamp = tcp.timestamp(c);
}

// The beginning of the first record, though there is no memory to cut it in two: a copy, and the
// record still waits. Once that is acknowledged the next copy goes, so that a core whose records
// are all used comes forward, a segment at a time.
Step resend_front(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  SentRecord& record = tcp.records[c.sent.head];
  record.ever_resent = true;
  record.front_resent = true;
  note_resent(tcp, c, frame.payload_bytes);
  note_paced(tcp, c, frame.payload_bytes);
  finish_frame(tcp, c, {.seq = record.seq}, mac, frame);
  c.sent_at = tcp.now;
  if (c.retransmit_timer == RetransmitTimer::off) arm_retransmit(tcp, c);
  return Step::sent;
}

// A record again, from its front.
Step resend(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame, std::uint32_t index,
            std::uint32_t most) {
  SentRecord& record = tcp.records[index];
  const std::uint32_t payload_max = std::min(most, record.payload());
  StreamPos after;
  if (payload_max > 0 && tcp.sends.gather(record.at, payload_max, frame, after) == 0) {
    return Step::starved;
  }
  if (frame.payload_bytes < record.payload() &&
      !tcp.records.split(c.sent, index, frame.payload_bytes, after)) {
    if (index == c.sent.head) return resend_front(tcp, c, mac, frame);
    tcp.sends.release(frame.hold);
    return Step::starved;
  }
  Draft draft{.seq = record.seq};
  if (record.has_fin) draft.flags |= tcp_flag::fin;
  if (record.payload() > 0 && record.next == none && c.queue.unsent_bytes == 0) {
    draft.flags |= tcp_flag::psh;
  }
  tcp.records.mark_resent(c.sent, index, tcp.now);
  note_resent(tcp, c, record.length);
  c.congestion.on_sent_in_reduction(record.length);
  note_paced(tcp, c, record.length);
  finish_frame(tcp, c, draft, mac, frame);
  c.sent_at = tcp.now;
  if (c.retransmit_timer == RetransmitTimer::off) arm_retransmit(tcp, c);
  return Step::sent;
}

Step send_lost(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  const std::uint32_t index = tcp.records.next_to_resend(c.sent);
  if (index == none) return Step::nothing;
  const SentRecord& record = tcp.records[index];
  if (record.front_resent) return Step::starved;
  const std::uint32_t segment = c.send_mss - sack_bytes(c);
  const std::uint32_t room = congestion_room(c);
  if (room < std::min(segment, record.length)) return Step::nothing;
  // A window that has shrunk is asked by the persist timer.
  if (c.send_window == 0 && c.sent.head == index) return Step::nothing;
  if (record.seq >= c.send_unacked + std::max(c.send_window, std::uint32_t{c.send_mss})) {
    return Step::nothing;
  }
  if (must_wait_for_pace(tcp, c)) return Step::nothing;
  const std::uint32_t most = std::min(frame_payload_limit(tcp, segment),
                                      std::max(segment, room / segment * segment));
  return resend(tcp, c, mac, frame, index, most);
}

// The next `length` bytes of the queue (0: a FIN alone), as a new record.
Step send_new(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame,
              std::uint32_t length, bool may_fin) {
  if (!tcp.may_record(c)) return Step::starved;
  const StreamPos at = c.queue.unsent;
  StreamPos after = at;
  if (length > 0) {
    length = tcp.sends.gather(at, length, frame, after);
    if (length == 0) return Step::starved;
  }
  c.queue.unsent = after;
  c.queue.unsent_bytes -= length;
  const bool has_fin = may_fin && c.wants_fin && c.queue.unsent_bytes == 0;
  const std::uint32_t taken = length + (has_fin ? 1 : 0);
  TR_ASSERT(taken > 0);
  tcp.records.append(c.sent, c.send_next, taken, at, has_fin, tcp.now);
  Draft draft{.seq = c.send_next, .is_data = true};
  if (has_fin) {
    draft.flags |= tcp_flag::fin;
    c.fin_sent = true;
  }
  if (c.queue.unsent_bytes == 0 && length > 0) draft.flags |= tcp_flag::psh;
  if (c.say_reduced && length > 0) {
    draft.flags |= tcp_flag::cwr;
    c.say_reduced = false;
  }
  if (c.sent.count == 1) c.progress_at = tcp.now;
  c.send_next += taken;
  c.congestion.on_sent_in_reduction(taken);
  note_paced(tcp, c, taken);
  finish_frame(tcp, c, draft, mac, frame);
  c.sent_at = tcp.now;
  if (c.retransmit_timer != RetransmitTimer::timeout) arm_retransmit(tcp, c);
  return Step::sent;
}

bool has_unsent(const Connection& c) {
  return c.queue.unsent_bytes > 0 || (c.wants_fin && !c.fin_sent);
}

std::uint32_t usable_window(const Connection& c) {
  const Seq edge = c.send_unacked + c.send_window;
  return edge > c.send_next ? edge - c.send_next : 0;
}

// RFC 9293, 3.8.6.2.1, without Nagle's rule: a full segment, all there is, or half of the largest
// window the peer ever offered; else the timer of arm_retransmit() overrides.
bool is_worth_sending(const Connection& c, std::uint32_t length, std::uint32_t segment) {
  return length >= segment || length == c.queue.unsent_bytes || length >= c.send_window_max / 2;
}

Step send_data(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  if (!has_unsent(c) || !c.may_send_data()) return Step::nothing;
  const std::uint32_t usable = usable_window(c);
  const auto unsent = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(c.queue.unsent_bytes, UINT32_MAX));
  const std::uint32_t segment = c.send_mss - sack_bytes(c);
  const std::uint32_t room = congestion_room(c);
  const std::uint32_t wanted = std::min({unsent, usable, frame_payload_limit(tcp, segment)});
  if (usable == 0 || !is_worth_sending(c, wanted, segment)) {
    // The peer's window closes us in: somebody must ask when it opens.
    c.congestion.is_limiting = false;
    if (c.sent.head == none && c.retransmit_timer == RetransmitTimer::off) arm_retransmit(tcp, c);
    return Step::nothing;
  }
  if (room < std::min(wanted, segment)) {
    c.congestion.is_limiting = true;
    return Step::nothing;
  }
  if (must_wait_for_pace(tcp, c)) return Step::nothing;
  std::uint32_t length = std::min(wanted, std::max(segment, room / segment * segment));
  if (length > segment && length < unsent) length = length / segment * segment;
  if (length == unsent) {
    // The application limits us, unless this fills the window.
    c.congestion.is_limiting = room - length < segment ||
                               (c.congestion.in_slow_start() &&
                                c.congestion.window < 2 * (pipe_of(c) + length));
  }
  return send_new(tcp, c, mac, frame, length, usable > length);
}

// RFC 9293, 3.8.6.1: at least a byte, so that every peer answers.
Step send_window_probe(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  c.is_probe_due = false;
  tcp.count(Count::window_probes);
  if (c.sent.head != none) {
    // The first byte of what is under way, as a copy: the record stays as it is.
    SentRecord& record = tcp.records[c.sent.head];
    StreamPos after;
    if (record.payload() > 0 && tcp.sends.gather(record.at, 1, frame, after) == 0) {
      return Step::starved;
    }
    Draft draft{.seq = record.seq};
    if (record.payload() == 0) draft.flags |= tcp_flag::fin;
    record.ever_resent = true;
    finish_frame(tcp, c, draft, mac, frame);
    return Step::sent;
  }
  if (!has_unsent(c) || !c.may_send_data()) return Step::nothing;
  const std::uint32_t usable = usable_window(c);
  const auto length = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      {c.queue.unsent_bytes, std::max(usable, 1U), c.send_mss - sack_bytes(c)}));
  return send_new(tcp, c, mac, frame, length, c.queue.unsent_bytes == 0);
}

// The last segment, which may be part of a record; within a recovery the first one, for which the
// most has been waited. none: there is no memory for that.
std::uint32_t to_probe_with(Tcp& tcp, Connection& c, std::uint32_t segment) {
  if (c.recovery == Recovery::fast) return c.sent.head;
  const SentRecord& last = tcp.records[c.sent.tail];
  if (last.length > segment) {
    const std::uint32_t first = last.length - segment;
    if (!tcp.records.split(c.sent, c.sent.tail, first, tcp.sends.advance(last.at, first))) {
      return none;
    }
  }
  return c.sent.tail;
}

// RFC 8985, 7.3: new data if the peer's window has room, else something again.
Step send_tail_probe(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  c.is_tail_probe_due = false;
  if (c.sent.head == none) return Step::nothing;
  const std::uint32_t segment = c.send_mss - sack_bytes(c);
  const std::uint32_t room = usable_window(c);
  Step step = Step::nothing;
  bool may_repair = false;
  if (c.queue.unsent_bytes > 0 && room > 0) {
    const auto length = static_cast<std::uint32_t>(
        std::min<std::uint64_t>({c.queue.unsent_bytes, room, segment}));
    step = send_new(tcp, c, mac, frame, length, room > length);
  } else {
    const std::uint32_t index = to_probe_with(tcp, c, segment);
    if (index == none || tcp.records[index].sacked) return Step::nothing;
    step = resend(tcp, c, mac, frame, index, segment);
    // What a recovery lost, it has paid for.
    may_repair = c.recovery == Recovery::steady;
  }
  if (step != Step::sent) return step;
  tcp.count(Count::loss_probes);
  ++c.tail_probes;
  if (may_repair) ++c.tail_probes_resent;
  c.tail_probe_end = c.send_next;
  arm_retransmit(tcp, c);
  return step;
}

Step send_ack(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  if ((!c.ack_now && c.duplicate_acks_due == 0) || !c.is_synchronized()) return Step::nothing;
  // One that says something new is no duplicate.
  if (c.duplicate_acks_due > 0 && c.last_ack_sent == c.receive_next) --c.duplicate_acks_due;
  tcp.count(Count::acks_out);
  finish_frame(tcp, c, {.seq = c.bare_seq()}, mac, frame);
  return Step::sent;
}

// RFC 9293, 3.8.4: an ACK of old news, which the peer must answer.
Step send_keepalive(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  c.is_keepalive_due = false;
  tcp.count(Count::keepalive_probes);
  finish_frame(tcp, c, {.seq = c.send_next - 1}, mac, frame);
  return Step::sent;
}

Step fill_frame(Tcp& tcp, Connection& c, const MacAddress& mac, TxFrame& frame) {
  clear(frame);
  if (c.syn_due) return send_syn(tcp, c, mac, frame);
  if (!c.is_synchronized()) return Step::nothing;
  if (c.is_probe_due) return send_window_probe(tcp, c, mac, frame);
  if (c.is_tail_probe_due) {
    const Step step = send_tail_probe(tcp, c, mac, frame);
    if (step == Step::sent) return step;
    // No probe went out, and none will: the time-out is next.
    if (c.sent.head == none) {
      arm_retransmit(tcp, c);
    } else {
      arm_timeout(tcp, c);
    }
    if (step == Step::starved) return step;
  }
  Step step = c.sent.to_resend_bytes() > 0 ? send_lost(tcp, c, mac, frame) : Step::nothing;
  if (step == Step::nothing && c.sent.to_resend_bytes() == 0) {
    step = send_data(tcp, c, mac, frame);
  }
  if (step == Step::sent) return step;
  // What is short of memory for data can still acknowledge: that needs none.
  clear(frame);
  if (c.is_keepalive_due) return send_keepalive(tcp, c, mac, frame);
  if (send_ack(tcp, c, mac, frame) == Step::sent) return Step::sent;
  return step;
}

}  // namespace

std::size_t fill_frames(Tcp& tcp, Connection& c, std::span<TxFrame> frames, FillEnd& end) {
  end = FillEnd::done;
  if (c.state == TcpState::closed) return 0;
  c.is_pacing_wait = false;
  const IpAddress* hop = tcp.next_hop(c.flow.remote.address);
  if (hop == nullptr) {
    tcp.count(Count::drop_no_route);
    return 0;
  }
  const MacAddress* mac = tcp.neighbours.resolve(*hop, c.neighbour, tcp.now);
  if (mac == nullptr) {
    end = FillEnd::no_neighbour;
    return 0;
  }
  const Duration idle = tcp.now - c.sent_at;
  if (c.sent.head == none && has_unsent(c) && c.rtt.is_known()) {
    const Duration timeout =
        c.rtt.timeout(tcp.limits.rto_initial, tcp.limits.rto_min, tcp.limits.rto_max);
    c.congestion.on_idle(idle, timeout, tcp.limits.initial_window_segments * c.send_mss);
  }
  std::size_t count = 0;
  Step step = Step::sent;
  while (count < frames.size()) {
    step = fill_frame(tcp, c, *mac, frames[count]);
    if (step != Step::sent) break;
    ++count;
  }
  if (step == Step::sent) end = FillEnd::more;
  if (step == Step::starved) end = FillEnd::starved;
  return count;
}

}  // namespace tailrace::net
