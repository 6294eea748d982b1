#include "net/steering.h"

#include <span>

#include "base/assert.h"
#include "net/arp.h"
#include "net/ethernet.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "net/tcp_header.h"

namespace tailrace::net {
namespace {

using Kind = FrameOwner::Kind;

// A question that only one of several stacks may answer.
constexpr FrameOwner first_core{Kind::one, 0};
constexpr FrameOwner everyone{Kind::everyone, 0};

// The 32 bits of the key that begin at this bit.
std::uint32_t window(const RssKey& key, std::size_t bit) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t at = bit / 8 + i;
    bytes = bytes << 8 | (at < key.size() ? key[at] : 0);
  }
  return static_cast<std::uint32_t>(bytes >> (8 - bit % 8));
}

}  // namespace

Steering::Steering(std::uint16_t cores, const RssKey& key)
    : cores_(cores), key_(key), added_(nibbles_max) {
  TR_ASSERT(cores > 0);
  TR_ASSERT(cores <= bucket_count);
  for (std::size_t place = 0; place < nibbles_max; ++place) {
    for (std::uint32_t value = 0; value < 16; ++value) {
      std::uint32_t sum = 0;
      for (std::size_t bit = 0; bit < 4; ++bit) {
        const bool is_set = (value >> (3 - bit) & 1) != 0;   // The first is the highest.
        if (is_set) sum ^= window(key, 4 * place + bit);
      }
      added_[place][value] = sum;
    }
  }
}

std::uint32_t Steering::hash_of(const Flow& flow) const {
  std::uint32_t hash = 0;
  std::size_t place = 0;
  const auto add = [&](std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) {
      hash ^= added_[place][byte >> 4] ^ added_[place + 1][byte & 0x0f];
      place += 2;
    }
  };
  const std::size_t skipped = flow.local.address.is_v4() ? 12 : 0;
  add(std::span(flow.remote.address.bytes).subspan(skipped));
  add(std::span(flow.local.address.bytes).subspan(skipped));
  for (const std::uint16_t port : {flow.remote.port, flow.local.port}) {
    const std::array<std::uint8_t, 2> bytes = {static_cast<std::uint8_t>(port >> 8),
                                               static_cast<std::uint8_t>(port)};
    add(bytes);
  }
  return hash;
}

FrameOwner Steering::owner_of(Bytes frame) const {
  const Result<EthernetFrame> ethernet = parse_ethernet(frame);
  if (!ethernet) return {};
  switch (ethernet->header.type) {
    case EtherType::arp:
      // Who asks for our address is about to connect, to any of us, and tells its own.
      return parse_arp(ethernet->payload) ? everyone : FrameOwner{};
    case EtherType::ipv4: return owner_of_ip(ethernet->payload, true);
    case EtherType::ipv6: return owner_of_ip(ethernet->payload, false);
    case EtherType::vlan:   // A tag within a tag.
    default: return {};     // The field is the sender's; it may hold anything.
  }
}

FrameOwner Steering::owner_of_ip(Bytes packet, bool is_v4) const {
  const IpPacket ip = is_v4 ? parse_ipv4(packet, true) : parse_ipv6(packet);
  if (!ip.is_good()) return {};
  if (ip.header.protocol == IpProtocol::tcp) {
    if (ip.payload.size() < tcp_header_bytes) return {};
    return one({{ip.header.destination, load_be<std::uint16_t>(ip.payload.data() + 2)},
                {ip.header.source, load_be<std::uint16_t>(ip.payload.data())}});
  }
  if (ip.header.protocol != (is_v4 ? IpProtocol::icmp : IpProtocol::icmp6)) return {};
  const IcmpMessage message =
      is_v4 ? parse_icmp4(ip.payload, true) : parse_icmp6(ip.header, ip.payload, true);
  switch (message.kind) {
    case IcmpMessage::Kind::ignored:
    case IcmpMessage::Kind::malformed:
      return {};
    case IcmpMessage::Kind::echo_request:
      return first_core;
    // An error is about one connection, and tells which.
    case IcmpMessage::Kind::unreachable:
    case IcmpMessage::Kind::too_big:
      return message.quoted.has_value() ? one(*message.quoted) : FrameOwner{};
    case IcmpMessage::Kind::neighbour_solicit:   // As with ARP.
    case IcmpMessage::Kind::neighbour_advert:
    case IcmpMessage::Kind::router_advert:
      return everyone;
  }
  return {};
}

}  // namespace tailrace::net
