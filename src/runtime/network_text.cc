#include "runtime/network_text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace tailrace::runtime {
namespace {

// RFC 1122, 3.2.1.3; two stations on a line have neither of the others (RFC 3021).
bool is_station(const net::InterfaceAddress& own) {
  constexpr unsigned prefix_of_two = 31;
  if (own.address.is_v6() || own.prefix_bits >= prefix_of_two) return true;
  const std::uint32_t bits = std::uint32_t{own.address.bytes[12]} << 24 |
                             std::uint32_t{own.address.bytes[13]} << 16 |
                             std::uint32_t{own.address.bytes[14]} << 8 | own.address.bytes[15];
  const std::uint32_t mask = UINT32_MAX >> own.prefix_bits;
  return (bits & mask) != 0 && (bits & mask) != mask;
}

bool parse_with_prefix(std::string_view text, net::InterfaceAddress& address) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !parse_address(text.substr(0, slash), address.address)) {
    return false;
  }
  const std::string_view bits = text.substr(slash + 1);
  unsigned value = 0;
  const auto parsed = std::from_chars(bits.data(), bits.data() + bits.size(), value);
  const unsigned most = address.address.is_v4() ? 32 : 128;
  if (parsed.ec != std::errc{} || parsed.ptr != bits.data() + bits.size() || value > most) {
    return false;
  }
  address.prefix_bits = static_cast<std::uint8_t>(value);
  return address.address.is_peer() && is_station(address);
}

}  // namespace

bool parse_address(std::string_view text, net::IpAddress& address) {
  const std::string copy(text);
  std::array<std::byte, 16> bytes{};
  if (inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) {
    address = net::IpAddress::load_v4(bytes.data());
    return true;
  }
  if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) != 1) return false;
  address = net::IpAddress::load_v6(bytes.data());
  return true;
}

bool parse_addresses(std::string_view text, std::vector<net::InterfaceAddress>& addresses) {
  addresses.clear();
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
    net::InterfaceAddress address;
    if (!parse_with_prefix(one, address)) return false;
    addresses.push_back(address);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

bool parse_mac(std::string_view text, net::MacAddress& mac) {
  constexpr std::size_t text_bytes = 17;
  if (text.size() != text_bytes) return false;
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    const char* const first = text.data() + 3 * i;
    const auto parsed = std::from_chars(first, first + 2, mac.bytes[i], 16);
    if (parsed.ec != std::errc{} || parsed.ptr != first + 2) return false;
    if (i + 1 < mac.bytes.size() && first[2] != ':') return false;
  }
  return !mac.is_group() && !mac.is_zero();
}

bool is_addresses_or_empty(std::string_view text) {
  std::vector<net::InterfaceAddress> addresses;
  return text.empty() || parse_addresses(text, addresses);
}

bool is_address_or_empty(std::string_view text) {
  net::IpAddress address;
  return text.empty() || parse_address(text, address);
}

bool is_mac_or_empty(std::string_view text) {
  net::MacAddress mac;
  return text.empty() || parse_mac(text, mac);
}

}  // namespace tailrace::runtime
