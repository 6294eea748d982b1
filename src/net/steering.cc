#include "net/steering.h"

#include <cstring>

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
    : cores_(cores), key_(key), added_(input_bytes_max) {
  TR_ASSERT(cores > 0);
  TR_ASSERT(cores <= bucket_count);
  for (std::size_t place = 0; place < input_bytes_max; ++place) {
    for (std::uint32_t value = 0; value < 256; ++value) {
      std::uint32_t sum = 0;
      for (std::size_t bit = 0; bit < 8; ++bit) {
        const bool is_set = (value >> (7 - bit) & 1) != 0;   // The first is the highest.
        if (is_set) sum ^= window(key, 8 * place + bit);
      }
      added_[place][value] = sum;
    }
  }
}

std::uint32_t Steering::hash_of_bytes(const std::byte* input, std::size_t size) const {
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<std::uint8_t>(input[i]);
    hash ^= added_[i][byte];
  }
  return hash;
}

// The input is what lies in a packet's header: the source first.
std::uint32_t Steering::hash_of(const Flow& flow) const {
  std::array<std::byte, input_bytes_max> input;
  const std::size_t skipped = flow.local.address.is_v4() ? 12 : 0;
  const std::size_t size = 16 - skipped;
  std::memcpy(input.data(), flow.remote.address.bytes.data() + skipped, size);
  std::memcpy(input.data() + size, flow.local.address.bytes.data() + skipped, size);
  store_be(input.data() + 2 * size, flow.remote.port);
  store_be(input.data() + 2 * size + 2, flow.local.port);
  return hash_of_bytes(input.data(), 2 * size + 4);
}

// Nearly every frame is a segment right behind a plain IP header, where addresses and ports lie in
// the order in which they are hashed: it need not be taken apart. Whether it is a good one is for
// the stack to say that gets it.
FrameOwner Steering::owner_of(Bytes frame) const {
  constexpr std::size_t hashed_v4 = ethernet_bytes + ipv4_bytes - 8;
  constexpr std::size_t hashed_v6 = ethernet_bytes + ipv6_bytes - 32;
  constexpr auto tcp = static_cast<std::byte>(IpProtocol::tcp);
  const std::byte* const ip = frame.data() + ethernet_bytes;
  if (frame.size() < ethernet_bytes + ipv4_bytes + tcp_header_bytes) return owner_of_any(frame);
  const auto type = EtherType{load_be<std::uint16_t>(frame.data() + 12)};
  if (type == EtherType::ipv4 && ip[0] == std::byte{0x45} && ip[9] == tcp &&
      (load_be<std::uint16_t>(ip + 6) & ipv4_fragment_mask) == 0) {
    return one_by(hash_of_bytes(frame.data() + hashed_v4, 8 + 4));
  }
  if (type == EtherType::ipv6 && ip[6] == tcp &&
      frame.size() >= ethernet_bytes + ipv6_bytes + tcp_header_bytes) {
    return one_by(hash_of_bytes(frame.data() + hashed_v6, 32 + 4));
  }
  return owner_of_any(frame);
}

FrameOwner Steering::owner_of_any(Bytes frame) const {
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
    return one_by(hash_of({{ip.header.destination, load_be<std::uint16_t>(ip.payload.data() + 2)},
                           {ip.header.source, load_be<std::uint16_t>(ip.payload.data())}}));
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
      return message.quoted.has_value() ? one_by(hash_of(*message.quoted)) : FrameOwner{};
    case IcmpMessage::Kind::neighbour_solicit:   // As with ARP.
    case IcmpMessage::Kind::neighbour_advert:
    case IcmpMessage::Kind::router_advert:
      return everyone;
  }
  return {};
}

}  // namespace tailrace::net
