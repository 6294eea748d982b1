#include "net/tcp.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::net {
namespace {

void push(Pool<Connection>& connections, ConnectionList& list, std::uint32_t index,
          std::uint32_t Connection::Links::*link) {
  connections[index].links.*link = none;
  if (list.tail != none) connections[list.tail].links.*link = index;
  if (list.head == none) list.head = index;
  list.tail = index;
}

std::uint32_t pop(Pool<Connection>& connections, ConnectionList& list,
                  std::uint32_t Connection::Links::*link) {
  const std::uint32_t index = list.head;
  if (index == none) return none;
  list.head = connections[index].links.*link;
  if (list.head == none) list.tail = none;
  return index;
}

}  // namespace

Tcp::Tcp(const Limits& limits_, const Interface& interface_, const SipKey& key, Instant start)
    : limits(limits_),
      interface(interface_),
      secrets(key),
      now(start),
      connections(limits_.connections_max),
      flows(limits_.connections_max + limits_.half_open_max + limits_.time_wait_max,
            secrets.table_key()),
      wheel(limits_.connections_max + limits_.half_open_max, start),
      sends(limits_.sends_max, limits_.slices_max, limits_.holds_max),
      records(limits_.sent_records_max),
      receive(limits_.pieces_max, limits_.frames_max),
      neighbours(limits_.neighbours_max, secrets.table_key()),
      control(limits_.control_frames_max),
      half_open(limits_.half_open_max),
      time_wait(limits_.time_wait_max) {
  TR_ASSERT(limits_.connections_max > 0);
  TR_ASSERT(limits_.connections_max < 1U << flow_index_bits);
  TR_ASSERT(limits_.receive_buffer_min <= limits_.receive_buffer_max);
  TR_ASSERT(limits_.receive_buffer_max >> window_scale_max <= 0xffff);
  TR_ASSERT(limits_.half_open_cookies_from <= limits_.half_open_max);
  TR_ASSERT(interface_.mtu >= 576);
}

void Tcp::mark_dirty(Connection& c) {
  if (c.links.is_dirty) return;
  c.links.is_dirty = true;
  push(connections, dirty, index_of(c), &Connection::Links::dirty_next);
}

std::uint32_t Tcp::pop_dirty() {
  const std::uint32_t index = pop(connections, dirty, &Connection::Links::dirty_next);
  if (index != none) connections[index].links.is_dirty = false;
  return index;
}

std::uint32_t Tcp::pop_eventful() {
  const std::uint32_t index = pop(connections, eventful, &Connection::Links::event_next);
  if (index != none) connections[index].links.has_events = false;
  return index;
}

// Counts as dirty meanwhile, so that nothing puts it into the other list.
void Tcp::wait_in(ConnectionList& list, Connection& c) {
  TR_ASSERT(!c.links.is_dirty);
  c.links.is_dirty = true;
  push(connections, list, index_of(c), &Connection::Links::dirty_next);
}

void Tcp::wake(ConnectionList& list) {
  for (;;) {
    const std::uint32_t index = pop(connections, list, &Connection::Links::dirty_next);
    if (index == none) return;
    connections[index].links.is_dirty = false;
    mark_dirty(connections[index]);
  }
}

void Tcp::note_events(Connection& c) {
  if (c.links.has_events) return;
  c.links.has_events = true;
  push(connections, eventful, index_of(c), &Connection::Links::event_next);
}

void Tcp::schedule(Connection& c) {
  const Instant pace = c.is_pacing_wait ? c.pace_at : never();
  const Instant earliest =
      std::min({c.retransmit_at, c.reorder_at, c.ack_at, c.idle_at, pace});
  // A later deadline is found when the wheel comes; an earlier one must be told.
  if (earliest >= c.armed_at) return;
  c.armed_at = earliest;
  wheel.arm(index_of(c), earliest);
}

const IpAddress* Tcp::next_hop(const IpAddress& remote) const {
  if (interface.is_on_link(remote)) return &remote;
  const IpAddress& gateway = remote.is_v4() ? interface.gateway_v4 : interface.gateway_v6;
  return gateway.is_unspecified() ? nullptr : &gateway;
}

bool Tcp::may_record(const Connection& c) const {
  constexpr std::uint32_t few = 4;
  if (!records.has_room() || c.sent.count >= limits.sent_records_per_connection_max) return false;
  return c.sent.count < few ||
         records.records_used() < limits.sent_records_max - limits.sent_records_max / 4;
}

bool Tcp::take_rate(std::uint32_t& left) {
  if (now - rate_second >= seconds(1)) {
    rate_second = now;
    resets_left = limits.resets_per_second;
    echoes_left = limits.echoes_per_second;
  }
  if (left == 0) {
    count(Count::drop_rate);
    return false;
  }
  --left;
  return true;
}

Connection* Tcp::make(const Flow& flow) {
  if (receive_bytes + limits.receive_buffer_min > limits.receive_bytes_max) return nullptr;
  const std::uint32_t index = connections.take();
  if (index == none) return nullptr;
  Connection& c = connections[index];
  const Connection::Links links = c.links;
  const std::uint32_t generation = c.generation;
  c = Connection{};
  c.links = links;
  c.generation = generation;
  c.flow = flow;
  c.hash = flows.hash_of(flow);
  c.receive_buffer = limits.receive_buffer_min;
  receive_bytes += c.receive_buffer;
  while (limits.receive_buffer_max >> c.receive_scale > 0xffff) ++c.receive_scale;
  c.path_mtu = interface.mtu;
  c.timestamp_offset = secrets.timestamp_offset(flow);
  c.heard_at = now;
  c.tuned_at = now;
  c.progress_at = now;
  c.challenges_left = static_cast<std::uint8_t>(
      std::min<std::uint32_t>(limits.challenge_acks_per_second, 255));
  return &c;
}

void Tcp::enter_flow(Connection& c) {
  flows.insert(c.hash, flow_value(FlowKind::connection, index_of(c)));
}

// Everything but what the application must still hear about.
void Tcp::kill(Connection& c, bool is_orderly) {
  if (c.state == TcpState::closed) return;
  flows.erase(c.hash, flow_value(FlowKind::connection, index_of(c)));
  wheel.cancel(index_of(c));
  c.state = TcpState::closed;
  c.retransmit_at = c.reorder_at = c.ack_at = c.idle_at = c.armed_at = never();
  c.is_pacing_wait = false;
  c.tell_end = false;
  records.drop_all(c.sent);
  sends.drop_all(c.queue);
  if (c.is_closing || (c.is_paused && !is_orderly)) {
    receive.drop_all(c.received);
  } else {
    receive.drop_early(c.received);
  }
  receive_bytes -= c.receive_buffer;
  c.receive_buffer = 0;
  c.tell_closed = true;
  count(Count::closed);
  note_events(c);
}

void Tcp::rest(Connection& c) {
  if (time_wait.full()) {
    const std::uint32_t oldest = time_wait.oldest();
    flows.erase(time_wait[oldest].hash, flow_value(FlowKind::time_wait, oldest));
    time_wait.drop(oldest);
  }
  const std::uint16_t window = advertise(*this, c);
  kill(c, true);
  const std::uint32_t index = time_wait.push();
  TimeWait& entry = time_wait[index];
  entry.flow = c.flow;
  entry.hash = c.hash;
  entry.send_next = c.send_next;
  entry.receive_next = c.receive_next;
  entry.timestamp_recent = c.timestamp_recent;
  entry.timestamp_offset = c.timestamp_offset;
  entry.window = window;
  entry.uses_timestamps = c.uses_timestamps;
  entry.until = now + limits.time_wait;
  flows.insert(c.hash, flow_value(FlowKind::time_wait, index));
  // The FIN that brought us here is acknowledged from the table, for the connection is gone.
  if (c.ack_now) push_time_wait_ack(*this, entry);
  c.ack_now = false;
}

void Tcp::reset(Connection& c) {
  if (c.state == TcpState::closed) return;
  if (c.state != TcpState::syn_sent) {
    ControlSegment segment{.flow = c.flow};
    segment.header.seq = c.bare_seq();
    segment.header.ack = c.receive_next;
    segment.header.flags = tcp_flag::rst | tcp_flag::ack;
    push_control_segment(*this, segment);
    count(Count::resets_out);
  }
  kill(c);
}

void Tcp::forget(Connection& c) {
  TR_ASSERT(c.state == TcpState::closed);
  TR_ASSERT(c.queue.unreported == 0);
  TR_ASSERT(c.received.head == none && c.received.early == none);
  // The slot's next connection must not wait in a list for what this one waited for.
  if (c.links.is_dirty) {
    wake(missing_neighbour);
    wake(starved);
  }
  ++c.generation;
  connections.give(index_of(c));
}

void Tcp::set_segment_size(Connection& c) {
  const std::size_t headers = ip_bytes(c.flow.remote.address) + tcp_header_bytes;
  const std::size_t options = c.uses_timestamps ? 12 : 0;
  // RFC 6691: the MSS option counts without options, so they are taken off here.
  const std::size_t by_path = c.path_mtu - headers - options;
  const std::size_t by_peer = std::max(c.peer_mss, limits.send_mss_min) - options;
  c.send_mss = static_cast<std::uint16_t>(std::min(by_path, by_peer));
}

}  // namespace tailrace::net
