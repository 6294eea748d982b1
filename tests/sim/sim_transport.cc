#include "sim_transport.h"

#include <algorithm>
#include <cstring>

namespace tailrace::sim {

SimTransport::SimTransport(SimClock& clock, Trace& trace, Prng prng, const NetworkPace& pace,
                           std::string name)
    : clock_(clock), trace_(trace), prng_(prng), pace_(pace), name_(std::move(name)) {}

Duration SimTransport::delay() {
  const auto spread = static_cast<std::uint64_t>(pace_.delay_max.ns - pace_.delay_min.ns);
  return nanoseconds(pace_.delay_min.ns + static_cast<std::int64_t>(prng_.below(spread + 1)));
}

SimTransport::Connection* SimTransport::find(ConnId conn) {
  const auto found = connections_.find(conn);
  return found == connections_.end() ? nullptr : &found->second;
}

std::size_t SimTransport::poll(Instant now, std::span<StreamEvent> events) {
  std::size_t count = 0;
  for (auto& [id, connection] : connections_) {
    while (count < events.size() && poll_connection(id, connection, now, events[count])) {
      const StreamEvent& event = events[count++];
      trace_.add(event.conn ^ (std::uint64_t{static_cast<std::uint8_t>(event.kind)} << 56));
      trace_.add(event.token ^ event.bytes.size());
    }
  }
  forget_gone();
  return count;
}

bool SimTransport::poll_connection(ConnId id, Connection& c, Instant now, StreamEvent& event) {
  if (c.gone) return false;
  if (!c.accepted) {
    if (now < c.accept_due) return false;
    c.accepted = true;
    event = {.kind = StreamEvent::Kind::accepted, .conn = id, .bytes = as_bytes("10.0.0.1"),
             .listener = c.listener};
    return true;
  }
  if (poll_sent(id, c, now, event)) return true;
  const bool over = c.broken || (c.closing && c.sends.empty()) ||
                    (c.peer_closed && c.to_broker.empty() && c.sends.empty());
  if (over) {
    if (now < c.closed_due || !c.sends.empty()) return false;
    c.gone = true;
    event = {.kind = StreamEvent::Kind::closed, .conn = id};
    trace_.say(clock_.instant(), "{} connection {} closed", name_, id);
    return true;
  }
  return poll_data(id, c, now, event);
}

bool SimTransport::poll_data(ConnId id, Connection& c, Instant now, StreamEvent& event) {
  if (c.paused || c.closing || c.to_broker.empty()) return false;
  if (now < c.to_broker.front().due || buffers_.size() >= pace_.receive_buffers) return false;
  if (pace_.reset != 0 && prng_.chance(pace_.reset, 1'000'000)) {
    break_off(c);
    return false;
  }
  Piece& piece = c.to_broker.front();
  const std::size_t most = std::min<std::size_t>(piece.bytes.size(), pace_.piece_bytes_max);
  // Mostly all of it; sometimes a few bytes, so that every boundary is met in time.
  const std::size_t size = prng_.chance(3, 4) ? most : prng_.between(1, most);
  const std::uint64_t token = next_token_++;
  const auto middle = piece.bytes.begin() + static_cast<std::ptrdiff_t>(size);
  std::vector<std::byte>& buffer = buffers_[token];
  buffer.assign(piece.bytes.begin(), middle);
  piece.bytes.erase(piece.bytes.begin(), middle);
  if (piece.bytes.empty()) c.to_broker.pop_front();
  buffers_held_most_ = std::max(buffers_held_most_, buffers_.size());
  event = {.kind = StreamEvent::Kind::data, .conn = id, .bytes = buffer, .token = token};
  return true;
}

// Copies what goes out now; reports the oldest send once it is done.
bool SimTransport::poll_sent(ConnId id, Connection& c, Instant now, StreamEvent& event) {
  while (!c.sends.empty()) {
    Send& send = c.sends.front();
    if (c.broken) {
      event = {.kind = StreamEvent::Kind::sent, .conn = id, .token = send.token};
      c.sends.pop_front();
      --sends_in_flight_;
      return true;
    }
    if (now < send.due) return false;
    if (!send.gone) {
      move_out(c, send);
      send.due = now + delay();
      continue;
    }
    event = {.kind = StreamEvent::Kind::sent, .conn = id, .token = send.token};
    c.sends.pop_front();
    --sends_in_flight_;
    return true;
  }
  return false;
}

void SimTransport::move_out(Connection& c, Send& send) {
  if (pace_.reset != 0 && prng_.chance(pace_.reset, 1'000'000)) return break_off(c);
  Piece piece{.due = clock_.instant() + delay()};
  if (!c.to_client.empty()) piece.due = std::max(piece.due, c.to_client.back().due);
  std::size_t budget = prng_.chance(3, 4) ? SIZE_MAX : prng_.between(1, 2000);
  while (send.slice < send.slices.size() && budget > 0) {
    const Bytes rest = send.slices[send.slice].subspan(send.slice_pos);
    const std::size_t size = std::min(rest.size(), budget);
    piece.bytes.insert(piece.bytes.end(), rest.begin(),
                       rest.begin() + static_cast<std::ptrdiff_t>(size));
    budget -= size;
    send.slice_pos += size;
    if (send.slice_pos == send.slices[send.slice].size()) {
      ++send.slice;
      send.slice_pos = 0;
    }
  }
  send.gone = send.slice == send.slices.size();
  if (plant_spoil && piece.bytes.size() > 200) piece.bytes.back() ^= std::byte{1};
  trace_.add(Bytes(piece.bytes));
  c.to_client.push_back(std::move(piece));
}

void SimTransport::release(std::uint64_t token) {
  const auto found = buffers_.find(token);
  if (found == buffers_.end()) {
    ++misuses_;
    return;
  }
  // Whoever still looks at it is found out.
  std::fill(found->second.begin(), found->second.end(), std::byte{0xdd});
  buffers_.erase(found);
}

bool SimTransport::send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) {
  Connection* c = find(conn);
  if (c == nullptr || c->gone) {
    // "after this no event names it": a send to a connection that was reported closed has nobody
    // to tell that its memory is free again.
    ++misuses_;
    return true;
  }
  if (sends_in_flight_ >= pace_.sends_in_flight_max) return false;
  // Only while a `sent` event is on its way: it is what makes the broker offer it again.
  if (sends_in_flight_ > 0 && pace_.refuse != 0 && prng_.chance(pace_.refuse, 1'000'000)) {
    return false;
  }
  Send send{.due = clock_.instant() + delay(), .token = token};
  for (const Bytes slice : slices) {
    if (!slice.empty()) send.slices.push_back(slice);
  }
  ++sends_in_flight_;
  c->sends.push_back(std::move(send));
  return true;
}

void SimTransport::pause(ConnId conn) {
  if (Connection* c = find(conn)) c->paused = true;
}

void SimTransport::resume(ConnId conn) {
  if (Connection* c = find(conn)) c->paused = false;
}

void SimTransport::close(ConnId conn) {
  Connection* c = find(conn);
  if (c == nullptr || c->gone) return;
  c->closing = true;
  c->closed_due = clock_.instant() + delay();
}

void SimTransport::abort(ConnId conn) {
  Connection* c = find(conn);
  if (c != nullptr && !c->gone) break_off(*c);
}

void SimTransport::break_off(Connection& c) {
  c.broken = true;
  c.closed_due = clock_.instant() + delay();
  c.to_broker.clear();
}

Instant SimTransport::deadline_of(const Connection& c) const {
  if (c.gone) return never();
  if (!c.accepted) return c.accept_due;
  if (!c.sends.empty()) return c.broken ? clock_.instant() : c.sends.front().due;
  if (c.broken || c.closing) return c.closed_due;
  if (c.peer_closed && c.to_broker.empty()) return c.closed_due;
  if (c.paused || c.to_broker.empty() || buffers_.size() >= pace_.receive_buffers) return never();
  return c.to_broker.front().due;
}

Instant SimTransport::next_deadline() const {
  Instant earliest = never();
  for (const auto& [id, connection] : connections_) {
    earliest = std::min(earliest, deadline_of(connection));
  }
  return earliest;
}

void SimTransport::forget_gone() {
  std::erase_if(connections_, [](const auto& item) {
    const Connection& c = item.second;
    return c.gone && c.to_client.empty() && c.peer_closed;
  });
}

ConnId SimTransport::client_connect(std::uint32_t listener) {
  const ConnId id = next_conn_++;
  Connection& c = connections_[id];
  c.listener = listener;
  c.accept_due = clock_.instant() + delay();
  return id;
}

bool SimTransport::client_send(ConnId conn, Bytes bytes) {
  Connection* c = find(conn);
  if (c == nullptr || c->gone || c->broken || c->closing || c->peer_closed) return false;
  Piece piece{.due = clock_.instant() + delay(), .bytes = {bytes.begin(), bytes.end()}};
  if (!c->to_broker.empty()) piece.due = std::max(piece.due, c->to_broker.back().due);
  piece.due = std::max(piece.due, c->accept_due);
  c->to_broker.push_back(std::move(piece));
  return true;
}

bool SimTransport::client_receive(ConnId conn, std::vector<std::byte>& bytes) {
  Connection* c = find(conn);
  if (c == nullptr) return false;
  while (!c->to_client.empty() && c->to_client.front().due <= clock_.instant()) {
    const std::vector<std::byte>& piece = c->to_client.front().bytes;
    bytes.insert(bytes.end(), piece.begin(), piece.end());
    c->to_client.pop_front();
  }
  return !c->to_client.empty() || !(c->gone || c->broken);
}

// With what it has sent still on its way, or without.
void SimTransport::client_close(ConnId conn) {
  Connection* c = find(conn);
  if (c == nullptr) return;
  c->peer_closed = true;
  c->to_client.clear();
  c->closed_due = clock_.instant() + delay();
  if (prng_.chance(1, 2)) break_off(*c);
}

Instant SimTransport::client_deadline(ConnId conn) const {
  const auto found = connections_.find(conn);
  if (found == connections_.end()) return clock_.instant();
  const Connection& c = found->second;
  if (!c.to_client.empty()) return c.to_client.front().due;
  return c.gone || c.broken ? clock_.instant() : never();
}

}  // namespace tailrace::sim
