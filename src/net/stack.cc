#include "net/stack.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::net {
namespace {

constexpr std::uint32_t echo_hold_bit = 0x8000'0000U;
constexpr std::uint32_t echoes_held_max = 64;
constexpr std::uint32_t port_tries_max = 4096;
// Frames whose headers are on their way from memory while one is taken apart.
constexpr std::size_t fetched_ahead = 8;

}  // namespace

Stack::Stack(const Limits& limits, const Interface& interface, const SipKey& key, Instant start)
    : tcp_(limits, interface, key, start),
      listen_(tcp_),
      burst_(std::make_unique<std::array<Packet, burst_max>>()),
      echoes_(echoes_held_max),
      conflict_at_(interface.addresses.size()) {
  TR_ASSERT(!interface.mac.is_group());
  TR_ASSERT(limits.holds_max < echo_hold_bit);
  TR_ASSERT(interface.addresses.size() <= UINT8_MAX);
  if (!interface.answers_neighbours) return;
  for (const InterfaceAddress& own : interface.addresses) {
    // Whoever has it already answers a probe (RFC 5227, 2.1.1). An operator chose the address, so
    // it is not waited for.
    if (own.address.is_v4()) {
      push_arp({ArpPacket::Operation::request, interface.mac, {}, {}, own.address}, broadcast_mac);
    }
    announce(own.address);
  }
}

// --- in ------------------------------------------------------------------------------------------

void Stack::input(std::span<const RxFrame> frames, Instant now) {
  TR_ASSERT(now >= tcp_.now);
  tcp_.now = now;
  // An ACK may bring memory back.
  if (!frames.empty()) tcp_.wake(tcp_.starved);
  while (!frames.empty()) {
    const std::size_t count = std::min(frames.size(), burst_max);
    input_burst(frames.first(count));
    frames = frames.subspan(count);
  }
}

void Stack::input_burst(std::span<const RxFrame> frames) {
  std::array<Packet, burst_max>& burst = *burst_;
  const auto fetch_headers = [&](std::size_t i) {
    if (i >= frames.size() || frames[i].bytes.empty()) return;
    const Bytes bytes = frames[i].bytes;
    __builtin_prefetch(bytes.data());
    __builtin_prefetch(bytes.data() + std::min<std::size_t>(bytes.size() - 1, 64));
  };
  for (std::size_t i = 0; i < fetched_ahead; ++i) fetch_headers(i);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    fetch_headers(i + fetched_ahead);
    if (!parse_plain(frames[i], tcp_.interface, burst[i])) {
      const Count failure = parse_packet(frames[i], tcp_.interface, burst[i]);
      if (failure != Count::frames_in) tcp_.count(failure);
    }
    if (burst[i].kind != Packet::Kind::tcp) continue;
    burst[i].hash = tcp_.flows.hash_of(burst[i].flow);
    tcp_.flows.prefetch(burst[i].hash);
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    burst[i].expected = none;
    if (burst[i].kind != Packet::Kind::tcp) continue;
    const std::uint32_t value = tcp_.flows.peek(burst[i].hash);
    if (value == FlowTable::no_value || flow_kind(value) != FlowKind::connection) continue;
    burst[i].expected = flow_index(value);
    const auto* lines = reinterpret_cast<const std::byte*>(&tcp_.connections[flow_index(value)]);
    const std::size_t bytes = burst[i].segment.payload.empty() ? Connection::ack_bytes
                                                               : Connection::data_bytes;
    for (std::size_t at = 0; at < bytes; at += 64) __builtin_prefetch(lines + at);
  }
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!process(burst[i])) tcp_.receive.release(burst[i].token);
  }
  tcp_.count(Count::frames_in, frames.size());
}

std::uint32_t Stack::lookup(std::uint32_t hash, const Flow& flow) const {
  return tcp_.flows.find(hash, [&](std::uint32_t value) {
    const std::uint32_t index = flow_index(value);
    Tcp& tcp = const_cast<Tcp&>(tcp_);
    switch (flow_kind(value)) {
      case FlowKind::connection:
        return tcp.connections[index].flow == flow;
      case FlowKind::half_open: {
        const HalfOpen& entry = tcp.half_open[index];
        return entry.remote_port == flow.remote.port && entry.local_port == flow.local.port &&
               entry.remote == flow.remote.address &&
               tcp.interface.addresses[entry.local_address].address == flow.local.address;
      }
      case FlowKind::time_wait:
        return tcp.time_wait[index].flow == flow;
    }
    return false;
  });
}

bool Stack::process(Packet& packet) {
  switch (packet.kind) {
    case Packet::Kind::dropped:
      return false;
    case Packet::Kind::arp:
      on_arp(packet);
      return false;
    case Packet::Kind::icmp:
      return on_icmp(packet);
    case Packet::Kind::tcp:
      return process_tcp(packet);
  }
  return false;
}

bool Stack::process_tcp(Packet& packet) {
  const Arrival arrival{packet.segment, packet.ip.ecn, packet.token};
  // A connection that lives is the only one of its flow, and in the table.
  if (packet.expected != none) {
    Connection& c = tcp_.connections[packet.expected];
    if (c.state != TcpState::closed && c.flow == packet.flow) {
      return on_segment(tcp_, c, arrival);
    }
  }
  // Found only now: a segment before this one may have made or ended the connection.
  const std::uint32_t value = lookup(packet.hash, packet.flow);
  if (value == FlowTable::no_value) return listen_.on_segment(packet.flow, arrival);
  const std::uint32_t index = flow_index(value);
  switch (flow_kind(value)) {
    case FlowKind::connection:
      return on_segment(tcp_, tcp_.connections[index], arrival);
    case FlowKind::half_open:
      return listen_.on_half_open_segment(index, packet.flow, arrival);
    case FlowKind::time_wait:
      return listen_.on_time_wait_segment(index, packet.flow, arrival);
  }
  return false;
}

// --- time ----------------------------------------------------------------------------------------

void Stack::advance(Instant now) {
  TR_ASSERT(now >= tcp_.now);
  tcp_.now = now;
  for (;;) {
    const std::uint32_t id = tcp_.wheel.take_due(now);
    if (id == TimerWheel::no_timer) break;
    // Who waits for memory is not dirty; but a time-out needs none to send what was sent before.
    tcp_.wake(tcp_.starved);
    if (id < tcp_.connections.capacity()) {
      on_timer(tcp_, tcp_.connections[id]);
    } else {
      listen_.on_half_open_timer(id - tcp_.connections.capacity());
    }
  }
  listen_.drop_rested();
  if (router_until_ <= now) {
    tcp_.interface.gateway_v6 = {};
    router_until_ = never();
  }
  push_questions();
}

Instant Stack::next_deadline() const {
  if (tcp_.dirty.head != none || tcp_.eventful.head != none || tcp_.sends.has_finished() ||
      !tcp_.control.empty()) {
    return tcp_.now;
  }
  Instant deadline = std::min({tcp_.wheel.next_deadline(), tcp_.neighbours.next_deadline(),
                               router_until_});
  Tcp& tcp = const_cast<Tcp&>(tcp_);
  const std::uint32_t oldest = tcp.time_wait.oldest();
  if (oldest != TimeWaitTable::no_entry) {
    deadline = std::min(deadline, tcp.time_wait[oldest].until);
  }
  return std::max(deadline, tcp_.now);
}

// --- out -----------------------------------------------------------------------------------------

std::size_t Stack::output(std::span<TxFrame> frames, Instant now) {
  TR_ASSERT(now >= tcp_.now);
  tcp_.now = now;
  push_questions();
  std::size_t count = output_control(frames);
  count += output_connections(frames.subspan(count));
  // A new neighbour may be asked for at once.
  push_questions();
  count += output_control(frames.subspan(count));
  tcp_.count(Count::frames_out, count);
  return count;
}

std::size_t Stack::output_control(std::span<TxFrame> frames) {
  std::size_t count = 0;
  while (count < frames.size() && !tcp_.control.empty()) {
    if (fill_control(tcp_.control.pop(), frames[count])) ++count;
  }
  return count;
}

bool Stack::fill_control(std::uint32_t index, TxFrame& frame) {
  ControlFrame& control = tcp_.control[index];
  MacAddress mac = control.mac;
  if (mac.is_zero()) {
    NeighbourRef ref = tcp_.neighbours.refer(control.destination, tcp_.now);
    const MacAddress* known = tcp_.neighbours.resolve(control.destination, ref, tcp_.now);
    if (known == nullptr) {
      const std::uint32_t other = tcp_.neighbours.wait_with(ref, index);
      if (other == Neighbours::no_frame) return false;
      if (tcp_.control[other].echoed_token != 0) {
        tcp_.receive.release(tcp_.control[other].echoed_token - 1);
      }
      tcp_.control.discard(other);
      return false;
    }
    mac = *known;
  }
  const EthernetHeader link{.destination = mac,
                            .source = tcp_.interface.mac,
                            .vlan = tcp_.interface.vlan,
                            .type = control.type};
  frame.link_bytes = static_cast<std::uint8_t>(store_ethernet(frame.header.data(), link));
  std::memcpy(frame.header.data() + frame.link_bytes, control.data.data(), control.data_bytes);
  frame.network_bytes = control.network_bytes;
  frame.header_bytes = static_cast<std::uint16_t>(frame.link_bytes + control.data_bytes);
  frame.checksum_pos = control.checksum_pos;
  frame.segment_bytes = 0;
  frame.slice_count = 0;
  frame.payload_bytes = 0;
  frame.hold = no_hold;
  if (control.echoed_token != 0) {
    const std::uint32_t hold = echoes_.take();
    if (hold == none) {
      tcp_.receive.release(control.echoed_token - 1);
      tcp_.control.discard(index);
      return false;
    }
    echoes_[hold].token = control.echoed_token - 1;
    frame.hold = hold | echo_hold_bit;
    frame.slices[0] = control.echoed;
    frame.slice_count = control.echoed.empty() ? 0 : 1;
    frame.payload_bytes = static_cast<std::uint32_t>(control.echoed.size());
  }
  tcp_.control.discard(index);
  return true;
}

// One pass: a connection that has more to send goes to the end, and is looked at in the next call.
std::size_t Stack::output_connections(std::span<TxFrame> frames) {
  std::size_t count = 0;
  const std::uint32_t last = tcp_.dirty.tail;
  bool is_last = tcp_.dirty.head == none;
  while (!is_last && count < frames.size()) {
    const std::uint32_t index = tcp_.pop_dirty();
    is_last = index == last;
    Connection& c = tcp_.connections[index];
    FillEnd end = FillEnd::done;
    count += fill_frames(tcp_, c, frames.subspan(count), end);
    if (end == FillEnd::more) tcp_.mark_dirty(c);
    if (end == FillEnd::starved) tcp_.wait_in(tcp_.starved, c);
    if (end == FillEnd::no_neighbour) tcp_.wait_in(tcp_.missing_neighbour, c);
  }
  return count;
}

void Stack::transmitted(std::uint32_t hold) {
  tcp_.wake(tcp_.starved);
  if ((hold & echo_hold_bit) == 0) return tcp_.sends.release(hold);
  const std::uint32_t index = hold & ~echo_hold_bit;
  tcp_.receive.release(echoes_[index].token);
  echoes_.give(index);
}

// --- events --------------------------------------------------------------------------------------

std::size_t Stack::take_events(std::span<Event> events) {
  std::size_t count = 0;
  while (count < events.size() && tcp_.sends.has_finished()) {
    const SendMemory::Finished finished = tcp_.sends.take_finished();
    Event& event = events[count++];
    event.kind = Event::Kind::sent;
    event.conn = 0;
    event.bytes = {};
    event.token = finished.token;
    if (finished.owner == none) continue;
    Connection& c = tcp_.connections[finished.owner];
    event.conn = id_of(finished.owner, c);
    --c.queue.unreported;
    if (c.tell_closed) tcp_.note_events(c);
  }
  while (count < events.size()) {
    const std::uint32_t index = tcp_.pop_eventful();
    if (index == none) break;
    Connection& c = tcp_.connections[index];
    bool is_done = true;
    count += take_events_of(c, events.subspan(count), is_done);
    if (!is_done) tcp_.note_events(c);
  }
  return count;
}

std::size_t Stack::take_events_of(Connection& c, std::span<Event> events, bool& is_done) {
  const ConnId id = id_of(tcp_.index_of(c), c);
  std::size_t count = 0;
  const auto tell = [&](Event::Kind kind) -> Event& {
    // Each field by itself: a whole Event would be made elsewhere and copied.
    Event& event = events[count++];
    event.kind = kind;
    event.conn = id;
    event.bytes = {};
    event.token = 0;
    return event;
  };
  is_done = false;
  if (c.tell_accepted || c.tell_connected) {
    Event& event = tell(c.tell_accepted ? Event::Kind::accepted : Event::Kind::connected);
    event.listener = c.listener;
    event.peer = c.flow.remote.address;
    c.tell_accepted = c.tell_connected = false;
  }
  while (!c.is_paused && c.received.head != none) {
    if (count == events.size()) return count;
    const Piece piece = tcp_.receive.pop(c.received);
    Event& event = tell(Event::Kind::data);
    event.bytes = piece.bytes();
    event.token = piece.token;
  }
  if (c.received.head == none) {
    if (c.tell_end && !c.is_paused) {
      if (count == events.size()) return count;
      c.tell_end = false;
      tell(Event::Kind::peer_ended);
    }
    // Sends that the device still holds are told first.
    if (c.tell_closed && c.queue.unreported == 0) {
      if (count == events.size()) return count;
      c.tell_closed = false;
      tell(Event::Kind::closed);
      tcp_.forget(c);
    }
  }
  is_done = true;
  return count;
}

// --- what the application says -------------------------------------------------------------------

Connection* Stack::find(ConnId id) {
  if (id == 0) return nullptr;
  const auto index = static_cast<std::uint32_t>(id - 1);
  if (index >= tcp_.connections.capacity()) return nullptr;
  Connection& c = tcp_.connections[index];
  const bool is_live = c.state != TcpState::closed || c.tell_closed;
  return is_live && id_of(index, c) == id ? &c : nullptr;
}

std::uint16_t Stack::next_port(const Endpoint& remote) {
  const IpAddress* local = tcp_.interface.source_for(remote.address);
  return local == nullptr ? 0 : tcp_.secrets.source_port(*local, remote, ports_tried_++);
}

ConnId Stack::connect(const Endpoint& remote, std::uint16_t local_port, Instant now) {
  TR_ASSERT(now >= tcp_.now);
  tcp_.now = now;
  const IpAddress* local = tcp_.interface.source_for(remote.address);
  if (local == nullptr || !remote.address.is_peer() || remote.port == 0 ||
      tcp_.next_hop(remote.address) == nullptr) {
    return 0;
  }
  Flow flow{{*local, local_port}, remote};
  const auto is_taken = [&] {
    return lookup(tcp_.flows.hash_of(flow), flow) != FlowTable::no_value;
  };
  if (local_port == 0) {
    std::uint32_t tries = 0;
    do {
      if (tries++ == port_tries_max) return 0;
      flow.local.port = next_port(remote);
    } while (is_taken());
  } else if (is_taken()) {
    return 0;
  }
  Connection* made = tcp_.make(flow);
  if (made == nullptr) return 0;
  Connection& c = *made;
  c.state = TcpState::syn_sent;
  c.send_start = tcp_.secrets.initial_seq(flow, now);
  c.send_unacked = c.send_start;
  c.send_next = c.send_start + 1;
  c.syn_due = true;
  tcp_.enter_flow(c);
  // Also when no link address is found for the SYN to go out to.
  arm_retransmit(tcp_, c);
  tcp_.mark_dirty(c);
  return id_of(tcp_.index_of(c), c);
}

bool Stack::send(ConnId id, std::span<const Bytes> slices, std::uint64_t token) {
  Connection* c = find(id);
  if (c == nullptr) return tcp_.sends.push_finished(none, token);
  const std::uint32_t index = tcp_.index_of(*c);
  if (c->state == TcpState::closed || c->wants_fin) {
    if (!tcp_.sends.push_finished(index, token)) return false;
    ++c->queue.unreported;
    return true;
  }
  if (!tcp_.sends.push(c->queue, index, slices, token)) return false;
  if (c->may_send_data()) tcp_.mark_dirty(*c);
  return true;
}

void Stack::consumed(ConnId id, std::uint64_t bytes) {
  Connection* c = find(id);
  if (c == nullptr || c->state == TcpState::closed || c->is_closing) return;
  on_consumed(tcp_, *c, bytes);
}

void Stack::pause(ConnId id) {
  Connection* c = find(id);
  if (c != nullptr && !c->is_closing) c->is_paused = true;
}

void Stack::resume(ConnId id) {
  Connection* c = find(id);
  if (c == nullptr || !c->is_paused) return;
  c->is_paused = false;
  tcp_.note_events(*c);
}

void Stack::shutdown(ConnId id) {
  Connection* c = find(id);
  if (c == nullptr || c->wants_fin) return;
  switch (c->state) {
    case TcpState::syn_sent:
    case TcpState::syn_received:
      c->wants_fin = true;   // After the handshake; establish() looks.
      return;
    case TcpState::established:
      c->state = TcpState::fin_wait_1;
      break;
    case TcpState::close_wait:
      c->state = TcpState::last_ack;
      break;
    case TcpState::closed:
    case TcpState::fin_wait_1:
    case TcpState::fin_wait_2:
    case TcpState::closing:
    case TcpState::last_ack:
      return;
  }
  c->wants_fin = true;
  tcp_.mark_dirty(*c);
}

void Stack::close(ConnId id) {
  Connection* c = find(id);
  if (c == nullptr || c->is_closing) return;
  if (c->state == TcpState::syn_sent) return tcp_.kill(*c);
  c->is_closing = true;
  c->is_paused = false;
  c->tell_end = false;
  tcp_.receive.drop_all(c->received);
  c->receive_held = 0;
  if (c->state == TcpState::closed) return tcp_.note_events(*c);
  shutdown(id);
  arm_idle(tcp_, *c);
}

void Stack::abort(ConnId id) {
  Connection* c = find(id);
  if (c == nullptr) return;
  c->is_closing = true;
  c->is_paused = false;
  tcp_.receive.drop_all(c->received);
  tcp_.reset(*c);
  tcp_.note_events(*c);
}

bool Stack::info(ConnId id, ConnectionInfo& info) const {
  const Connection* found = const_cast<Stack*>(this)->find(id);
  if (found == nullptr) return false;
  const Connection& c = *found;
  info = {.flow = c.flow,
          .state = c.state,
          .congestion_window = c.congestion.window,
          .in_flight = c.in_flight(),
          .send_window = c.send_window,
          .receive_window = c.receive_edge - c.receive_next,
          .unsent_bytes = c.queue.unsent_bytes,
          .segment_bytes = c.send_mss,
          .round_trip = c.rtt.smoothed};
  return true;
}

bool Stack::is_consistent() const {
  Tcp& tcp = const_cast<Tcp&>(tcp_);
  std::uint64_t promised = 0;
  std::uint32_t records = 0;
  for (std::uint32_t i = 0; i < tcp.connections.capacity(); ++i) {
    const Connection& c = tcp.connections[i];
    if (c.state == TcpState::closed) continue;
    promised += c.receive_buffer;
    records += c.sent.count;
    if (!tcp.records.counts_are_right(c.sent)) return false;
    if (c.sent.bytes != c.in_flight() && c.is_synchronized()) return false;
    if (c.receive_next > c.receive_edge && c.is_synchronized()) return false;
  }
  return promised == tcp.receive_bytes && records == tcp.records.records_used();
}

}  // namespace tailrace::net
