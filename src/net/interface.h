// What the stack is told about its place in the network.
#pragma once

#include <cstdint>
#include <vector>

#include "net/address.h"
#include "net/ethernet.h"

namespace tailrace::net {

struct InterfaceAddress {
  IpAddress address;
  std::uint8_t prefix_bits = 24;
};

struct Interface {
  MacAddress mac;
  std::uint16_t vlan = no_vlan;
  std::uint16_t mtu = 1500;             // IP packets of this size fit
  // What the device offers. Not 0: it cuts payloads of up to so many bytes into segments (TSO).
  std::uint32_t segmentation_bytes_max = 0;
  bool use_timestamps = true;
  bool use_sack = true;
  bool use_window_scale = true;
  bool use_ecn = true;
  // Of several stacks with the same addresses all hear who asks for them, and one answers.
  bool answers_neighbours = true;
  std::vector<InterfaceAddress> addresses;
  IpAddress gateway_v4;                 // unspecified: none
  IpAddress gateway_v6;                 // unspecified: a router's advertisement tells

  // The index of an own address, or -1.
  int index_of(const IpAddress& address) const {
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      if (addresses[i].address == address) return static_cast<int>(i);
    }
    return -1;
  }
  bool is_on_link(const IpAddress& address) const {
    if (address.is_v6() && address.is_link_local()) return true;
    for (const InterfaceAddress& own : addresses) {
      if (same_network(own.address, address, own.prefix_bits)) return true;
    }
    return false;
  }
  // The address to use towards `remote`: of its network if there is one, else of its family.
  const IpAddress* source_for(const IpAddress& remote) const {
    const IpAddress* found = nullptr;
    for (const InterfaceAddress& own : addresses) {
      if (own.address.is_v4() != remote.is_v4()) continue;
      if (same_network(own.address, remote, own.prefix_bits)) return &own.address;
      if (found == nullptr || found->is_link_local()) found = &own.address;
    }
    return found;
  }
};

}  // namespace tailrace::net
