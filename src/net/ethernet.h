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

// Errors: truncated.
Result<EthernetFrame> parse_ethernet(Bytes frame);

// Returns the bytes written: 14, or 18 with a VLAN.
std::size_t store_ethernet(std::byte* to, const EthernetHeader& header);

}  // namespace tailrace::net
