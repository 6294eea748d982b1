#include "link_transport.h"

#include <algorithm>

namespace tailrace::sim {
namespace {

io::UserTransport::Options options_of(const LinkTransport::Setup& setup, Instant start) {
  io::UserTransport::Options options{
      .limits = setup.plan.limits, .interface = setup.plan.interface, .key = setup.key,
      .listen = {}, .start = start};
  options.interface.mac.bytes = setup.link_address;
  const auto prefix_bits = static_cast<std::uint8_t>(setup.local.address.is_v4() ? 24 : 64);
  options.interface.addresses = {{setup.local.address, prefix_bits}};
  if (setup.end == End::server) options.listen = {setup.local};
  return options;
}

}  // namespace

LinkTransport::LinkTransport(const Setup& setup, std::unique_ptr<LinkDevice> device,
                             SimClock& clock, Trace& trace, Streams& streams)
    : end_(setup.end), device_(*device),
      user_(options_of(setup, clock.instant()), std::move(device)), clock_(clock), trace_(trace),
      streams_(streams) {}

std::size_t LinkTransport::poll(Instant now, std::span<StreamEvent> events) {
  const std::size_t early = tell_early(events);
  const std::size_t count = early + user_.poll(now, events.subspan(early));
  std::size_t told = early;
  for (std::size_t i = early; i < count; ++i) {
    if (on_event(events[i])) events[told++] = events[i];
  }
  for (const StreamEvent& event : events.first(told)) {
    trace_.add(event.conn ^ (std::uint64_t{static_cast<std::uint8_t>(event.kind)} << 56));
    trace_.add(event.token ^ event.bytes.size());
  }
  return told;
}

// False: it is not told.
bool LinkTransport::on_event(const StreamEvent& event) {
  switch (event.kind) {
    case StreamEvent::Kind::accepted: {
      net::ConnectionInfo info;
      const bool is_there = user_.stack().info(event.conn, info);
      open_[event.conn] = is_there ? streams_.find(info.flow) : nullptr;
      return true;
    }
    case StreamEvent::Kind::data: {
      lent_.insert(event.token);
      const auto found = open_.find(event.conn);
      if (found == open_.end()) ++misuses_;
      Stream* stream = found == open_.end() ? nullptr : found->second.get();
      if (stream != nullptr && !stream->received(end_, event.bytes)) ++wrong_bytes_;
      return true;
    }
    case StreamEvent::Kind::sent: return on_sent(event.token);
    case StreamEvent::Kind::closed: open_.erase(event.conn); return true;
    case StreamEvent::Kind::connected: return true;
  }
  return true;
}

bool LinkTransport::on_sent(std::uint64_t token) {
  const auto early = std::find(told_early_.begin(), told_early_.end(), token);
  if (early != told_early_.end()) {
    told_early_.erase(early);
    return false;
  }
  const auto found = sends_.find(token);
  if (found == sends_.end() || sum_of(found->second.slices) != found->second.sum) ++misuses_;
  if (found != sends_.end()) sends_.erase(found);
  return !(plant_lose_sent && std::exchange(was_refused_, false));
}

std::size_t LinkTransport::tell_early(std::span<StreamEvent> events) {
  const std::size_t count = std::min(events.size(), tell_next_.size());
  for (std::size_t i = 0; i < count; ++i) {
    events[i] = {.kind = StreamEvent::Kind::sent, .conn = 0, .token = tell_next_[i]};
    told_early_.push_back(tell_next_[i]);
    sends_.erase(tell_next_[i]);
  }
  tell_next_.erase(tell_next_.begin(), tell_next_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

void LinkTransport::release(std::uint64_t token) {
  if (lent_.erase(token) == 0) {
    ++misuses_;
    return;
  }
  user_.release(token);
}

bool LinkTransport::send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) {
  const auto found = open_.find(conn);
  if (found == open_.end()) ++misuses_;   // "after this no event names it"
  if (!user_.send(conn, slices, token)) {
    was_refused_ = true;
    return false;
  }
  Send& send = sends_[token];
  send.slices.assign(slices.begin(), slices.end());
  send.sum = sum_of(slices);
  trace_.add(send.sum);
  if (found != open_.end() && found->second != nullptr) found->second->sent(end_, slices);
  if (plant_tell_early) tell_next_.push_back(token);
  return true;
}

ConnId LinkTransport::connect(std::string_view address) {
  const ConnId conn = user_.connect(address);
  net::ConnectionInfo info;
  if (conn != 0 && user_.stack().info(conn, info)) open_[conn] = streams_.open(info.flow);
  return conn;
}

Instant LinkTransport::next_deadline() const {
  return tell_next_.empty() ? user_.next_deadline() : clock_.instant();
}

std::string LinkTransport::what_is_left() const {
  const std::uint32_t connections = user_.stack().connection_count();
  const bool is_empty = connections == 0 && sends_.empty() && lent_.empty() && open_.empty() &&
                        device_.held_count() == 0 && device_.lent_count() == 0;
  if (is_empty) return {};
  return fmt::format("{} connections ({} told), {} sends, {} holds, {} received frames, {} of them "
                     "told", connections, open_.size(), sends_.size(), device_.held_count(),
                     device_.lent_count(), lent_.size());
}

}  // namespace tailrace::sim
