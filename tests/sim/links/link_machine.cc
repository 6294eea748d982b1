#include "link_machine.h"

#include <algorithm>

namespace tailrace::sim {

LinkMachine::LinkMachine(const LinkPlan& plan, std::unique_ptr<LinkTransport> transport, Prng prng,
                         SimClock& clock)
    : plan_(plan), transport_(std::move(transport)), prng_(prng), clock_(clock) {}

ConnId LinkMachine::connect(const std::string& address) {
  const ConnId conn = transport_->connect(address);
  if (conn != 0) conns_[conn];
  has_news_ = true;
  return conn;
}

bool LinkMachine::client_send(ConnId conn, Bytes bytes) {
  const auto found = conns_.find(conn);
  if (found == conns_.end() || found->second.is_closed || found->second.is_closing) return false;
  found->second.unsent.emplace_back(bytes.begin(), bytes.end());
  has_news_ = true;
  return true;
}

void LinkMachine::send_unsent(ConnId id, Conn& c) {
  while (!c.unsent.empty() && !c.is_closed) {
    const std::uint64_t token = next_token_++;
    const std::vector<std::byte>& bytes =
        sending_.emplace(token, std::move(c.unsent.front())).first->second;
    const Bytes all(bytes);
    const std::size_t cut = prng_.chance(1, 4) ? prng_.below(bytes.size()) : 0;
    const std::array<Bytes, 2> halves = {all.first(cut), all.subspan(cut)};
    const std::span<const Bytes> slices = std::span(halves).subspan(cut == 0 ? 1 : 0);
    if (!transport_->send(id, slices, token)) {
      c.unsent.front() = std::move(sending_.at(token));
      sending_.erase(token);
      return;
    }
    c.unsent.pop_front();
  }
  if (c.is_closing && c.unsent.empty() && !c.is_closed) transport_->close(id);
}

bool LinkMachine::client_receive(ConnId conn, std::vector<std::byte>& bytes) {
  const auto found = conns_.find(conn);
  if (found == conns_.end()) return false;
  Conn& c = found->second;
  bytes.insert(bytes.end(), c.inbox.begin(), c.inbox.end());
  c.inbox.clear();
  if (!c.is_closed) return true;
  conns_.erase(found);
  return false;
}

// With what it has sent still on its way, or without.
void LinkMachine::client_close(ConnId conn) {
  const auto found = conns_.find(conn);
  if (found == conns_.end()) return;
  Conn& c = found->second;
  has_news_ = true;
  c.inbox.clear();
  if (c.is_closed) {
    conns_.erase(found);
    return;
  }
  c.is_closing = true;
  if (prng_.chance(1, 2)) {
    c.unsent.clear();
    transport_->abort(conn);
  }
}

Instant LinkMachine::client_deadline(ConnId conn) const {
  const auto found = conns_.find(conn);
  if (found == conns_.end()) return clock_.instant();
  const Conn& c = found->second;
  return !c.inbox.empty() || c.is_closed ? clock_.instant() : never();
}

bool LinkMachine::step() {
  const Instant now = clock_.instant();
  if (now < next_deadline()) return false;
  turn_after_ = now + microseconds(static_cast<std::int64_t>(prng_.between(1, 10)));
  has_news_ = false;
  std::array<StreamEvent, 32> events;
  const std::size_t count = transport_->poll(now, events);
  for (std::size_t i = 0; i < count; ++i) on_event(events[i]);
  for (auto& [id, c] : conns_) {
    if (c.read_at <= now) read_on(id, c);
    if (!c.unsent.empty() || c.is_closing) send_unsent(id, c);
  }
  transport_->flush(now);
  return true;
}

void LinkMachine::on_event(const StreamEvent& event) {
  if (event.kind == StreamEvent::Kind::sent) {
    sending_.erase(event.token);
    return;
  }
  const auto found = conns_.find(event.conn);
  if (event.kind == StreamEvent::Kind::data) {
    if (found == conns_.end() || found->second.is_closing) return transport_->release(event.token);
    return on_data(found->second, event);
  }
  if (event.kind != StreamEvent::Kind::closed || found == conns_.end()) return;
  Conn& c = found->second;
  for (const std::uint64_t token : c.kept) transport_->release(token);
  c.kept.clear();
  c.unsent.clear();
  c.is_closed = true;
  // Nobody will ask for it again.
  if (c.is_closing) conns_.erase(found);
}

void LinkMachine::on_data(Conn& c, const StreamEvent& event) {
  c.inbox.insert(c.inbox.end(), event.bytes.begin(), event.bytes.end());
  if (is_healed_) return transport_->release(event.token);
  if (plan_.reset != 0 && prng_.chance(plan_.reset, 1'000'000)) transport_->abort(event.conn);
  if (c.read_at == never() && prng_.chance(plan_.slow_reader, 1000)) {
    if (prng_.chance(1, 2)) transport_->pause(event.conn);
    c.read_at = clock_.instant() + nanoseconds(static_cast<std::int64_t>(prng_.below(
                                       static_cast<std::uint64_t>(plan_.slow_reader_max.ns))));
  }
  if (c.read_at == never()) return transport_->release(event.token);
  c.kept.push_back(event.token);
}

void LinkMachine::read_on(ConnId id, Conn& c) {
  c.read_at = never();
  for (const std::uint64_t token : c.kept) transport_->release(token);
  c.kept.clear();
  if (!c.is_closed) transport_->resume(id);
}

Instant LinkMachine::next_deadline() const {
  Instant next = has_news_ ? turn_after_ : transport_->next_deadline();
  for (const auto& [id, c] : conns_) next = std::min(next, c.read_at);
  return std::max(next, turn_after_);
}

void LinkMachine::hang_up() {
  std::vector<ConnId> open;
  for (const auto& [id, c] : conns_) open.push_back(id);
  for (const ConnId id : open) client_close(id);
}

}  // namespace tailrace::sim
