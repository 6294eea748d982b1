#include "peer_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tailrace::peer {
namespace {

constexpr std::uint32_t outstanding_max = 8;   // sends of one talk

}  // namespace

PeerHost::PeerHost(const net::Limits& limits, const net::Interface& interface, std::uint16_t port,
                   std::unique_ptr<io::PacketDevice> device, Instant start,
                   std::function<void(const std::string&)> tell)
    : driver_({limits, interface, SipKey{static_cast<std::uint8_t>(start.ns)}, start},
              std::move(device)),
      stack_(driver_.stack()), tell_(std::move(tell)) {
  for (const net::InterfaceAddress& own : interface.addresses) {
    TR_ASSERT(stack_.listen({own.address, port}) != net::Stack::no_listener);
  }
}

Instant PeerHost::next_deadline() const {
  Instant deadline = driver_.next_deadline();
  for (const auto& [conn, talk] : talks_) deadline = std::min(deadline, talk.resumes);
  return deadline;
}

void PeerHost::turn(Instant now) {
  driver_.input(now, SIZE_MAX);
  std::array<net::Event, 32> events;
  for (std::size_t count = events.size(); count == events.size();) {
    count = stack_.take_events(events);
    for (std::size_t i = 0; i < count; ++i) on_event(events[i], now);
  }
  for (auto& [conn, talk] : talks_) {
    if (talk.resumes <= now) {
      talk.resumes = never();
      stack_.resume(conn);
    }
  }
  driver_.output(now);
}

bool PeerHost::connect(const net::Endpoint& remote, std::uint16_t local_port,
                       std::string_view line, Instant now) {
  const ConnId conn = stack_.connect(remote, local_port, now);
  if (conn == 0) return false;
  begin(conn, talks_[conn], line, now);
  return true;
}

void PeerHost::meet() {
  for (auto& [conn, talk] : talks_) {
    if (talk.role == Talk::Role::meet) end(conn, talk);
  }
}

void PeerHost::on_event(const net::Event& event, Instant now) {
  using Kind = net::Event::Kind;
  switch (event.kind) {
    case Kind::accepted: talks_[event.conn] = {}; return;
    case Kind::connected: return;   // What there is to say was queued.
    case Kind::data:
      on_data(event.conn, talks_.at(event.conn), event.bytes, now);
      stack_.consumed(event.conn, event.bytes.size());
      driver_.release({&event.token, 1});
      return;
    case Kind::sent: {
      const ConnId conn = sends_.at(event.token)->conn;
      sends_.erase(event.token);
      const auto found = talks_.find(conn);
      if (found == talks_.end()) return;
      --found->second.outstanding;
      pump(conn, found->second);
      return;
    }
    case Kind::peer_ended: on_peer_ended(event.conn, talks_.at(event.conn)); return;
    case Kind::closed:
      on_closed(talks_.at(event.conn));
      talks_.erase(event.conn);
      return;
  }
}

void PeerHost::on_data(ConnId conn, Talk& talk, Bytes bytes, Instant now) {
  if (talk.role == Talk::Role::none) {
    talk.heard += as_text(bytes);
    const std::size_t end = talk.heard.find('\n');
    if (end == std::string::npos) return;
    const std::string line = talk.heard.substr(0, end);
    const std::string rest = talk.heard.substr(end + 1);
    talk.heard.clear();
    begin(conn, talk, line, now);
    if (!rest.empty()) on_data(conn, talk, as_bytes(rest), now);
    return;
  }
  talk.take(bytes);
  if (talk.role == Talk::Role::echo) send(conn, talk, std::string(as_text(bytes)));
  if (talk.role == Talk::Role::reset && talk.received >= talk.bytes_max) stack_.abort(conn);
}

void PeerHost::begin(ConnId conn, Talk& talk, std::string_view line, Instant now) {
  if (!talk.begin(line)) {
    tell_(fmt::format("? cannot read \"{}\"", line));
    stack_.abort(conn);
    return;
  }
  if (talk.wait.ns > 0) {
    stack_.pause(conn);
    talk.resumes = now + talk.wait;
  }
  pump(conn, talk);
}

// What a talk has to send, and whether it may take more.
void PeerHost::pump(ConnId conn, Talk& talk) {
  const bool sends = talk.role == Talk::Role::source ||
                     (talk.role == Talk::Role::late && talk.peer_ended);
  if (sends) {
    while (talk.sent < talk.bytes_max && talk.outstanding < outstanding_max) {
      const Bytes bytes = talk.next();
      sends_[next_token_] = std::make_unique<Sent>(Sent{conn, {}});
      TR_ASSERT(stack_.send(conn, {&bytes, 1}, next_token_++));
      ++talk.outstanding;
    }
    if (talk.sent == talk.bytes_max) end(conn, talk);
  }
  const bool is_full = talk.outstanding >= 2 * outstanding_max;
  if (talk.role == Talk::Role::echo && is_full != talk.is_paused) {
    talk.is_paused = is_full;
    is_full ? stack_.pause(conn) : stack_.resume(conn);
  }
  if (talk.role == Talk::Role::echo && talk.peer_ended && talk.outstanding == 0) end(conn, talk);
}

void PeerHost::send(ConnId conn, Talk& talk, std::string text) {
  auto sent = std::make_unique<Sent>(Sent{conn, std::move(text)});
  const Bytes bytes = as_bytes(sent->text);
  TR_ASSERT(stack_.send(conn, {&bytes, 1}, next_token_));
  sends_[next_token_++] = std::move(sent);
  ++talk.outstanding;
  pump(conn, talk);
}

void PeerHost::end(ConnId conn, Talk& talk) {
  if (std::exchange(talk.is_ending, true)) return;
  stack_.shutdown(conn);
}

void PeerHost::on_peer_ended(ConnId conn, Talk& talk) {
  talk.peer_ended = true;
  switch (talk.role) {
    case Talk::Role::sink:
      send(conn, talk, talk.verdict());
      end(conn, talk);
      return;
    case Talk::Role::echo:
    case Talk::Role::late:
      pump(conn, talk);
      return;
    case Talk::Role::source:
    case Talk::Role::reset:
    case Talk::Role::hold:
    case Talk::Role::meet:
    case Talk::Role::none:
      end(conn, talk);
      return;
  }
}

void PeerHost::on_closed(Talk& talk) {
  // After our own end there may be nothing between the peer's and the connection's.
  std::string how = talk.peer_ended || talk.role == Talk::Role::meet ? "ok" : "broken";
  if (talk.role == Talk::Role::sink && talk.peer_ended) how = talk.verdict();
  if (talk.role == Talk::Role::source && !talk.heard.empty()) how = talk.heard;
  tell_(fmt::format("{} {}", talk.id, how));
}

}  // namespace tailrace::peer
