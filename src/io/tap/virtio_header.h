// What stands before each frame that a tap device gives or takes, in the host's byte order (virtio
// 1.1, 5.1.6). The kernel's own header for it (linux/virtio_net.h) is not C++.
#pragma once

#include <cstdint>

#include "base/frame.h"

namespace tailrace::io {

struct VirtioHeader {
  static constexpr std::uint8_t needs_checksum = 1;   // flags: the sum from checksum_start is to do
  static constexpr std::uint8_t checksum_valid = 2;
  static constexpr std::uint8_t gso_tcp_v4 = 1;       // gso_type
  static constexpr std::uint8_t gso_tcp_v6 = 4;

  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_bytes = 0;
  std::uint16_t gso_bytes = 0;       // of a segment
  std::uint16_t checksum_start = 0;  // counted from the frame's beginning
  std::uint16_t checksum_pos = 0;    // counted from there

  bool is_checksum_good() const { return (flags & (needs_checksum | checksum_valid)) != 0; }
};
static_assert(sizeof(VirtioHeader) == 10);

// What the kernel is to do with a frame of ours.
VirtioHeader virtio_header_of(const TxFrame& frame);

}  // namespace tailrace::io
