// Frames for tests of who gets which: of TCP, ARP, ICMP and neighbour discovery.
#pragma once

#include <vector>

#include "net/arp.h"
#include "net/ethernet.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "net/tcp_header.h"

namespace tailrace::test {

inline constexpr net::MacAddress frame_mac{{2, 0, 0, 0, 0, 1}};
inline constexpr net::MacAddress frame_peer_mac{{2, 0, 0, 0, 0, 2}};

inline std::vector<std::byte> ethernet_frame(net::EtherType type, Bytes payload,
                                             std::uint16_t vlan = net::no_vlan) {
  std::vector<std::byte> frame(net::ethernet_bytes + net::vlan_tag_bytes);
  frame.resize(net::store_ethernet(frame.data(), {frame_mac, frame_peer_mac, vlan, type}));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

inline std::vector<std::byte> ip_packet(const net::IpHeader& header, Bytes payload) {
  std::vector<std::byte> packet(net::ip_bytes(header.source));
  net::store_ip(packet.data(), header, payload.size());
  packet.insert(packet.end(), payload.begin(), payload.end());
  return packet;
}

inline net::EtherType ether_type_of(const net::IpAddress& address) {
  return address.is_v4() ? net::EtherType::ipv4 : net::EtherType::ipv6;
}

inline std::vector<std::byte> ip_frame(const net::IpHeader& header, Bytes payload) {
  return ethernet_frame(ether_type_of(header.source), ip_packet(header, payload));
}

// A segment that the remote end of `flow` sends.
inline std::vector<std::byte> segment_packet(const net::Flow& flow, std::uint32_t seq = 1) {
  net::TcpHeader header{.source_port = flow.remote.port, .destination_port = flow.local.port,
                        .seq = {seq}, .flags = net::tcp_flag::ack, .window = 1000};
  std::vector<std::byte> segment(60);
  segment.resize(net::store_tcp(segment.data(), header, flow.remote.address, flow.local.address,
                                0));
  return ip_packet({.source = flow.remote.address, .destination = flow.local.address}, segment);
}

inline std::vector<std::byte> segment_frame_of(const net::Flow& flow, std::uint32_t seq = 1,
                                               std::uint16_t vlan = net::no_vlan) {
  return ethernet_frame(ether_type_of(flow.local.address), segment_packet(flow, seq), vlan);
}

inline std::vector<std::byte> arp_frame_of(const net::ArpPacket& packet) {
  std::vector<std::byte> bytes(net::arp_bytes);
  net::store_arp(bytes.data(), packet);
  return ethernet_frame(net::EtherType::arp, bytes);
}

// An error about what we sent on `flow`, of ICMP or ICMPv6.
inline std::vector<std::byte> error_frame(const net::Flow& flow, const net::IpAddress& router,
                                          std::uint8_t type) {
  const bool is_v4 = router.is_v4();
  const net::Flow turned{flow.remote, flow.local};   // As the other end would have it.
  std::vector<std::byte> message(8);
  message[0] = std::byte{type};
  const std::vector<std::byte> quoted = segment_packet(turned);
  message.insert(message.end(), quoted.begin(), quoted.end());
  return ip_frame({.source = router, .destination = flow.local.address,
                   .protocol = is_v4 ? net::IpProtocol::icmp : net::IpProtocol::icmp6},
                  message);
}

}  // namespace tailrace::test
