// Byte spans and fixed-endian loads and stores. Kafka's wire is big-endian (store_be); our own
// disk formats are little-endian structs.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tailrace {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <std::integral T>
constexpr T byte_swapped(T value) {
  if constexpr (sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return T(__builtin_bswap16(std::uint16_t(value)));
  if constexpr (sizeof(T) == 4) return T(__builtin_bswap32(std::uint32_t(value)));
  if constexpr (sizeof(T) == 8) return T(__builtin_bswap64(std::uint64_t(value)));
}

// The caller has checked that sizeof(T) bytes are there.
template <std::integral T>
T load_be(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return std::endian::native == std::endian::little ? byte_swapped(value) : value;
}

template <std::integral T>
void store_be(std::byte* to, T value) {
  if constexpr (std::endian::native == std::endian::little) value = byte_swapped(value);
  std::memcpy(to, &value, sizeof(T));
}

}  // namespace tailrace
