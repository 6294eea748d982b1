#include "net/arp.h"

#include "net/ethernet.h"

namespace tailrace::net {

Result<ArpPacket> parse_arp(Bytes payload) {
  if (payload.size() < arp_bytes) return fail(Errc::truncated);
  const std::byte* at = payload.data();
  const auto operation = load_be<std::uint16_t>(at + 6);
  if (load_be<std::uint16_t>(at) != 1 ||
      load_be<std::uint16_t>(at + 2) != static_cast<std::uint16_t>(EtherType::ipv4) ||
      at[4] != std::byte{6} || at[5] != std::byte{4} || operation < 1 || operation > 2) {
    return fail(Errc::unsupported);
  }
  ArpPacket packet;
  packet.operation = ArpPacket::Operation{operation};
  std::memcpy(packet.sender_mac.bytes.data(), at + 8, 6);
  packet.sender = IpAddress::load_v4(at + 14);
  std::memcpy(packet.target_mac.bytes.data(), at + 18, 6);
  packet.target = IpAddress::load_v4(at + 24);
  // A probe (RFC 5227) has no sender address yet.
  const bool is_probe = packet.sender.is_unspecified();
  if (packet.sender_mac.is_group() || packet.sender_mac.is_zero() ||
      (!is_probe && !packet.sender.is_peer())) {
    return fail(Errc::malformed);
  }
  return packet;
}

void store_arp(std::byte* to, const ArpPacket& packet) {
  store_be<std::uint16_t>(to, 1);
  store_be(to + 2, static_cast<std::uint16_t>(EtherType::ipv4));
  to[4] = std::byte{6};
  to[5] = std::byte{4};
  store_be(to + 6, static_cast<std::uint16_t>(packet.operation));
  std::memcpy(to + 8, packet.sender_mac.bytes.data(), 6);
  packet.sender.store_v4(to + 14);
  std::memcpy(to + 18, packet.target_mac.bytes.data(), 6);
  packet.target.store_v4(to + 24);
}

}  // namespace tailrace::net
