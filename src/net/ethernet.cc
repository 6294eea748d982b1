#include "net/ethernet.h"

namespace tailrace::net {

Result<EthernetFrame> parse_ethernet(Bytes frame) {
  EthernetFrame parsed;
  if (!read_ethernet(frame, parsed)) return fail(Errc::truncated);
  return parsed;
}

std::size_t store_ethernet(std::byte* to, const EthernetHeader& header) {
  std::memcpy(to, header.destination.bytes.data(), 6);
  std::memcpy(to + 6, header.source.bytes.data(), 6);
  std::size_t at = 12;
  if (header.vlan != no_vlan) {
    store_be(to + 12, static_cast<std::uint16_t>(EtherType::vlan));
    store_be(to + 14, header.vlan);
    at += vlan_tag_bytes;
  }
  store_be(to + at, static_cast<std::uint16_t>(header.type));
  return at + 2;
}

}  // namespace tailrace::net
