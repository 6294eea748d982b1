// 16-byte identifiers (topics, clusters, directories). Random ones are version 4 (RFC 9562);
// the text form is Kafka's: base64url without padding, 22 characters.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/prng.h"
#include "base/result.h"

namespace tailrace {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  // All zeros means "none" on Kafka's wire.
  bool is_zero() const { return *this == Uuid{}; }
};

inline Uuid random_uuid(Prng& prng) {
  Uuid id;
  for (std::size_t i = 0; i < 16; i += 8) {
    const std::uint64_t word = prng.next();
    std::memcpy(id.bytes.data() + i, &word, 8);
  }
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

inline constexpr std::string_view base64url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// 22 characters.
inline std::array<char, 22> to_text(const Uuid& id) {
  std::array<char, 22> text{};
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::size_t out = 0;
  for (const std::uint8_t byte : id.bytes) {
    bits = (bits << 8) | byte;
    bit_count += 8;
    while (bit_count >= 6) {
      bit_count -= 6;
      text[out++] = base64url_alphabet[(bits >> bit_count) & 63];
    }
  }
  text[out] = base64url_alphabet[(bits << (6 - bit_count)) & 63];
  return text;
}

inline std::string to_string(const Uuid& id) {
  const auto text = to_text(id);
  return {text.data(), text.size()};
}

// Errors: malformed if the text is not 22 characters of the alphabet.
inline Result<Uuid> uuid_from_text(std::string_view text) {
  if (text.size() != 22) return fail(Errc::malformed);
  Uuid id;
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::size_t out = 0;
  for (const char c : text) {
    const std::size_t value = base64url_alphabet.find(c);
    if (value == std::string_view::npos) return fail(Errc::malformed);
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    bit_count += 6;
    if (bit_count >= 8 && out < 16) {
      bit_count -= 8;
      id.bytes[out++] = static_cast<std::uint8_t>(bits >> bit_count);
    }
  }
  return id;
}

}  // namespace tailrace

template <>
struct std::hash<tailrace::Uuid> {
  std::size_t operator()(const tailrace::Uuid& id) const noexcept {
    std::uint64_t word;
    std::memcpy(&word, id.bytes.data(), 8);
    return word;
  }
};
