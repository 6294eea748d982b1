#include "net/tcp_listen.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::net {
namespace {

constexpr Duration cookie_life = seconds(128);
constexpr Duration time_wait_answer_interval = milliseconds(500);

}  // namespace

std::uint32_t TcpListen::listen(const Endpoint& local) {
  if (listeners_.size() == tcp_.limits.listeners_max) return none;
  listeners_.push_back(local);
  return static_cast<std::uint32_t>(listeners_.size() - 1);
}

std::uint32_t TcpListen::find_listener(const Endpoint& local) const {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    const Endpoint& one = listeners_[i];
    if (one.port != local.port) continue;
    const bool is_any = one.address.is_unspecified() &&
                        one.address.is_v4() == local.address.is_v4();
    if (is_any || one.address == local.address) return i;
  }
  return none;
}

std::uint8_t TcpListen::receive_scale() const {
  std::uint8_t scale = 0;
  while (tcp_.limits.receive_buffer_max >> scale > 0xffff) ++scale;
  return scale;
}

bool TcpListen::on_segment(const Flow& flow, const Arrival& arrival) {
  const TcpHeader& header = arrival.segment.header;
  if (header.has(tcp_flag::rst)) return false;
  const std::uint32_t listener = find_listener(flow.local);
  if (listener == none) {
    push_reset_for(tcp_, flow, arrival.segment);
    return false;
  }
  if (header.has(tcp_flag::ack)) return on_cookie(flow, arrival, listener);
  // RFC 9293, 3.10.7.2: nothing but a SYN is expected. A FIN beside it is an attack's.
  if (header.has(tcp_flag::syn) && !header.has(tcp_flag::fin)) {
    on_syn(flow, arrival, listener, tcp_.secrets.initial_seq(flow, tcp_.now));
  }
  return false;
}

void TcpListen::on_syn(const Flow& flow, const Arrival& arrival, std::uint32_t listener,
                       Seq start) {
  const TcpHeader& header = arrival.segment.header;
  const TcpOptions& options = header.options;
  const Interface& interface = tcp_.interface;
  Handshake handshake;
  handshake.listener = listener;
  handshake.start = start;
  handshake.peer_start = header.seq;
  const std::uint16_t mss_default = flow.remote.address.is_v4() ? 536 : 1220;
  handshake.mss = options.mss == 0 ? mss_default : options.mss;
  handshake.window_scale = interface.use_window_scale ? options.window_scale : no_window_scale;
  handshake.uses_timestamps = interface.use_timestamps && options.has_timestamp;
  handshake.uses_sack = interface.use_sack && options.sack_permitted;
  handshake.uses_ecn = interface.use_ecn && header.has(tcp_flag::ece) &&
                       header.has(tcp_flag::cwr) && arrival.ecn == Ecn::not_capable;
  handshake.timestamp_recent = options.timestamp;
  const std::uint32_t offset = tcp_.secrets.timestamp_offset(flow);
  const std::uint32_t index = tcp_.half_open.used_count() < tcp_.limits.half_open_cookies_from
                                  ? tcp_.half_open.take()
                                  : none;
  if (index == none) {
    CookieContents contents{.mss = handshake.mss,
                            .has_timestamp = handshake.uses_timestamps,
                            .sack_permitted = handshake.uses_sack,
                            .ecn = handshake.uses_ecn,
                            .window_scale = handshake.window_scale};
    if (!handshake.uses_timestamps) {
      // Nothing to carry them in.
      handshake.uses_sack = handshake.uses_ecn = false;
      handshake.window_scale = no_window_scale;
    }
    handshake.start = tcp_.secrets.cookie(flow, header.seq, contents, tcp_.now);
    cookies_until_ = tcp_.now + cookie_life;
    tcp_.count(Count::cookies_out);
    push_syn_ack(flow, handshake, offset + Secrets::cookie_timestamp(tcp_.clock_ms(), contents));
    return;
  }
  HalfOpen& entry = tcp_.half_open[index];
  entry.remote = flow.remote.address;
  entry.remote_port = flow.remote.port;
  entry.local_port = flow.local.port;
  entry.local_address = static_cast<std::uint8_t>(interface.index_of(flow.local.address));
  entry.listener = static_cast<std::uint8_t>(listener);
  entry.window_scale = handshake.window_scale;
  entry.mss = handshake.mss;
  entry.uses_timestamps = handshake.uses_timestamps;
  entry.uses_sack = handshake.uses_sack;
  entry.uses_ecn = handshake.uses_ecn;
  entry.start = handshake.start;
  entry.peer_start = handshake.peer_start;
  entry.timestamp_recent = handshake.timestamp_recent;
  entry.hash = tcp_.flows.hash_of(flow);
  entry.began = tcp_.now;
  tcp_.flows.insert(entry.hash, flow_value(FlowKind::half_open, index));
  push_half_open_syn_ack(index);
}

TcpListen::Handshake TcpListen::handshake_of(const HalfOpen& entry) const {
  Handshake handshake;
  handshake.listener = entry.listener;
  handshake.start = entry.start;
  handshake.peer_start = entry.peer_start;
  handshake.mss = entry.mss;
  handshake.window_scale = entry.window_scale;
  handshake.uses_timestamps = entry.uses_timestamps;
  handshake.uses_sack = entry.uses_sack;
  handshake.uses_ecn = entry.uses_ecn;
  handshake.timestamp_recent = entry.timestamp_recent;
  if (entry.tries == 1) handshake.rtt = std::max(tcp_.now - entry.began, microseconds(1));
  return handshake;
}

Flow TcpListen::flow_of(const HalfOpen& entry) const {
  return {{tcp_.interface.addresses[entry.local_address].address, entry.local_port},
          {entry.remote, entry.remote_port}};
}

void TcpListen::push_half_open_syn_ack(std::uint32_t index) {
  HalfOpen& entry = tcp_.half_open[index];
  const Flow flow = flow_of(entry);
  push_syn_ack(flow, handshake_of(entry),
               tcp_.clock_ms() + tcp_.secrets.timestamp_offset(flow));
  // RFC 6298, 5.5: the waits double.
  const Duration wait{tcp_.limits.rto_initial.ns << std::min<int>(entry.tries, 6)};
  if (entry.tries < UINT8_MAX) ++entry.tries;
  tcp_.wheel.arm(tcp_.connections.capacity() + index, tcp_.now + wait);
}

void TcpListen::push_syn_ack(const Flow& flow, const Handshake& handshake,
                             std::uint32_t timestamp) {
  ControlSegment answer{.flow = flow};
  TcpHeader& header = answer.header;
  header.seq = handshake.start;
  header.ack = handshake.peer_start + 1;
  header.flags = tcp_flag::syn | tcp_flag::ack;
  if (handshake.uses_ecn) header.flags |= tcp_flag::ece;
  header.window = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(tcp_.limits.receive_buffer_min, 0xffff));
  header.options.mss = static_cast<std::uint16_t>(
      tcp_.interface.mtu - ip_bytes(flow.local.address) - tcp_header_bytes);
  header.options.sack_permitted = handshake.uses_sack;
  if (handshake.uses_timestamps) {
    header.options.has_timestamp = true;
    header.options.timestamp = timestamp;
    header.options.timestamp_echo = handshake.timestamp_recent;
  }
  if (handshake.window_scale != no_window_scale) {
    header.options.window_scale = receive_scale();
  }
  push_control_segment(tcp_, answer);
}

void TcpListen::drop_half_open(std::uint32_t index) {
  tcp_.wheel.cancel(tcp_.connections.capacity() + index);
  tcp_.flows.erase(tcp_.half_open[index].hash, flow_value(FlowKind::half_open, index));
  tcp_.half_open.give(index);
}

void TcpListen::on_half_open_timer(std::uint32_t index) {
  if (tcp_.now - tcp_.half_open[index].began >= tcp_.limits.half_open_timeout) {
    tcp_.count(Count::half_open_timeouts);
    return drop_half_open(index);
  }
  push_half_open_syn_ack(index);
}

// RFC 9293, 3.10.7.4, as far as it is about SYN-RECEIVED.
bool TcpListen::on_half_open_segment(std::uint32_t index, const Flow& flow,
                                     const Arrival& arrival) {
  const HalfOpen& entry = tcp_.half_open[index];
  const TcpHeader& header = arrival.segment.header;
  const Seq expected = entry.peer_start + 1;
  if (header.has(tcp_flag::rst)) {
    // RFC 5961, 3.2, without an answer to the others: nothing is lost yet.
    if (header.seq == expected) {
      tcp_.count(Count::resets_in);
      drop_half_open(index);
    }
    return false;
  }
  if (header.has(tcp_flag::syn)) {
    if (header.has(tcp_flag::ack)) {
      push_reset_for(tcp_, flow, arrival.segment);
    } else if (header.seq == entry.peer_start) {
      push_half_open_syn_ack(index);   // Ours was lost.
    } else if (tcp_.take_rate(tcp_.resets_left)) {
      // RFC 5961, 4.2: if the old peer is gone, its reset will say so.
      ControlSegment ack{.flow = flow};
      ack.header.seq = entry.start + 1;
      ack.header.ack = expected;
      ack.header.flags = tcp_flag::ack;
      tcp_.count(Count::challenge_acks);
      push_control_segment(tcp_, ack);
    }
    return false;
  }
  if (!header.has(tcp_flag::ack)) return false;
  if (header.ack != entry.start + 1) {
    push_reset_for(tcp_, flow, arrival.segment);
    return false;
  }
  const bool is_old = entry.uses_timestamps && header.options.has_timestamp &&
                      is_older_stamp(header.options.timestamp, entry.timestamp_recent);
  const Seq edge = expected + std::min<std::uint32_t>(tcp_.limits.receive_buffer_min, 0xffff);
  if (is_old || header.seq < expected || header.seq > edge) return false;
  const Handshake handshake = handshake_of(entry);
  drop_half_open(index);
  return complete(flow, handshake, arrival);
}

bool TcpListen::on_cookie(const Flow& flow, const Arrival& arrival, std::uint32_t listener) {
  const TcpHeader& header = arrival.segment.header;
  const bool may_be_cookie = tcp_.now < cookies_until_ && !header.has(tcp_flag::syn);
  std::optional<CookieContents> contents;
  if (may_be_cookie) {
    std::optional<std::uint32_t> echo;
    if (header.options.has_timestamp && tcp_.interface.use_timestamps) {
      echo = header.options.timestamp_echo - tcp_.secrets.timestamp_offset(flow);
    }
    contents = tcp_.secrets.check_cookie(flow, header.seq - 1, header.ack - 1, echo, tcp_.now);
    if (!contents.has_value()) tcp_.count(Count::cookies_bad);
  }
  if (!contents.has_value()) {
    // While cookies are out, a segment may have overtaken the ACK that brings one back: a reset
    // would end what is about to begin.
    if (!may_be_cookie) push_reset_for(tcp_, flow, arrival.segment);
    return false;
  }
  tcp_.count(Count::cookies_good);
  Handshake handshake;
  handshake.listener = listener;
  handshake.start = header.ack - 1;
  handshake.peer_start = header.seq - 1;
  handshake.mss = contents->mss;
  handshake.window_scale = contents->window_scale;
  handshake.uses_timestamps = contents->has_timestamp;
  handshake.uses_sack = contents->sack_permitted;
  handshake.uses_ecn = contents->ecn;
  handshake.timestamp_recent = header.options.timestamp;
  handshake.was_cookie = true;
  return complete(flow, handshake, arrival);
}

bool TcpListen::complete(const Flow& flow, const Handshake& handshake, const Arrival& arrival) {
  Connection* made = tcp_.make(flow);
  if (made == nullptr) {
    tcp_.count(Count::refused);
    push_reset_for(tcp_, flow, arrival.segment);
    return false;
  }
  Connection& c = *made;
  const TcpHeader& header = arrival.segment.header;
  c.is_passive = true;
  c.was_cookie = handshake.was_cookie;
  c.listener = handshake.listener;
  c.send_start = handshake.start;
  c.send_unacked = c.send_next = handshake.start + 1;
  c.peer_start = handshake.peer_start;
  c.receive_next = c.last_ack_sent = handshake.peer_start + 1;
  c.receive_edge = c.receive_next + std::min<std::uint32_t>(c.receive_buffer, 0xffff);
  c.peer_mss = handshake.mss;
  c.uses_scale = handshake.window_scale != no_window_scale;
  if (c.uses_scale) {
    c.send_scale = handshake.window_scale;
  } else {
    c.receive_scale = 0;
  }
  c.uses_timestamps = handshake.uses_timestamps;
  c.uses_sack = handshake.uses_sack;
  c.uses_ecn = handshake.uses_ecn;
  c.timestamp_recent = handshake.timestamp_recent;
  c.timestamp_recent_at = tcp_.now;
  c.send_window = std::uint32_t{header.window} << c.send_scale;
  c.send_window_max = c.send_window;
  c.window_seq = header.seq;
  c.window_ack = header.ack;
  tcp_.set_segment_size(c);
  tcp_.enter_flow(c);
  if (handshake.rtt.ns > 0) c.rtt.sample(handshake.rtt, tcp_.now);
  establish(tcp_, c);
  c.tell_accepted = true;
  tcp_.count(Count::accepted);
  tcp_.note_events(c);
  return net::on_segment(tcp_, c, arrival);
}

// RFC 9293, 3.10.7.4 for TIME-WAIT.
bool TcpListen::on_time_wait_segment(std::uint32_t index, const Flow& flow,
                                     const Arrival& arrival) {
  TimeWait& entry = tcp_.time_wait[index];
  const TcpHeader& header = arrival.segment.header;
  if (header.has(tcp_flag::rst)) return false;   // RFC 1337: it would end the rest too soon.
  const bool has_stamps = entry.uses_timestamps && header.options.has_timestamp;
  if (header.has(tcp_flag::syn) && !header.has(tcp_flag::ack)) {
    // RFC 6191: a SYN that is certainly new begins a new connection.
    const bool is_new = has_stamps && header.options.timestamp != entry.timestamp_recent
                            ? is_older_stamp(entry.timestamp_recent, header.options.timestamp)
                            : header.seq > entry.receive_next;
    const std::uint32_t listener = find_listener(flow.local);
    if (is_new && listener != none) {
      const Seq start =
          later(tcp_.secrets.initial_seq(flow, tcp_.now), entry.send_next + 0x1'0000);
      tcp_.flows.erase(entry.hash, flow_value(FlowKind::time_wait, index));
      tcp_.time_wait.drop(index);
      on_syn(flow, arrival, listener, start);
      return false;
    }
  }
  const bool is_fin_again = header.has(tcp_flag::fin) && !header.has(tcp_flag::syn) &&
                            arrival.segment.end() == entry.receive_next;
  if (is_fin_again) {
    // Our ACK was lost; the rest begins anew, at the end of the ring.
    TimeWait again = entry;
    tcp_.flows.erase(entry.hash, flow_value(FlowKind::time_wait, index));
    tcp_.time_wait.drop(index);
    const std::uint32_t place = tcp_.time_wait.full() ? none : tcp_.time_wait.push();
    push_time_wait_ack(tcp_, again);
    if (place == none) return false;
    again.until = tcp_.now + tcp_.limits.time_wait;
    tcp_.time_wait[place] = again;
    tcp_.flows.insert(again.hash, flow_value(FlowKind::time_wait, place));
    return false;
  }
  // What a peer that is at rest as well may send; answers to answers would not end.
  if (arrival.segment.length() == 0 && header.seq == entry.receive_next) return false;
  const bool has_rested = entry.answered_at.ns == 0 ||
                          tcp_.now - entry.answered_at >= time_wait_answer_interval;
  if (has_rested) push_time_wait_ack(tcp_, entry);
  return false;
}

void TcpListen::drop_rested() {
  for (;;) {
    const std::uint32_t oldest = tcp_.time_wait.oldest();
    if (oldest == TimeWaitTable::no_entry || tcp_.time_wait[oldest].until > tcp_.now) return;
    tcp_.flows.erase(tcp_.time_wait[oldest].hash, flow_value(FlowKind::time_wait, oldest));
    tcp_.time_wait.drop(oldest);
  }
}

}  // namespace tailrace::net
