// Variable-length integers, 7 bits a byte, low bits first. Kafka's protocol uses the unsigned
// form for lengths, its records the zigzag form.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace tailrace {

inline constexpr std::size_t varint_bytes_max = 10;

// Reads from the front of `bytes` and moves it past what was read.
// Errors: truncated; malformed if it does not fit 64 bits.
inline Result<std::uint64_t> take_uvarint(Bytes& bytes) {
  std::uint64_t value = 0;
  const std::size_t limit = bytes.size() < varint_bytes_max ? bytes.size() : varint_bytes_max;
  for (std::size_t i = 0; i < limit; ++i) {
    const auto byte = static_cast<std::uint64_t>(bytes[i]);
    if (i == 9 && byte > 1) return fail(Errc::malformed);
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.subspan(i + 1);
      return value;
    }
  }
  return fail(limit == varint_bytes_max ? Errc::malformed : Errc::truncated);
}

constexpr std::int64_t zigzag_decoded(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}
constexpr std::uint64_t zigzag_encoded(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

inline Result<std::int64_t> take_varint(Bytes& bytes) {
  const Result<std::uint64_t> raw = take_uvarint(bytes);
  if (!raw) return fail(raw.error());
  return zigzag_decoded(*raw);
}

constexpr std::size_t uvarint_size(std::uint64_t value) {
  std::size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

// The caller has checked that uvarint_size(value) bytes are there; returns that size.
inline std::size_t store_uvarint(std::byte* to, std::uint64_t value) {
  std::size_t size = 0;
  while (value >= 0x80) {
    to[size++] = static_cast<std::byte>(value | 0x80);
    value >>= 7;
  }
  to[size++] = static_cast<std::byte>(value);
  return size;
}

}  // namespace tailrace
