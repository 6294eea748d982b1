#include "net/ip.h"

#include "net/checksum.h"

namespace tailrace::net {
namespace {

IpPacket failed(Count why) {
  IpPacket packet;
  packet.failure = why;
  return packet;
}

constexpr std::uint16_t flag_dont_fragment = 0x4000;

constexpr std::uint8_t header_hop_by_hop = 0;
constexpr std::uint8_t header_routing = 43;
constexpr std::uint8_t header_fragment = 44;
constexpr std::uint8_t header_destination = 60;
constexpr int extension_headers_max = 4;

}  // namespace

IpPacket parse_ipv4(Bytes bytes, bool checksum_good) {
  IpPacket packet;
  packet.failure = read_ipv4(bytes, checksum_good, packet.header, packet.payload);
  return packet;
}

IpPacket parse_ipv6(Bytes bytes) {
  if (bytes.size() < ipv6_bytes) return failed(Count::drop_truncated);
  const std::byte* at = bytes.data();
  const auto first = load_be<std::uint32_t>(at);
  const std::size_t payload_bytes = load_be<std::uint16_t>(at + 4);
  if (first >> 28 != 6) return failed(Count::drop_ip_header);
  if (payload_bytes > bytes.size() - ipv6_bytes) return failed(Count::drop_truncated);
  IpPacket packet;
  packet.header = {.source = IpAddress::load_v6(at + 8),
                   .destination = IpAddress::load_v6(at + 24),
                   .ecn = Ecn{static_cast<std::uint8_t>((first >> 20) & 3)},
                   .hop_limit = static_cast<std::uint8_t>(at[7])};
  packet.payload = bytes.subspan(ipv6_bytes, payload_bytes);
  auto next = static_cast<std::uint8_t>(at[6]);
  // Options that a router or a peer put before the payload are passed over (RFC 8200, 4).
  for (int i = 0; next == header_hop_by_hop || next == header_destination; ++i) {
    if (i == extension_headers_max || packet.payload.size() < 8) {
      return failed(Count::drop_ip_header);
    }
    next = static_cast<std::uint8_t>(packet.payload[0]);
    const std::size_t size = (static_cast<std::size_t>(packet.payload[1]) + 1) * 8;
    if (size > packet.payload.size()) return failed(Count::drop_truncated);
    packet.payload = packet.payload.subspan(size);
  }
  if (next == header_fragment) return failed(Count::drop_fragment);
  if (next == header_routing) return failed(Count::drop_ip_options);
  packet.header.protocol = IpProtocol{next};
  // A v4-mapped source would be taken for IPv4. An unspecified one is a node that looks whether
  // its address is free (RFC 4862, 5.4), which only neighbour discovery may do.
  const IpAddress& source = packet.header.source;
  const bool may_be_source =
      source.is_peer() || (source.is_unspecified() && packet.header.protocol == IpProtocol::icmp6);
  if (source.is_v4() || packet.header.destination.is_v4() || !may_be_source) {
    packet.failure = Count::drop_source;
  }
  return packet;
}

std::size_t store_ip(std::byte* to, const IpHeader& header, std::size_t payload_bytes) {
  if (header.source.is_v4()) {
    // Words as they lie in memory, summed before they are written: whoever reads at once in words
    // what was written in bytes waits for it.
    const auto total = byte_swapped(static_cast<std::uint16_t>(ipv4_bytes + payload_bytes));
    const std::uint32_t begin =
        0x45U | std::uint32_t{static_cast<std::uint8_t>(header.ecn)} << 8 |
        std::uint32_t{total} << 16;
    const std::uint32_t fragments = std::uint32_t{byte_swapped(flag_dont_fragment)} << 16;
    const std::uint32_t kind =
        header.hop_limit | std::uint32_t{static_cast<std::uint8_t>(header.protocol)} << 8;
    const auto source = static_cast<std::uint32_t>(header.source.low() >> 32);
    const auto destination = static_cast<std::uint32_t>(header.destination.low() >> 32);
    ChecksumSum sum;
    for (const std::uint32_t word : {begin, fragments, kind, source, destination}) {
      sum.add_word(word);
    }
    const auto store = [to](std::size_t at, std::uint32_t word) {
      std::memcpy(to + at, &word, sizeof word);
    };
    store(0, begin);
    store(4, fragments);
    store(8, kind | std::uint32_t{sum.checksum()} << 16);
    store(12, source);
    store(16, destination);
    return ipv4_bytes;
  }
  store_be(to, 0x6000'0000U | static_cast<std::uint32_t>(header.ecn) << 20);
  store_be(to + 4, static_cast<std::uint16_t>(payload_bytes));
  to[6] = static_cast<std::byte>(header.protocol);
  to[7] = static_cast<std::byte>(header.hop_limit);
  header.source.store_v6(to + 8);
  header.destination.store_v6(to + 24);
  return ipv6_bytes;
}

}  // namespace tailrace::net
