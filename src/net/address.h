// Addresses of the link and of the network. An IPv4 address is held as ::ffff:a.b.c.d, so that
// every table and every connection knows both families from one type.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace tailrace::net {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};

  friend bool operator==(const MacAddress&, const MacAddress&) = default;
  bool is_group() const { return (bytes[0] & 1) != 0; }
  bool is_zero() const { return *this == MacAddress{}; }
};
inline constexpr MacAddress broadcast_mac{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};

  static IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    return {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}};
  }
  // The caller has checked that 4 (or 16) bytes are there. Written as two words, for it is soon
  // read as such, and a processor waits when what it reads was written in smaller pieces.
  static IpAddress load_v4(const std::byte* from) {
    std::uint32_t last;
    std::memcpy(&last, from, sizeof last);
    const std::array<std::uint64_t, 2> words = {0, v4_mark | std::uint64_t{last} << 32};
    IpAddress address;
    std::memcpy(address.bytes.data(), words.data(), sizeof words);
    return address;
  }
  static IpAddress load_v6(const std::byte* from) {
    IpAddress address;
    std::memcpy(address.bytes.data(), from, 16);
    return address;
  }
  void store_v4(std::byte* to) const { std::memcpy(to, bytes.data() + 12, 4); }
  void store_v6(std::byte* to) const { std::memcpy(to, bytes.data(), 16); }

  friend bool operator==(const IpAddress& a, const IpAddress& b) {
    return a.high() == b.high() && a.low() == b.low();
  }
  bool is_v4() const { return high() == 0 && (low() & 0xffff'ffffU) == v4_mark; }
  bool is_v6() const { return !is_v4(); }
  bool is_unspecified() const {
    return high() == 0 && (low() == 0 || low() == v4_mark);
  }
  bool is_multicast() const {
    return is_v4() ? (bytes[12] & 0xf0) == 0xe0 || low() == (~std::uint64_t{0} << 32 | v4_mark)
                   : bytes[0] == 0xff;
  }
  bool is_loopback() const { return is_v4() ? bytes[12] == 127 : high() == 0 && bytes[15] == 1; }
  bool is_link_local() const {
    return is_v4() ? bytes[12] == 169 && bytes[13] == 254
                   : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  }
  // A source that a reply may go to.
  bool is_peer() const { return !is_unspecified() && !is_multicast() && !is_loopback(); }

  // As two words in memory order, for comparing and hashing.
  std::uint64_t high() const { return word(0); }
  std::uint64_t low() const { return word(8); }

 private:
  // What ::ffff: is in the low word: its first four bytes, whichever way round they are loaded.
  static constexpr std::uint64_t v4_mark =
      std::endian::native == std::endian::little ? 0xffff'0000U : 0;
  std::uint64_t word(std::size_t at) const {
    std::uint64_t value;
    std::memcpy(&value, bytes.data() + at, 8);
    return value;
  }
};
static_assert(std::endian::native == std::endian::little);

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// What names a TCP connection.
struct Flow {
  Endpoint local;
  Endpoint remote;
  friend bool operator==(const Flow&, const Flow&) = default;
};

// True when the first `prefix_bits` of both are the same. Of an IPv4 address the prefix counts
// from its own first bit.
inline bool same_network(const IpAddress& a, const IpAddress& b, std::uint32_t prefix_bits) {
  if (a.is_v4() != b.is_v4()) return false;
  const auto differ = [](std::uint64_t x, std::uint64_t y, std::uint32_t bits) {
    if (bits == 0) return false;
    // The first bits of the text are the highest of the number the other way round.
    return __builtin_bswap64(x ^ y) >> (64 - std::min(bits, 64U)) != 0;
  };
  const std::uint32_t bits = std::min(prefix_bits + (a.is_v4() ? 96 : 0), 128U);
  return !differ(a.high(), b.high(), bits) &&
         (bits <= 64 || !differ(a.low(), b.low(), bits - 64));
}

}  // namespace tailrace::net
