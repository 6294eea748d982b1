#include "link_transport.h"

#include <algorithm>

#include "io/userstack/address_text.h"

namespace tailrace::sim {
namespace {

io::UserTransport::Options options_of(const LinkTransport::Setup& setup, Instant start) {
  io::UserTransport::Options options{
      .limits = setup.plan.limits, .interface = setup.plan.interface, .key = setup.key,
      .listen = {}, .start = start};
  options.steering = setup.steering;
  options.interface.mac.bytes = setup.link_address;
  const auto prefix_bits = static_cast<std::uint8_t>(setup.local.address.is_v4() ? 24 : 64);
  options.interface.addresses = {{setup.local.address, prefix_bits}};
  if (setup.end == End::server) options.listen = {setup.local};
  return options;
}

}  // namespace

LinkTransport::LinkTransport(const Setup& setup, LinkDevice& link,
                             std::unique_ptr<io::PacketDevice> device, SimClock& clock,
                             Trace& trace, Streams& streams)
    : end_(setup.end), name_(setup.name), device_(link),
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
    case StreamEvent::Kind::accepted: return on_accepted(event.conn);
    case StreamEvent::Kind::data: return on_data(event);
    case StreamEvent::Kind::sent: return on_sent(event.token);
    case StreamEvent::Kind::closed:
      say("closed", event.conn);
      open_.erase(event.conn);
      return ghosts_.erase(event.conn) == 0;
    case StreamEvent::Kind::connected: say("connected", event.conn); return true;
  }
  return true;
}

const net::Connection* LinkTransport::find(ConnId conn) const {
  net::ConnectionInfo info;
  if (conn == 0 || !user_.stack().info(conn, info)) return nullptr;
  net::Tcp& tcp = const_cast<net::Stack&>(user_.stack()).tcp();
  return &tcp.connections[static_cast<std::uint32_t>(conn - 1)];
}

// While cookies are out, whatever carries a good one begins a connection, and so does what comes
// late of one that ended with a reset: nobody remembers it. The bytes of such a ghost would be
// taken for a request a second time, here as with any TCP; the broker is not told of it. Without
// cookies there are none.
bool LinkTransport::on_accepted(ConnId conn) {
  const net::Connection* c = find(conn);
  const std::shared_ptr<Stream> stream = c == nullptr ? nullptr : streams_.find(c->flow);
  const bool is_ghost = stream != nullptr && (c->peer_start != stream->client_start ||
                                              std::exchange(stream->is_accepted, true));
  say(is_ghost ? "accepted the ghost of" : "accepted", conn);
  if (!is_ghost) {
    open_[conn] = stream;
    return true;
  }
  if (!c->was_cookie) ++wrong_bytes_;
  ghosts_.insert(conn);
  user_.abort(conn);
  return false;
}

bool LinkTransport::on_data(const StreamEvent& event) {
  if (ghosts_.contains(event.conn)) {
    user_.release(event.token);
    return false;
  }
  lent_.insert(event.token);
  const auto found = open_.find(event.conn);
  if (found == open_.end()) ++misuses_;
  Stream* stream = found == open_.end() ? nullptr : found->second.get();
  if (stream == nullptr || stream->received(end_, event.bytes)) return true;
  ++wrong_bytes_;
  say("got other bytes than were sent on", event.conn);
  return true;
}

void LinkTransport::say(std::string_view what, ConnId conn) const {
  if (!trace_.verbose()) return;
  net::ConnectionInfo info;
  const bool is_there = user_.stack().info(conn, info);
  const net::Endpoint remote = is_there ? info.flow.remote : net::Endpoint{};
  trace_.say(clock_.instant(), "{} {} connection {:x} ({} port {}, local port {})", name_, what,
             conn, io::address_text(remote.address).text(), remote.port,
             is_there ? info.flow.local.port : 0);
}

bool LinkTransport::on_sent(std::uint64_t token) {
  const auto early = std::find(told_early_.begin(), told_early_.end(), token);
  if (early != told_early_.end()) {
    told_early_.erase(early);
    return false;
  }
  const auto found = sends_.find(token);
  if (found == sends_.end()) {
    ++misuses_;
    return true;
  }
  if (sum_of(found->second.slices) != found->second.sum) ++changed_sends_;
  sends_.erase(found);
  return true;
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
  if (plant_keep_frames && ++released_ % 32 == 0) return;
  user_.release(token);
}

bool LinkTransport::send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) {
  const auto found = open_.find(conn);
  if (found == open_.end()) ++misuses_;   // "after this no event names it"
  if (!user_.send(conn, slices, token)) {
    ++refused_sends_;
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
  const net::Connection* c = find(conn);
  if (c == nullptr) return conn;
  const std::shared_ptr<Stream> stream = open_[conn] = streams_.open(c->flow);
  stream->client_start = c->send_start;
  return conn;
}

Instant LinkTransport::next_deadline() const {
  return tell_next_.empty() ? user_.next_deadline() : clock_.instant();
}

std::string LinkTransport::numbers() const {
  using net::Count;
  const net::Counters& counters = user_.stack().counters();
  return fmt::format("{} frames in, {} out, {} bytes in, {} out, {} sent again, {} connections, {} "
                     "resets in, {} out, {} wrong checksums, {} sends refused",
                     counters.of(Count::frames_in), counters.of(Count::frames_out),
                     counters.of(Count::bytes_in), counters.of(Count::bytes_out),
                     counters.of(Count::retransmits),
                     counters.of(Count::accepted) + counters.of(Count::connected),
                     counters.of(Count::resets_in), counters.of(Count::resets_out),
                     counters.of(Count::drop_tcp_checksum), refused_sends_);
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
