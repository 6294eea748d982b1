// Fixed little-endian loads and stores, for our own disk formats. (Kafka's wire and batches are
// big-endian: base/bytes.h.)
#pragma once

#include <bit>
#include <concepts>

#include "base/bytes.h"

namespace tailrace::log {

// The caller has checked that sizeof(T) bytes are there.
template <std::integral T>
T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return std::endian::native == std::endian::little ? value : byte_swapped(value);
}

template <std::integral T>
void store_le(std::byte* to, T value) {
  if constexpr (std::endian::native != std::endian::little) value = byte_swapped(value);
  std::memcpy(to, &value, sizeof(T));
}

}  // namespace tailrace::log
