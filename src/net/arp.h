// The bytes of ARP over Ethernet for IPv4 (RFC 826). What is learned from them is in
// net/neighbours.h.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "net/address.h"

namespace tailrace::net {

inline constexpr std::size_t arp_bytes = 28;

struct ArpPacket {
  enum class Operation : std::uint16_t { request = 1, reply = 2 };
  Operation operation = Operation::request;
  MacAddress sender_mac;
  IpAddress sender;
  MacAddress target_mac;
  IpAddress target;
};

// Errors: truncated; unsupported (not Ethernet and IPv4, or another operation); malformed (a
// sender that cannot be one).
Result<ArpPacket> parse_arp(Bytes payload);

// Writes arp_bytes.
void store_arp(std::byte* to, const ArpPacket& packet);

}  // namespace tailrace::net
