#include "net/icmp.h"

#include "net/checksum.h"

namespace tailrace::net {
namespace {

using Kind = IcmpMessage::Kind;

constexpr std::size_t icmp_header_bytes = 8;
constexpr std::uint8_t echo_reply_4 = 0;
constexpr std::uint8_t unreachable_4 = 3;
constexpr std::uint8_t echo_4 = 8;
constexpr std::uint8_t unreachable_6 = 1;
constexpr std::uint8_t too_big_6 = 2;
constexpr std::uint8_t echo_6 = 128;
constexpr std::uint8_t echo_reply_6 = 129;
constexpr std::uint8_t router_advert_6 = 134;
constexpr std::uint8_t solicit_6 = 135;
constexpr std::uint8_t advert_6 = 136;

constexpr std::uint8_t option_source_link = 1;
constexpr std::uint8_t option_target_link = 2;
constexpr std::byte advert_solicited{0x40};
constexpr std::byte advert_override{0x20};

constexpr std::uint8_t hop_limit_untouched = 255;  // Nothing else came from a neighbour.

std::uint8_t byte_at(Bytes bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }

// The ports and the sequence number are the first 8 bytes of TCP's header, which every error
// quotes (RFC 792).
void take_quoted_tcp(const IpAddress& source, const IpAddress& destination, Bytes tcp,
                     IcmpMessage& message) {
  if (tcp.size() < 8) return;
  message.quoted = Flow{{source, load_be<std::uint16_t>(tcp.data())},
                        {destination, load_be<std::uint16_t>(tcp.data() + 2)}};
  message.quoted_seq = {load_be<std::uint32_t>(tcp.data() + 4)};
}

void take_quoted_4(Bytes quoted, IcmpMessage& message) {
  if (quoted.size() < ipv4_bytes) return;
  const std::size_t header_bytes = std::size_t{byte_at(quoted, 0) & 0x0fU} * 4;
  if (byte_at(quoted, 0) >> 4 != 4 || header_bytes < ipv4_bytes || quoted.size() < header_bytes ||
      IpProtocol{byte_at(quoted, 9)} != IpProtocol::tcp) {
    return;
  }
  take_quoted_tcp(IpAddress::load_v4(quoted.data() + 12), IpAddress::load_v4(quoted.data() + 16),
                  quoted.subspan(header_bytes), message);
}

void take_quoted_6(Bytes quoted, IcmpMessage& message) {
  if (quoted.size() < ipv6_bytes || byte_at(quoted, 0) >> 4 != 6 ||
      IpProtocol{byte_at(quoted, 6)} != IpProtocol::tcp) {
    return;
  }
  take_quoted_tcp(IpAddress::load_v6(quoted.data() + 8), IpAddress::load_v6(quoted.data() + 24),
                  quoted.subspan(ipv6_bytes), message);
}

// RFC 4861, 4.6: every option has a length, and one of zero spoils the packet.
bool take_discovery_options(Bytes options, std::uint8_t wanted, IcmpMessage& message) {
  while (!options.empty()) {
    if (options.size() < 2) return false;
    const std::size_t size = std::size_t{byte_at(options, 1)} * 8;
    if (size == 0 || size > options.size()) return false;
    if (byte_at(options, 0) == wanted && size == 8) {
      MacAddress mac;
      std::memcpy(mac.bytes.data(), options.data() + 2, 6);
      if (mac.is_group() || mac.is_zero()) return false;
      message.link_address = mac;
    }
    options = options.subspan(size);
  }
  return true;
}

// RFC 4861, 7.1.1 and 7.1.2.
IcmpMessage parse_neighbour(const IpHeader& ip, Bytes payload, Kind kind) {
  IcmpMessage message;
  message.kind = Kind::malformed;
  if (ip.hop_limit != hop_limit_untouched || payload.size() < 24 || byte_at(payload, 1) != 0) {
    return message;
  }
  message.target = IpAddress::load_v6(payload.data() + 8);
  const bool is_solicit = kind == Kind::neighbour_solicit;
  const auto wanted = is_solicit ? option_source_link : option_target_link;
  if (message.target.is_multicast() || message.target.is_v4() ||
      !take_discovery_options(payload.subspan(24), wanted, message)) {
    return message;
  }
  message.is_solicited = (payload[4] & advert_solicited) != std::byte{0};
  message.is_override = (payload[4] & advert_override) != std::byte{0};
  // A search for a double must not say whose it is, and goes to the group.
  if (is_solicit && ip.source.is_unspecified() &&
      (message.link_address.has_value() || !ip.destination.is_multicast())) {
    return message;
  }
  if (!is_solicit && message.is_solicited && ip.destination.is_multicast()) return message;
  message.kind = kind;
  return message;
}

// RFC 4861, 6.1.2.
IcmpMessage parse_router_advert(const IpHeader& ip, Bytes payload) {
  IcmpMessage message;
  message.kind = Kind::malformed;
  if (ip.hop_limit != hop_limit_untouched || !ip.source.is_link_local() || payload.size() < 16 ||
      byte_at(payload, 1) != 0 ||
      !take_discovery_options(payload.subspan(16), option_source_link, message)) {
    return message;
  }
  message.router_lifetime_s = load_be<std::uint16_t>(payload.data() + 6);
  message.kind = Kind::router_advert;
  return message;
}

}  // namespace

IcmpMessage parse_icmp4(Bytes payload, bool checksum_good) {
  IcmpMessage message;
  message.kind = Kind::malformed;
  if (payload.size() < icmp_header_bytes) return message;
  if (!checksum_good && checksum_of(payload) != 0) return message;
  const std::uint8_t type = byte_at(payload, 0);
  const std::uint8_t code = byte_at(payload, 1);
  message.kind = Kind::ignored;
  if (type == echo_4 && code == 0) {
    message.kind = Kind::echo_request;
    message.body = payload.subspan(4);
  } else if (type == unreachable_4) {
    // 4: would have to be fragmented. 2, 3: no such protocol or port. 9, 10, 13: forbidden.
    message.kind = code == 4 ? Kind::too_big : Kind::unreachable;
    message.is_hard = code == 2 || code == 3 || code == 9 || code == 10 || code == 13;
    if (code == 4) message.mtu = load_be<std::uint16_t>(payload.data() + 6);
    take_quoted_4(payload.subspan(icmp_header_bytes), message);
  }
  return message;
}

IcmpMessage parse_icmp6(const IpHeader& ip, Bytes payload, bool checksum_good) {
  IcmpMessage message;
  message.kind = Kind::malformed;
  if (payload.size() < icmp_header_bytes) return message;
  if (!checksum_good) {
    ChecksumSum sum;
    sum.add_pseudo_header(ip.source, ip.destination, static_cast<std::uint8_t>(IpProtocol::icmp6),
                          static_cast<std::uint32_t>(payload.size()));
    sum.add(payload);
    if (sum.checksum() != 0) return message;
  }
  const std::uint8_t type = byte_at(payload, 0);
  const std::uint8_t code = byte_at(payload, 1);
  if (type == solicit_6) return parse_neighbour(ip, payload, Kind::neighbour_solicit);
  if (type == advert_6) return parse_neighbour(ip, payload, Kind::neighbour_advert);
  if (type == router_advert_6) return parse_router_advert(ip, payload);
  message.kind = Kind::ignored;
  if (type == echo_6 && code == 0) {
    message.kind = Kind::echo_request;
    message.body = payload.subspan(4);
  } else if (type == unreachable_6 || type == too_big_6) {
    message.kind = type == too_big_6 ? Kind::too_big : Kind::unreachable;
    message.is_hard = code == 1 || code == 4;  // forbidden; no such port
    if (type == too_big_6) message.mtu = load_be<std::uint32_t>(payload.data() + 4);
    take_quoted_6(payload.subspan(icmp_header_bytes), message);
  }
  return message;
}

void store_neighbour_message(std::byte* to, const IpHeader& ip, const NeighbourMessage& message) {
  std::memset(to, 0, neighbour_message_bytes);
  to[0] = std::byte{message.is_advert ? advert_6 : solicit_6};
  if (message.is_advert) {
    to[4] = advert_override | (message.is_solicited ? advert_solicited : std::byte{0});
  }
  message.target.store_v6(to + 8);
  to[24] = std::byte{message.is_advert ? option_target_link : option_source_link};
  to[25] = std::byte{1};
  std::memcpy(to + 26, message.mac.bytes.data(), 6);
  ChecksumSum sum;
  sum.add_pseudo_header(ip.source, ip.destination, static_cast<std::uint8_t>(IpProtocol::icmp6),
                        neighbour_message_bytes);
  sum.add({to, neighbour_message_bytes});
  store_checksum(to + 2, sum.checksum());
}

IpAddress solicited_node(const IpAddress& target) {
  IpAddress group{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};
  std::memcpy(group.bytes.data() + 13, target.bytes.data() + 13, 3);
  return group;
}

MacAddress group_mac(const IpAddress& group) {
  MacAddress mac{{0x33, 0x33}};
  std::memcpy(mac.bytes.data() + 2, group.bytes.data() + 12, 4);
  return mac;
}

std::uint16_t echo_reply_checksum(std::uint16_t request_checksum, bool is_v4) {
  // ~C' = ~C + ~m + m', where m is the word of type and code.
  const auto word = [](std::uint8_t type) { return static_cast<std::uint16_t>(type << 8); };
  const std::uint16_t before = word(is_v4 ? echo_4 : echo_6);
  const std::uint16_t after = word(is_v4 ? echo_reply_4 : echo_reply_6);
  std::uint32_t sum = std::uint32_t{static_cast<std::uint16_t>(~request_checksum)} +
                      static_cast<std::uint16_t>(~before) + after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace tailrace::net
