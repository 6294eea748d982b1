// CRC-32C (Castagnoli), the checksum of Kafka record batches and of our own disk formats.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace tailrace {

// Extends `crc` (0 at the start) over `bytes`: crc32c(b, crc32c(a)) == crc32c(ab).
std::uint32_t crc32c(Bytes bytes, std::uint32_t crc = 0);

// Copies `from` to `to` (same size, not overlapping) and returns the CRC of the bytes in one
// pass; the only copy of the ack path.
std::uint32_t copy_and_crc32c(std::byte* to, Bytes from, std::uint32_t crc = 0);

}  // namespace tailrace
