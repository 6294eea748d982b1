// Blocks of a capture file (draft-ietf-opsawg-pcapng), in this machine's byte order, which the
// first block tells. Each function appends one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "io/capture/capture_ring.h"

namespace tailrace::io {

// 4.1: first in a file.
void append_section_header(std::string& file, std::string_view application);
// 4.2: the interfaces are numbered in the order of their blocks, from 0. Times of their frames are
// in nanoseconds.
void append_interface(std::string& file, std::string_view name, std::uint32_t snap_bytes);
// 4.3. `bytes` is what was kept of it.
void append_packet(std::string& file, std::uint32_t interface, const CapturedFrame& about,
                   Bytes bytes);
// 4.6: last of an interface.
struct InterfaceStatistics {
  std::uint32_t interface = 0;
  std::int64_t began_ns = 0;       // since 1970
  std::int64_t ended_ns = 0;
  std::uint64_t received = 0;      // frames that passed meanwhile, in both directions
  std::uint64_t dropped = 0;       // of them for want of room
};
void append_statistics(std::string& file, const InterfaceStatistics& statistics);

}  // namespace tailrace::io
