// Snappy's block format, written without allocating. The library's own compressor takes its
// working memory with operator new at each call, which a data core must not do.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace tailrace::record {

class SnappyBlockWriter {
 public:
  static constexpr std::size_t block_bytes_max = 32768;  // As Java's SnappyOutputStream cuts.
  // The most that compress() writes for `plain_bytes`.
  static constexpr std::size_t bound(std::size_t plain_bytes) {
    return 32 + plain_bytes + plain_bytes / 6;
  }

  // Compresses at most block_bytes_max into `to`, which has bound() bytes; returns the size.
  std::size_t compress(Bytes plain, std::byte* to);

 private:
  static constexpr int table_bits = 13;
  // Where a 4-byte sequence was last seen. A position left over from an earlier block is harmless:
  // only those before the current one count, and the bytes there are compared.
  std::array<std::uint16_t, std::size_t{1} << table_bits> last_seen_{};
};

}  // namespace tailrace::record
