#include "net_host.h"

#include <fmt/format.h>

#include <algorithm>

#include "../../support/cut_segments.h"
#include "net/checksum.h"

namespace tailrace::sim {
namespace {

SipKey key_of(std::uint64_t word) {
  SipKey key{};
  std::memcpy(key.data(), &word, 8);
  return key;
}

// What a returned memory is filled with: whoever still reads it sends this.
constexpr std::byte poison{0xdb};

}  // namespace

NetHost::NetHost(const HostPlan& plan, std::uint8_t index, std::uint64_t seed, NetLink& link,
                 Instant start)
    : plan_(plan),
      index_(index),
      seed_(seed),
      link_(link),
      prng_(seed, index == 0 ? "host 0" : "host 1"),
      stack_(plan.limits, plan.interface, key_of(plan.key), own(start)) {}

void NetHost::fail(std::string what) {
  if (failure_.empty()) failure_ = fmt::format("host {}: {}", index_, what);
}

void NetHost::connect(const net::Endpoint& remote, Instant now) {
  conn_ = stack_.connect(remote, 0, own(now));
  if (conn_ == 0) fail("no connection was begun");
}

void NetHost::turn(Instant now) {
  std::vector<RxFrame> frames;
  for (std::vector<std::byte>& bytes : arrived_) {
    const std::uint64_t token = next_token_++;
    const auto place = lent_.emplace(token, std::move(bytes)).first;
    frames.push_back({.bytes = place->second, .token = token});
  }
  arrived_.clear();
  stack_.input(frames, own(now));
  stack_.advance(own(now));
  take_events(now);
  read_on(now);
  write(now);
  end_if_done();
  while (!device_.empty() && device_.front().at <= now) {
    put_on_wire(device_.front().frame, now);
    if (device_.front().frame.hold != no_hold) {
      stack_.transmitted(device_.front().frame.hold);
    }
    device_.pop_front();
  }
  send_frames(now);
  take_events(now);
  take_released();
  if (failure_.empty()) check_promises(now);
}

void NetHost::on_accepted(ConnId conn) {
  if (conn_ == 0) {
    conn_ = conn;
    return;
  }
  net::ConnectionInfo info;
  const bool is_over = !stack_.info(conn_, info) || info.state == net::TcpState::closed;
  if (!is_over || !plan_.may_see_ghosts) return fail("a second connection was accepted");
  has_ghosts_ = true;
  stack_.abort(conn);
}

bool NetHost::is_of_ghost(const net::Event& event) const {
  switch (event.kind) {
    case net::Event::Kind::connected:
    case net::Event::Kind::data:
    case net::Event::Kind::peer_ended:
    case net::Event::Kind::closed:
      return has_ghosts_ && event.conn != conn_;
    case net::Event::Kind::accepted:
    case net::Event::Kind::sent:
      return false;   // The one makes it; the other is told by tokens.
  }
  return false;
}

void NetHost::take_events(Instant now) {
  std::array<net::Event, 8> events;
  for (;;) {
    const std::size_t count = stack_.take_events(events);
    for (std::size_t i = 0; i < count; ++i) {
      const net::Event& event = events[i];
      if (is_of_ghost(event)) {
        if (event.kind == net::Event::Kind::data) lent_.erase(event.token);
        continue;
      }
      switch (event.kind) {
        case net::Event::Kind::accepted:
          on_accepted(event.conn);
          break;
        case net::Event::Kind::connected:
          break;
        case net::Event::Kind::data:
          on_data(event);
          if (prng_.chance(plan_.app.pause_chance, 1000)) {
            stack_.pause(conn_);
            read_again_at_ = now + Duration{static_cast<std::int64_t>(prng_.below(
                                       static_cast<std::uint64_t>(plan_.app.pause_max.ns) + 1))};
          }
          break;
        case net::Event::Kind::sent:
          if (writes_.empty() || writes_.front().token != event.token) {
            const auto at = std::find_if(writes_.begin(), writes_.end(), [&](const Write& one) {
              return one.token == event.token;
            });
            if (at == writes_.end()) return fail("`sent` of an unknown token");
            writes_.erase(at);   // A later one may be done first when the device held the other.
            break;
          }
          std::fill(writes_.front().memory.begin(), writes_.front().memory.end(), poison);
          writes_.pop_front();
          break;
        case net::Event::Kind::peer_ended:
          peer_ended_ = true;
          break;
        case net::Event::Kind::closed:
          if (!writes_.empty()) fail("closed before all sends were told");
          closed_ = true;
          break;
      }
    }
    if (count < events.size()) return;
  }
}

void NetHost::on_data(const net::Event& event) {
  if (event.conn != conn_) return fail("data of another connection");
  if (event.bytes.empty()) return fail("data without bytes");
  for (const std::byte byte : event.bytes) {
    if (byte != stream_byte(seed_, index_ ^ 1, received_)) {
      return fail(fmt::format("a wrong byte at {}", received_));
    }
    ++received_;
  }
  unconsumed_ += event.bytes.size();
  if (lent_.erase(event.token) != 1) fail("data in a frame that was given back");
}

void NetHost::read_on(Instant now) {
  if (read_again_at_ <= now) {
    read_again_at_ = never();
    stack_.resume(conn_);
    take_events(now);
  }
  if (unconsumed_ == 0 || read_again_at_ != never()) return;
  stack_.consumed(conn_, unconsumed_);
  unconsumed_ = 0;
}

void NetHost::write(Instant now) {
  if (write_again_at_ != never() && write_again_at_ > now) return;
  write_again_at_ = never();
  if (conn_ == 0 || closed_ || ended_) return;
  while (written_ < plan_.app.bytes && writes_.size() < plan_.app.writes_in_flight) {
    const std::uint64_t size = std::min<std::uint64_t>(
        plan_.app.bytes - written_, prng_.between(1, plan_.app.write_max));
    Write& made = writes_.emplace_back();
    made.token = next_write_token_++;
    made.memory.resize(size);
    for (std::uint64_t i = 0; i < size; ++i) {
      made.memory[i] = stream_byte(seed_, index_, written_ + i);
    }
    // In up to three slices, one of which may be empty.
    const std::uint64_t first = prng_.between(0, size);
    const std::uint64_t second = prng_.between(first, size);
    const Bytes all = made.memory;
    const Bytes slices[] = {all.first(first), all.subspan(first, second - first),
                            all.subspan(second)};
    if (!stack_.send(conn_, slices, made.token)) {
      writes_.pop_back();
      return;
    }
    written_ += size;
    if (prng_.chance(plan_.app.write_pause_chance, 1000)) {
      write_again_at_ = now + Duration{static_cast<std::int64_t>(prng_.below(
                                  static_cast<std::uint64_t>(plan_.app.write_pause_max.ns) + 1))};
      return;
    }
  }
}

// Half of our end comes as soon as all is written; the other half when the peer has ended, too.
void NetHost::end_if_done() {
  if (conn_ == 0 || closed_ || ended_ || written_ < plan_.app.bytes) return;
  switch (plan_.app.end) {
    case EndMode::shut_down:
      stack_.shutdown(conn_);
      ended_ = true;
      return;
    case EndMode::close:
      if (!peer_ended_) return;
      stack_.close(conn_);
      ended_ = true;
      return;
    case EndMode::abort:
      stack_.abort(conn_);
      ended_ = true;
      return;
  }
}

void NetHost::send_frames(Instant now) {
  std::array<TxFrame, 4> frames;
  for (;;) {
    const std::size_t count = stack_.output(frames, own(now));
    for (std::size_t i = 0; i < count; ++i) {
      if (plan_.device_delay.ns == 0) {
        put_on_wire(frames[i], now);
        if (frames[i].hold != no_hold) stack_.transmitted(frames[i].hold);
        continue;
      }
      Instant at = now + Duration{static_cast<std::int64_t>(
                             prng_.below(static_cast<std::uint64_t>(plan_.device_delay.ns) + 1))};
      if (!device_.empty()) at = std::max(at, device_.back().at);
      device_.push_back({at, frames[i]});
    }
    if (count > 0) {
      if (last_sent_at_.ns > 0 && written_ > 0) {
        longest_gap_ns_ = std::max(longest_gap_ns_,
                                   static_cast<std::uint64_t>((now - last_sent_at_).ns));
      }
      last_sent_at_ = now;
    }
    if (count < frames.size()) return;
  }
}

void NetHost::put_on_wire(const TxFrame& frame, Instant now) {
  cut_segments(frame, [&](std::vector<std::byte> bytes) {
    link_.transmit(index_, std::move(bytes), now);
  });
}

void NetHost::take_released() {
  for (const std::uint64_t token : stack_.take_released()) {
    const auto at = lent_.find(token);
    if (at == lent_.end()) return fail("a frame was given back twice");
    // Whoever still looks at it finds nothing.
    std::fill(at->second.begin(), at->second.end(), poison);
    lent_.erase(at);
  }
}

// What holds after every turn, whatever the network did.
void NetHost::check_promises(Instant now) {
  if (!stack_.is_consistent()) return fail("the stack's sums are wrong");
  net::Tcp& tcp = stack_.tcp();
  for (std::uint32_t i = 0; i < tcp.connections.capacity(); ++i) {
    net::Connection& c = tcp.connections[i];
    if (!c.is_synchronized() || c.sent.head == net::none) continue;
    const bool is_timed = c.retransmit_timer != net::RetransmitTimer::off ||
                          c.is_tail_probe_due || c.is_probe_due;
    if (!is_timed) return fail("data is under way and no timer runs");
    // RACK: nothing waits that is overdue (RFC 8985, 6.2, step 5).
    if (!c.uses_sack || c.rack.sent_at.ns == 0 || c.sent.oldest == net::none) continue;
    const net::SentRecord& oldest = tcp.records[c.sent.oldest];
    const Duration patience{c.rack.rtt.ns + c.rtt.smoothed.ns};
    const bool is_overdue = oldest.sent_at < c.rack.sent_at &&
                            oldest.sent_at + patience + milliseconds(2) < own(now) &&
                            c.rtt.smallest.ns / 4 * c.rack.window_factor <= c.rtt.smoothed.ns;
    if (is_overdue) return fail("RACK did not see a loss");
  }
  for (std::uint32_t i = 0; i < tcp.connections.capacity(); ++i) {
    const net::Connection& c = tcp.connections[i];
    if (!c.may_receive_data() || c.is_closing || c.links.is_dirty) continue;
    const std::uint32_t free = c.receive_buffer - std::min(c.receive_buffer, c.receive_held);
    const std::uint32_t open = c.receive_edge - c.receive_next;
    const std::uint32_t most = std::uint32_t{0xffff} << c.receive_scale;
    if (std::min(free, most) >= open + c.receive_buffer / 2 + (1U << c.receive_scale) &&
        open < 2U * c.receive_mss) {
      return fail("a window opened and the peer was not told");
    }
  }
}

Instant NetHost::next_deadline() const {
  Instant next = stack_.next_deadline();
  if (next != never()) next.ns -= plan_.clock_offset_ns;
  next = std::min({next, read_again_at_, write_again_at_});
  if (!device_.empty()) next = std::min(next, device_.front().at);
  return next;
}

bool NetHost::is_done(std::uint64_t peer_bytes) const {
  return closed_ && received_ == peer_bytes && written_ == plan_.app.bytes && writes_.empty() &&
         lent_.empty() && device_.empty();
}

std::string NetHost::describe() const {
  std::string text = fmt::format(
      "host {}: wrote {} of {}, read {}, {} writes open, {} frames lent, {} in the device, {}{}",
      index_, written_, plan_.app.bytes, received_, writes_.size(), lent_.size(), device_.size(),
      peer_ended_ ? "peer ended, " : "", closed_ ? "closed" : "open");
  stack_.for_each([&](ConnId, const net::ConnectionInfo& info) {
    text += fmt::format(" (state {}, window {}, under way {}, peer's window {}, ours {}, "
                        "unsent {})",
                        static_cast<int>(info.state), info.congestion_window, info.in_flight,
                        info.send_window, info.receive_window, info.unsent_bytes);
  });
  return text;
}

}  // namespace tailrace::sim
