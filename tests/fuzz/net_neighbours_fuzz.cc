// Hostile neighbours: ARP, neighbour discovery and ICMP, while connections wait for link addresses.
#include "../support/fuzz_target.h"
#include "../support/net_fuzz_host.h"
#include "net/checksum.h"
#include "net/icmp.h"

namespace {

using namespace tailrace;

std::vector<std::byte> arp_frame(Bytes& input) {
  std::vector<std::byte> frame(net::ethernet_bytes + net::arp_bytes);
  net::store_ethernet(frame.data(), {net::broadcast_mac, fuzz::peer_mac, net::no_vlan,
                                     net::EtherType::arp});
  net::ArpPacket packet;
  const std::uint8_t choice = fuzz::take_choice(input);
  packet.operation = net::ArpPacket::Operation{static_cast<std::uint16_t>(choice % 4)};
  packet.sender_mac = {{2, 0, 0, 0, 0, fuzz::take_choice(input)}};
  packet.sender = net::IpAddress::v4(10, 0, 0, fuzz::take_choice(input));
  packet.target = net::IpAddress::v4(10, 0, 0, fuzz::take_choice(input));
  net::store_arp(frame.data() + net::ethernet_bytes, packet);
  if (choice > 200) {
    frame[net::ethernet_bytes + fuzz::take_choice(input) % net::arp_bytes] =
        static_cast<std::byte>(fuzz::take_choice(input));
  }
  return frame;
}

std::vector<std::byte> icmp6_frame(Bytes& input) {
  const std::size_t size = std::min<std::size_t>(8 + fuzz::take_choice(input) % 120, input.size());
  std::vector<std::byte> frame(net::ethernet_bytes + net::ipv6_bytes + size);
  const std::uint8_t choice = fuzz::take_choice(input);
  net::IpHeader ip{.source = fuzz::peer_v6, .destination = fuzz::own_v6,
                   .protocol = net::IpProtocol::icmp6, .hop_limit = 255};
  if ((choice & 1) != 0) ip.source.bytes[0] = 0xfe, ip.source.bytes[1] = 0x80;
  if ((choice & 2) != 0) ip.destination = net::solicited_node(fuzz::own_v6);
  if ((choice & 4) != 0) ip.source = {};
  net::store_ethernet(frame.data(), {(choice & 2) != 0 ? net::group_mac(ip.destination)
                                                       : fuzz::own_mac,
                                     fuzz::peer_mac, net::no_vlan, net::EtherType::ipv6});
  net::store_ip(frame.data() + net::ethernet_bytes, ip, size);
  const std::size_t there = std::min(size, input.size());
  if (there > 0) {
    std::memcpy(frame.data() + net::ethernet_bytes + net::ipv6_bytes, input.data(), there);
  }
  input = input.subspan(there);
  return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  fuzz::NetHost host;
  for (int steps = 0; !input.empty() && steps < 300; ++steps) {
    const std::uint8_t choice = fuzz::take_choice(input);
    switch (choice % 4) {
      case 0: host.give(arp_frame(input), true); break;
      case 1: host.give(icmp6_frame(input), true); break;
      case 2: {
        const net::IpAddress to = net::IpAddress::v4(10, 0, 0, fuzz::take_choice(input));
        const ConnId conn = host.stack().connect({to, 80}, 0, host.now);
        if (conn != 0) host.conns.insert(conn);
        host.turn();
        break;
      }
      case 3:
        host.now = host.now + milliseconds(1 << (choice % 14));
        host.turn();
        break;
    }
  }
  host.finish();
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  return {std::string("\x02\x05\x00\x01\x05\x05\x01\x03", 8),
          std::string("\x01\x18\x02\x87\x00\x00\x00\x00\x00\x00\x00\xfd", 12)};
}
