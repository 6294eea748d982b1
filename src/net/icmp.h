// The messages of ICMP (RFC 792) and ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) among them,
// as far as the stack reads or writes them. What it does about them is in net/stack_control.cc.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "net/address.h"
#include "net/ip.h"
#include "net/seq.h"

namespace tailrace::net {

struct IcmpMessage {
  enum class Kind : std::uint8_t {
    ignored,              // well formed, and nothing to us
    malformed,
    echo_request,
    unreachable,          // is_hard tells the kind
    too_big,              // mtu: what the path takes; 0 when the router did not say (RFC 1191)
    neighbour_solicit,
    neighbour_advert,
    router_advert,
  };
  Kind kind = Kind::ignored;
  // No such port, protocol or permission: waiting will not help.
  bool is_hard = false;
  std::uint32_t mtu = 0;
  Bytes body;             // of an echo: what follows the checksum
  // Of an error: what we had sent that caused it, as we sent it.
  std::optional<Flow> quoted;
  Seq quoted_seq;
  // Of neighbour discovery.
  IpAddress target;
  std::optional<MacAddress> link_address;
  bool is_solicited = false;
  bool is_override = false;
  std::uint16_t router_lifetime_s = 0;
};

// Verifies the checksum unless `checksum_good`.
IcmpMessage parse_icmp4(Bytes payload, bool checksum_good);
IcmpMessage parse_icmp6(const IpHeader& ip, Bytes payload, bool checksum_good);

// A neighbour's solicitation or advertisement with the link address of `mac`, checksum included.
inline constexpr std::size_t neighbour_message_bytes = 32;
struct NeighbourMessage {
  bool is_advert = false;
  bool is_solicited = false;
  IpAddress target;
  MacAddress mac;
};
void store_neighbour_message(std::byte* to, const IpHeader& ip, const NeighbourMessage& message);

// Where solicitations for `target` go (RFC 4291, 2.7.1), and the link address of a group
// (RFC 2464, 7).
IpAddress solicited_node(const IpAddress& target);
MacAddress group_mac(const IpAddress& group);

// The checksum field of an echo reply that differs from the request in its type alone (RFC 1624).
std::uint16_t echo_reply_checksum(std::uint16_t request_checksum, bool is_v4);

}  // namespace tailrace::net
