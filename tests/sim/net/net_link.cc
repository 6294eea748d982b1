#include "net_link.h"

#include <algorithm>

#include "net/checksum.h"
#include "net/ethernet.h"
#include "net/ip.h"

namespace tailrace::sim {
namespace {

constexpr std::size_t link_bytes = net::ethernet_bytes;

bool is_ipv4(const std::vector<std::byte>& frame) {
  return load_be<std::uint16_t>(frame.data() + 12) == 0x0800;
}
bool is_ipv6(const std::vector<std::byte>& frame) {
  return load_be<std::uint16_t>(frame.data() + 12) == 0x86dd;
}

}  // namespace

void NetLink::transmit(std::uint8_t from, std::vector<std::byte> frame, Instant now) {
  ++number_;
  bytes_ += frame.size();
  if (answer_too_long(from, frame, now)) return;
  const std::uint8_t to = from ^ 1;
  const auto dice = [&](std::uint32_t chance) { return prng_.chance(chance, 10'000); };
  // The queue in front of the wire.
  const Instant begins = std::max(now, free_at_[from]);
  const std::uint64_t queued = static_cast<std::uint64_t>((begins - now).ns) *
                               faults_.bytes_per_second / 1'000'000'000;
  if (is_cut_ || queued > faults_.queue_bytes_max || dice(faults_.loss)) {
    ++lost_;
    return;
  }
  if (queued > faults_.mark_above_bytes) mark(frame);
  const auto wire_ns = static_cast<std::int64_t>(frame.size() * 1'000'000'000 /
                                                 faults_.bytes_per_second);
  free_at_[from] = begins + nanoseconds(wire_ns);
  Instant arrives = free_at_[from] + faults_.delay;
  if (faults_.jitter.ns > 0) {
    arrives = arrives + nanoseconds(static_cast<std::int64_t>(
                            prng_.below(static_cast<std::uint64_t>(faults_.jitter.ns))));
  }
  if (dice(faults_.reordering)) {
    arrives = arrives + nanoseconds(static_cast<std::int64_t>(prng_.below(
                            static_cast<std::uint64_t>(faults_.reorder_delay.ns) + 1)));
  } else {
    arrives = std::max(arrives, last_arrival_[from]);
    last_arrival_[from] = arrives;
  }
  if (dice(faults_.duplication)) fly(to, frame, arrives + faults_.reorder_delay);
  // ARP has no checksum; a wrong bit in it would be believed, here as anywhere.
  if (dice(faults_.corruption) && (is_ipv4(frame) || is_ipv6(frame))) {
    const std::uint64_t bit = prng_.between(link_bytes * 8, frame.size() * 8 - 1);
    frame[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
  }
  fly(to, std::move(frame), arrives);
}

void NetLink::heal() {
  faults_.loss = faults_.duplication = faults_.reordering = faults_.corruption = 0;
  faults_.queue_bytes_max = UINT32_MAX;
}

void NetLink::fly(std::uint8_t to, std::vector<std::byte> frame, Instant arrives) {
  flying_.push({arrives, ++number_, to, std::move(frame)});
}

FlyingFrame NetLink::take() {
  FlyingFrame frame = std::move(const_cast<FlyingFrame&>(flying_.top()));
  flying_.pop();
  return frame;
}

// A router that is nearly full says so to those who asked for it (RFC 3168).
void NetLink::mark(std::vector<std::byte>& frame) {
  if (is_ipv4(frame)) {
    std::byte* ip = frame.data() + link_bytes;
    if ((ip[1] & std::byte{3}) == std::byte{0}) return;
    ip[1] |= std::byte{3};
    store_be<std::uint16_t>(ip + 10, 0);
    net::store_checksum(ip + 10, net::checksum_of({ip, net::ipv4_bytes}));
  } else if (is_ipv6(frame)) {
    std::byte* ip = frame.data() + link_bytes;
    if ((ip[1] & std::byte{0x30}) != std::byte{0}) ip[1] |= std::byte{0x30};
  }
}

// True when the frame is too long for the path and so goes no further.
bool NetLink::answer_too_long(std::uint8_t from, const std::vector<std::byte>& frame,
                              Instant now) {
  if (frame.size() <= link_bytes + faults_.mtu) return false;
  ++lost_;
  if (!faults_.tells_mtu || !is_ipv4(frame)) return true;
  const std::byte* ip = frame.data() + link_bytes;
  const std::size_t quoted = net::ipv4_bytes + 8;
  std::vector<std::byte> answer(link_bytes + net::ipv4_bytes + 8 + quoted);
  std::memcpy(answer.data(), frame.data() + 6, 6);
  std::memcpy(answer.data() + 6, frame.data(), 6);
  store_be<std::uint16_t>(answer.data() + 12, 0x0800);
  std::byte* icmp = answer.data() + link_bytes + net::ipv4_bytes;
  icmp[0] = std::byte{3};
  icmp[1] = std::byte{4};
  store_be(icmp + 6, static_cast<std::uint16_t>(faults_.mtu));
  std::memcpy(icmp + 8, ip, quoted);
  net::store_checksum(icmp + 2, net::checksum_of({icmp, 8 + quoted}));
  net::store_ip(answer.data() + link_bytes,
                {.source = net::IpAddress::v4(10, 0, 0, 254),
                 .destination = net::IpAddress::load_v4(ip + 12),
                 .protocol = net::IpProtocol::icmp},
                8 + quoted);
  fly(from, std::move(answer), now + faults_.delay);
  return true;
}

}  // namespace tailrace::sim
