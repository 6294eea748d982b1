// SipHash-2-4 with 128 bits of result (Aumasson, Bernstein): a keyed hash that takes the place of
// the bytes themselves where two of them must not be taken for one.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace tailrace {

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

using SipKey = std::array<std::uint8_t, 16>;
Hash128 sip_hash_128(const SipKey& key, Bytes bytes);

}  // namespace tailrace
