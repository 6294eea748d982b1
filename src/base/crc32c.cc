#include "base/crc32c.h"

#include <isa-l.h>

#include <algorithm>
#include <cstring>

namespace tailrace {

std::uint32_t crc32c(Bytes bytes, std::uint32_t crc) {
  // crc32_iscsi takes a non-const pointer and an int length but only reads.
  constexpr std::size_t step_bytes_max = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const Bytes step = bytes.first(std::min(bytes.size(), step_bytes_max));
    auto* from = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(step.data()));
    crc = ~crc32_iscsi(from, static_cast<int>(step.size()), ~crc);
    bytes = bytes.subspan(step.size());
  }
  return crc;
}

std::uint32_t copy_and_crc32c(std::byte* to, Bytes from, std::uint32_t crc) {
  // Steps that stay in the first-level cache between the copy and the checksum.
  constexpr std::size_t step_bytes = 8192;
  while (!from.empty()) {
    const std::size_t size = std::min(from.size(), step_bytes);
    std::memcpy(to, from.data(), size);
    crc = crc32c({to, size}, crc);
    to += size;
    from = from.subspan(size);
  }
  return crc;
}

}  // namespace tailrace
