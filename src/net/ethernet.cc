#include "net/ethernet.h"

namespace tailrace::net {

Result<EthernetFrame> parse_ethernet(Bytes frame) {
  if (frame.size() < ethernet_bytes) return fail(Errc::truncated);
  EthernetFrame parsed;
  std::memcpy(parsed.header.destination.bytes.data(), frame.data(), 6);
  std::memcpy(parsed.header.source.bytes.data(), frame.data() + 6, 6);
  auto type = load_be<std::uint16_t>(frame.data() + 12);
  std::size_t at = ethernet_bytes;
  if (type == static_cast<std::uint16_t>(EtherType::vlan)) {
    if (frame.size() < ethernet_bytes + vlan_tag_bytes) return fail(Errc::truncated);
    parsed.header.vlan = load_be<std::uint16_t>(frame.data() + 14) & 0x0fff;
    type = load_be<std::uint16_t>(frame.data() + 16);
    at += vlan_tag_bytes;
  }
  parsed.header.type = EtherType{type};
  parsed.payload = frame.subspan(at);
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
