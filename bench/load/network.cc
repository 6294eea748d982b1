#include "load/network.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "io/uring/uring_transport.h"
#include "io/userstack/user_transport.h"
#include "runtime/network_text.h"

namespace tailrace::load {
namespace {

constexpr std::size_t events_max = 64;   // of one turn

}  // namespace

std::unique_ptr<Network> Network::create(const NetworkOptions& options, std::string& why) {
  std::unique_ptr<Network> network(new Network);
  auto ring = io::Ring::create({}, why);
  if (!ring) return nullptr;
  network->ring_ = std::move(*ring);
  auto idle = io::RingIdle::create(*network->ring_, io::IdlePolicy::wait, {}, why);
  if (!idle) return nullptr;
  network->idle_ = std::move(*idle);
  const bool is_open = options.device.empty() ? network->open_kernel(why)
                                              : network->open_dpdk(options, why);
  return is_open ? std::move(network) : nullptr;
}

bool Network::open_kernel(std::string& why) {
  constexpr std::uint32_t connections_max = 4096;
  constexpr std::uint32_t receive_bytes = 256U << 10;
  auto transport = io::UringTransport::create(
      *ring_, {.connections_max = connections_max, .receive_buffer_bytes = receive_bytes}, why);
  if (transport) transport_ = std::move(*transport);
  return transport_ != nullptr;
}

bool Network::open_dpdk(const NetworkOptions& options, std::string& why) {
  io::UserTransport::Options transport{.start = io::Ring::monotonic_now()};
  if (!runtime::parse_addresses(options.address, transport.interface.addresses)) {
    why = options.address + ": not an address with its prefix";
    return false;
  }
  const ssize_t drawn = getrandom(transport.key.data(), transport.key.size(), 0);
  TR_ASSERT(drawn == static_cast<ssize_t>(transport.key.size()));
  dpdk_ = io::DpdkNetwork::create(
      {.devices = options.device, .huge_pages = options.huge_pages}, why);
  if (dpdk_ == nullptr) return false;
  transport_ = std::make_unique<io::UserTransport>(std::move(transport), dpdk_->open(0, *ring_));
  return true;
}

ConnId Network::connect(const std::string& address, Listener& listener) {
  const ConnId conn = transport_->connect(address);
  if (conn != 0) listeners_[conn] = &listener;
  return conn;
}

void Network::abort(ConnId conn) {
  transport_->abort(conn);
  while (listeners_.contains(conn)) turn(never());
}

void Network::turn(Instant deadline) {
  transport_->flush(io::Ring::monotonic_now());
  if (poll() > 0) return;
  idle_->wait(std::min(deadline, transport_->next_deadline()));
  poll();
}

std::size_t Network::poll() {
  std::array<StreamEvent, events_max> events;
  const std::size_t count = transport_->poll(io::Ring::monotonic_now(), events);
  for (const StreamEvent& event : std::span(events).first(count)) {
    const auto found = listeners_.find(event.conn);
    TR_ASSERT(found != listeners_.end());
    Listener& listener = *found->second;
    if (event.kind == StreamEvent::Kind::closed) listeners_.erase(found);
    listener.on_event(event);
    if (event.kind == StreamEvent::Kind::data) transport_->release(event.token);
  }
  return count;
}

}  // namespace tailrace::load
