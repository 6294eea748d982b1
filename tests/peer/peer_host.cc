#include "peer_host.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "net/checksum.h"
#include "net/tcp_header.h"

namespace tailrace::peer {
namespace {

constexpr std::uint32_t outstanding_max = 8;   // sends of one talk
constexpr Duration transmit_retry = microseconds(200);

// As io/userstack/user_transport.cc does it.
net::Limits with_device(net::Limits limits, const io::DeviceOffers& offers) {
  limits.frames_max = offers.frames_max;
  limits.pieces_max = std::min(limits.pieces_max, offers.frames_max - offers.frames_max / 4);
  limits.receive_pieces_max = std::min(limits.receive_pieces_max, limits.pieces_max / 2);
  limits.reassembly_pieces_max = std::min(limits.reassembly_pieces_max, limits.pieces_max / 4);
  return limits;
}

net::Interface with_device(net::Interface interface, const io::DeviceOffers& offers) {
  interface.mtu = offers.mtu;
  interface.segmentation_bytes_max = offers.segmentation_bytes_max;
  if (offers.address) interface.mac.bytes = *offers.address;
  return interface;
}

}  // namespace

PeerHost::PeerHost(const net::Limits& limits, const net::Interface& interface, std::uint16_t port,
                   std::unique_ptr<io::PacketDevice> device, Instant start,
                   std::function<void(const std::string&)> tell)
    : device_(std::move(device)),
      stack_(with_device(limits, device_->offers()), with_device(interface, device_->offers()),
             SipKey{static_cast<std::uint8_t>(start.ns)}, start),
      tell_(std::move(tell)), now_(start) {
  for (const net::InterfaceAddress& own : interface.addresses) {
    TR_ASSERT(stack_.listen({own.address, port}) != net::Stack::no_listener);
  }
}

Instant PeerHost::next_deadline() const {
  if (out_begin_ < out_end_) return now_ + transmit_retry;
  Instant deadline = std::min(stack_.next_deadline(), device_->next_deadline());
  for (const auto& [conn, talk] : talks_) deadline = std::min(deadline, talk.resumes);
  return deadline;
}

void PeerHost::turn(Instant now) {
  now_ = now;
  std::array<RxFrame, 32> frames;
  for (std::size_t count = frames.size(); count == frames.size();) {
    count = device_->receive(frames);
    if (count > 0) stack_.input(std::span(frames).first(count), now);
    device_->release(stack_.take_released());
  }
  stack_.advance(now);
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
  output(now);
}

void PeerHost::output(Instant now) {
  std::array<std::uint32_t, 32> holds;
  while (true) {
    if (out_begin_ == out_end_) {
      out_begin_ = 0;
      out_end_ = stack_.output(out_, now);
      if (out_end_ == 0) break;
      for (TxFrame& frame : std::span(out_).first(out_end_)) {
        const bool is_tcp = frame.checksum_pos == net::tcp_checksum_pos;
        if (!is_tcp || !device_->offers().checksums) net::complete_checksum(frame);
      }
    }
    out_begin_ += device_->transmit(std::span(out_).subspan(out_begin_, out_end_ - out_begin_));
    for (std::size_t count = holds.size(); count == holds.size();) {
      count = device_->take_finished(holds);
      for (std::size_t i = 0; i < count; ++i) stack_.transmitted(holds[i]);
    }
    if (out_begin_ < out_end_) break;
  }
  device_->release(stack_.take_released());
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
      device_->release({&event.token, 1});
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
