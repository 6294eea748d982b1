#include "record/snappy_block.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/varint.h"

namespace tailrace::record {
namespace {

constexpr std::size_t match_bytes_min = 4;
constexpr std::size_t copy_bytes_max = 64;

std::uint32_t load_word(const std::byte* from) {
  std::uint32_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

// How many bytes at `a` and `b` are the same, up to `end` of the later one.
std::size_t common_bytes(const std::byte* a, const std::byte* b, const std::byte* end) {
  const std::byte* const start = b;
  while (b < end && *a == *b) {
    ++a;
    ++b;
  }
  return static_cast<std::size_t>(b - start);
}

std::byte* put_literal(std::byte* to, const std::byte* from, std::size_t size) {
  if (size == 0) return to;
  const std::size_t last = size - 1;
  if (last < 60) {
    *to++ = static_cast<std::byte>(last << 2);
  } else if (last < 256) {
    *to++ = static_cast<std::byte>(60 << 2);
    *to++ = static_cast<std::byte>(last);
  } else {
    *to++ = static_cast<std::byte>(61 << 2);
    *to++ = static_cast<std::byte>(last);
    *to++ = static_cast<std::byte>(last >> 8);
  }
  std::memcpy(to, from, size);
  return to + size;
}

// Copies with a two-byte offset only; the shorter form would save a byte now and then.
std::byte* put_copy(std::byte* to, std::size_t distance, std::size_t size) {
  while (size > 0) {
    const std::size_t step = std::min(size, copy_bytes_max);
    *to++ = static_cast<std::byte>(((step - 1) << 2) | 2);
    *to++ = static_cast<std::byte>(distance);
    *to++ = static_cast<std::byte>(distance >> 8);
    size -= step;
  }
  return to;
}

}  // namespace

std::size_t SnappyBlockWriter::compress(Bytes plain, std::byte* to) {
  TR_ASSERT(plain.size() <= block_bytes_max);
  std::byte* const to_start = to;
  to += store_uvarint(to, plain.size());

  const std::byte* const start = plain.data();
  const std::byte* const end = start + plain.size();
  const std::byte* literal = start;
  const std::byte* at = start;
  std::size_t misses = 32;  // After every 32 misses the step grows: incompressible data is skimmed.
  while (static_cast<std::size_t>(end - at) >= match_bytes_min) {
    const std::uint32_t word = load_word(at);
    std::uint16_t& seen = last_seen_[(word * 0x1e35a7bdU) >> (32 - table_bits)];
    const std::byte* candidate = start + seen;
    const auto position = static_cast<std::size_t>(at - start);
    const bool is_match = seen < position && load_word(candidate) == word;
    seen = static_cast<std::uint16_t>(position);
    if (!is_match) {
      at += std::min(misses++ >> 5, static_cast<std::size_t>(end - at));
      continue;
    }
    to = put_literal(to, literal, static_cast<std::size_t>(at - literal));
    const std::size_t size = common_bytes(candidate, at, end);
    to = put_copy(to, static_cast<std::size_t>(at - candidate), size);
    at += size;
    literal = at;
    misses = 32;
  }
  to = put_literal(to, literal, static_cast<std::size_t>(end - literal));
  const auto written = static_cast<std::size_t>(to - to_start);
  TR_ASSERT(written <= bound(plain.size()));
  return written;
}

}  // namespace tailrace::record
