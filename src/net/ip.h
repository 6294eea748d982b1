// The two network layers as one: what the stack reads from an IPv4 (RFC 791) or IPv6 (RFC 8200)
// header and writes into one. Fragments, IPv4 options and routing headers are refused: our peers'
// TCP makes none of them, and each has been an attack.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "net/address.h"
#include "net/checksum.h"
#include "net/counters.h"

namespace tailrace::net {

enum class IpProtocol : std::uint8_t { icmp = 1, tcp = 6, udp = 17, icmp6 = 58 };

// The two low bits of the traffic class (RFC 3168, 5).
enum class Ecn : std::uint8_t { not_capable = 0, capable_1 = 1, capable_0 = 2, congested = 3 };

inline constexpr std::size_t ipv4_bytes = 20;
inline constexpr std::size_t ipv6_bytes = 40;
inline constexpr std::uint8_t hop_limit_default = 64;

struct IpHeader {
  IpAddress source;
  IpAddress destination;
  IpProtocol protocol = IpProtocol::tcp;
  Ecn ecn = Ecn::not_capable;
  std::uint8_t hop_limit = hop_limit_default;
};

// A parsed packet, or (failure other than frames_in) why not.
struct IpPacket {
  IpHeader header;
  Bytes payload;                   // what the length field says, without Ethernet's padding
  Count failure = Count::frames_in;
  bool is_good() const { return failure == Count::frames_in; }
};

inline constexpr std::uint16_t ipv4_fragment_mask = 0x3fff;  // more fragments, or an offset

// Returns why not, or frames_in.
inline Count read_ipv4(Bytes bytes, bool checksum_good, IpHeader& header, Bytes& payload) {
  if (bytes.size() < ipv4_bytes) return Count::drop_truncated;
  const std::byte* at = bytes.data();
  const auto first = static_cast<std::uint8_t>(at[0]);
  const std::size_t header_bytes = std::size_t{first & 0x0fU} * 4;
  const std::size_t total_bytes = load_be<std::uint16_t>(at + 2);
  if (first >> 4 != 4 || header_bytes < ipv4_bytes || total_bytes < header_bytes) {
    return Count::drop_ip_header;
  }
  if (total_bytes > bytes.size()) return Count::drop_truncated;
  if (header_bytes > ipv4_bytes) return Count::drop_ip_options;
  if (!checksum_good && checksum_of(bytes.first(ipv4_bytes)) != 0) return Count::drop_ip_checksum;
  if ((load_be<std::uint16_t>(at + 6) & ipv4_fragment_mask) != 0) return Count::drop_fragment;
  header.source = IpAddress::load_v4(at + 12);
  header.destination = IpAddress::load_v4(at + 16);
  header.protocol = IpProtocol{static_cast<std::uint8_t>(at[9])};
  header.ecn = Ecn{static_cast<std::uint8_t>(static_cast<std::uint8_t>(at[1]) & 3)};
  header.hop_limit = static_cast<std::uint8_t>(at[8]);
  payload = bytes.subspan(ipv4_bytes, total_bytes - ipv4_bytes);
  return header.source.is_peer() ? Count::frames_in : Count::drop_source;
}
IpPacket parse_ipv4(Bytes bytes, bool checksum_good);
IpPacket parse_ipv6(Bytes bytes);

// The bytes of the header that store_ip() writes for this family.
inline std::size_t ip_bytes(const IpAddress& address) {
  return address.is_v4() ? ipv4_bytes : ipv6_bytes;
}
// Writes the header, IPv4's with its checksum and without permission to fragment (RFC 1191), so
// that its identification says nothing (RFC 6864); returns its size.
std::size_t store_ip(std::byte* to, const IpHeader& header, std::size_t payload_bytes);

}  // namespace tailrace::net
