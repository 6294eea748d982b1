#include "io/userstack/user_transport.h"

#include <algorithm>
#include <utility>

#include "io/socket_address.h"
#include "io/userstack/address_text.h"

namespace tailrace::io {
namespace {

// Bursts of one poll: no more frames than it can tell events of (events_max), so that what was
// received is taken before more comes, and a flood does not keep the core from its other work.
constexpr std::size_t bursts_max = 2;
// Source ports of one connect(): one in as many as there are cores has its answers come here.
constexpr std::uint32_t ports_looked_at_max = 4096;
constexpr std::uint32_t ports_tried_max = 32;

bool to_endpoint(std::string_view text, net::Endpoint& endpoint) {
  SocketAddress address;
  if (!address.parse(text)) return false;
  endpoint.port = address.port();
  return load_address(*address.raw(), endpoint.address);
}

StackDriver::Options driver_options(const UserTransport::Options& options) {
  StackDriver::Options driver{.limits = options.limits, .interface = options.interface,
                              .key = options.key, .start = options.start};
  driver.limits.listeners_max = static_cast<std::uint32_t>(options.listen.size());
  driver.interface.answers_neighbours = options.core == 0;
  return driver;
}

}  // namespace

UserTransport::UserTransport(Options options, std::unique_ptr<PacketDevice> device)
    : driver_(driver_options(options), std::move(device)), stack_(driver_.stack()),
      steering_(options.steering), core_(options.core), lent_(stack_.tcp().limits.frames_max),
      told_(events_max), hosts_(events_max), now_(options.start) {
  for (const net::Endpoint& local : options.listen) {
    TR_ASSERT(stack_.listen(local) != net::Stack::no_listener);
  }
}

// Peers hear of it at once, as they do when the kernel closes the sockets of a process that ends.
UserTransport::~UserTransport() {
  std::vector<ConnId> open;
  stack_.for_each([&](ConnId id, const net::ConnectionInfo&) { open.push_back(id); });
  for (const ConnId id : open) stack_.abort(id);
  flush(now_);
}

std::size_t UserTransport::poll(Instant now, std::span<StreamEvent> events) {
  now_ = now;
  driver_.input(now, bursts_max);
  const std::size_t room = std::min(events.size(), told_.size());
  const std::size_t count = stack_.take_events(std::span(told_).first(room));
  std::size_t told = 0;
  for (std::size_t i = 0; i < count; ++i) {
    told += translate(told_[i], hosts_[i], events[told]) ? 1 : 0;
  }
  driver_.give_back();
  return told;
}

bool UserTransport::translate(const net::Event& event, HostText& host, StreamEvent& out) {
  using Kind = net::Event::Kind;
  out = {.kind = StreamEvent::Kind::closed, .conn = event.conn, .token = event.token};
  switch (event.kind) {
    case Kind::accepted: {
      host = address_text(event.peer);
      out.kind = StreamEvent::Kind::accepted;
      out.bytes = as_bytes(host.text());
      out.listener = event.listener;
      return true;
    }
    case Kind::connected: out.kind = StreamEvent::Kind::connected; return true;
    case Kind::data:
      out.kind = StreamEvent::Kind::data;
      out.bytes = event.bytes;
      lent_[event.token] = {event.conn, event.bytes.size()};
      return true;
    case Kind::sent: out.kind = StreamEvent::Kind::sent; return true;
    case Kind::peer_ended:
      // What was accepted for sending still goes out, then it is over, as with the kernel's.
      stack_.close(event.conn);
      return false;
    case Kind::closed: return true;
  }
  TR_ASSERT(false);
  return false;
}

void UserTransport::release(std::uint64_t token) {
  TR_ASSERT(token < lent_.size());
  const Lent lent = std::exchange(lent_[token], {});
  stack_.consumed(lent.conn, lent.bytes);
  driver_.release({&token, 1});
}

bool UserTransport::send(ConnId conn, std::span<const Bytes> slices, std::uint64_t token) {
  return stack_.send(conn, slices, token);
}

// Without a device no acknowledgement comes that would be worth waiting for.
void UserTransport::close(ConnId conn) {
  if (driver_.failed()) return stack_.abort(conn);
  stack_.close(conn);
}

ConnId UserTransport::connect(std::string_view address) {
  net::Endpoint remote;
  if (!to_endpoint(address, remote)) return 0;
  return steering_ == nullptr ? stack_.connect(remote, 0, now_) : connect_from_own_port(remote);
}

// What the peer answers has to come to this stack, which alone knows of it.
ConnId UserTransport::connect_from_own_port(const net::Endpoint& remote) {
  const net::IpAddress* const local = stack_.interface().source_for(remote.address);
  if (local == nullptr) return 0;
  std::uint32_t tries = 0;
  for (std::uint32_t n = 0; n < ports_looked_at_max && tries < ports_tried_max; ++n) {
    const std::uint16_t port = stack_.next_port(remote);
    if (steering_->core_of({{*local, port}, remote}) != core_) continue;
    const ConnId conn = stack_.connect(remote, port, now_);
    if (conn != 0) return conn;
    ++tries;   // Taken; or there is no way or no room, and the others will not do either.
  }
  return 0;
}

std::uint64_t UserTransport::refused_count() const {
  return stack_.counters().of(net::Count::refused);
}

void UserTransport::flush(Instant now) {
  now_ = now;
  driver_.output(now);
}

}  // namespace tailrace::io
