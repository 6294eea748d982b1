// Ethernet II frames with at most one VLAN tag (IEEE 802.3, 802.1Q).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "net/address.h"

namespace tailrace::net {

enum class EtherType : std::uint16_t { ipv4 = 0x0800, arp = 0x0806, vlan = 0x8100, ipv6 = 0x86dd };

inline constexpr std::uint16_t no_vlan = 0;
inline constexpr std::size_t ethernet_bytes = 14;
inline constexpr std::size_t vlan_tag_bytes = 4;

struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  std::uint16_t vlan = no_vlan;   // the id; a tag that carries only a priority (id 0) is none
  EtherType type = EtherType::ipv4;
};

struct EthernetFrame {
  EthernetHeader header;
  Bytes payload;
};

// False: it is cut short. (read_ethernet() and its like are inline and write into what the caller
// has: most of the time for a segment would else go into handing results on.)
inline bool read_ethernet(Bytes frame, EthernetFrame& to) {
  if (frame.size() < ethernet_bytes) return false;
  std::memcpy(to.header.destination.bytes.data(), frame.data(), 6);
  std::memcpy(to.header.source.bytes.data(), frame.data() + 6, 6);
  to.header.vlan = no_vlan;
  auto type = load_be<std::uint16_t>(frame.data() + 12);
  std::size_t at = ethernet_bytes;
  if (type == static_cast<std::uint16_t>(EtherType::vlan)) [[unlikely]] {
    if (frame.size() < ethernet_bytes + vlan_tag_bytes) return false;
    to.header.vlan = load_be<std::uint16_t>(frame.data() + 14) & 0x0fff;
    type = load_be<std::uint16_t>(frame.data() + 16);
    at += vlan_tag_bytes;
  }
  to.header.type = EtherType{type};
  to.payload = frame.subspan(at);
  return true;
}
// The same as a value. Errors: truncated.
Result<EthernetFrame> parse_ethernet(Bytes frame);

// Returns the bytes written: 14, or 18 with a VLAN.
std::size_t store_ethernet(std::byte* to, const EthernetHeader& header);

}  // namespace tailrace::net
