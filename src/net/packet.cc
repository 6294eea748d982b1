#include "net/packet.h"

#include "net/checksum.h"
#include "net/ethernet.h"

namespace tailrace::net {
namespace {

Count parse_transport(const EthernetFrame& ethernet, const Interface& interface, Packet& packet) {
  const IpHeader& ip = packet.ip;
  // Whoever writes our own address there wants us to answer ourselves (RFC 1122, 3.2.1.3).
  if (interface.index_of(ip.source) >= 0) return Count::drop_source;
  const bool is_ours = interface.index_of(ip.destination) >= 0;
  const bool is_discovery = ip.protocol == IpProtocol::icmp6 && ip.destination.is_multicast();
  if (!is_ours && !is_discovery) return Count::drop_not_ours;
  // An IP packet to one host in a frame to many is nobody's honest mistake (RFC 1122, 3.3.6).
  if (is_ours && ethernet.header.destination.is_group()) return Count::drop_not_ours;
  if (ip.protocol == (ip.source.is_v4() && !ip.source.is_unspecified() ? IpProtocol::icmp
                                                                       : IpProtocol::icmp6)) {
    packet.kind = Packet::Kind::icmp;
    return Count::frames_in;
  }
  if (ip.protocol != IpProtocol::tcp) return Count::drop_protocol;
  if (!packet.checksum_good && !tcp_checksum_is_good(ip.source, ip.destination, packet.payload)) {
    return Count::drop_tcp_checksum;
  }
  read_tcp(packet.payload, packet.segment);
  if (!packet.segment.is_good()) return packet.segment.failure;
  packet.flow.local.address = ip.destination;
  packet.flow.local.port = packet.segment.header.destination_port;
  packet.flow.remote.address = ip.source;
  packet.flow.remote.port = packet.segment.header.source_port;
  packet.kind = Packet::Kind::tcp;
  return Count::frames_in;
}

Count parse_network(const EthernetFrame& ethernet, const Interface& interface, Packet& packet) {
  switch (ethernet.header.type) {
    case EtherType::arp:
      packet.kind = Packet::Kind::arp;
      packet.payload = ethernet.payload;
      return Count::frames_in;
    case EtherType::ipv4: {
      const Count failure = read_ipv4(ethernet.payload, packet.checksum_good, packet.ip,
                                      packet.payload);
      return failure == Count::frames_in ? parse_transport(ethernet, interface, packet) : failure;
    }
    case EtherType::ipv6: {
      const IpPacket ip = parse_ipv6(ethernet.payload);
      packet.ip = ip.header;
      packet.payload = ip.payload;
      return ip.is_good() ? parse_transport(ethernet, interface, packet) : ip.failure;
    }
    case EtherType::vlan:   // A tag within a tag.
    default:                // The field is the sender's; it may hold anything.
      return Count::drop_protocol;
  }
}

}  // namespace

bool parse_plain(const RxFrame& frame, const Interface& interface, Packet& packet) {
  const Bytes bytes = frame.bytes;
  if (interface.vlan != no_vlan || interface.addresses.empty() ||
      bytes.size() < ethernet_bytes + ipv4_bytes + tcp_header_bytes) {
    return false;
  }
  const std::byte* link = bytes.data();
  const std::byte* at = link + ethernet_bytes;
  const std::size_t total = load_be<std::uint16_t>(at + 2);
  const IpAddress source = IpAddress::load_v4(at + 12);
  const IpAddress destination = IpAddress::load_v4(at + 16);
  if (std::memcmp(link, interface.mac.bytes.data(), 6) != 0 ||
      load_be<std::uint16_t>(link + 12) != static_cast<std::uint16_t>(EtherType::ipv4) ||
      at[0] != std::byte{0x45} || at[9] != static_cast<std::byte>(IpProtocol::tcp) ||
      (load_be<std::uint16_t>(at + 6) & ipv4_fragment_mask) != 0 ||
      total > bytes.size() - ethernet_bytes || total < ipv4_bytes ||
      destination != interface.addresses[0].address || !source.is_peer() ||
      interface.index_of(source) >= 0) {
    return false;
  }
  const Bytes segment = bytes.subspan(ethernet_bytes + ipv4_bytes, total - ipv4_bytes);
  if (!frame.checksum_good && (checksum_of({at, ipv4_bytes}) != 0 ||
                               !tcp_checksum_is_good(source, destination, segment))) {
    return false;
  }
  read_tcp(segment, packet.segment);
  if (!packet.segment.is_good()) return false;
  packet.kind = Packet::Kind::tcp;
  packet.token = frame.token;
  packet.ip.ecn = Ecn{static_cast<std::uint8_t>(static_cast<std::uint8_t>(at[1]) & 3)};
  packet.flow.local.address = destination;
  packet.flow.local.port = packet.segment.header.destination_port;
  packet.flow.remote.address = source;
  packet.flow.remote.port = packet.segment.header.source_port;
  return true;
}

Count parse_packet(const RxFrame& frame, const Interface& interface, Packet& packet) {
  packet.kind = Packet::Kind::dropped;
  packet.token = frame.token;
  packet.checksum_good = frame.checksum_good;
  EthernetFrame ethernet;
  if (!read_ethernet(frame.bytes, ethernet)) return Count::drop_truncated;
  const EthernetHeader& header = ethernet.header;
  if (header.vlan != interface.vlan) return Count::drop_vlan;
  if (header.destination != interface.mac && !header.destination.is_group()) {
    return Count::drop_not_ours;
  }
  packet.source = header.source;
  return parse_network(ethernet, interface, packet);
}

}  // namespace tailrace::net
