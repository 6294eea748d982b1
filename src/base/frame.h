// Frames between a packet device (io/packet_device.h) and a stack (net/stack.h), as plain data. No
// byte of payload is copied on the way.
//
// In: the device lends a frame to the stack, which gives it back by its token: at once (input()
// lists it as released), or with the data event that points into it, after which it is the
// application's to give back.
//
// Out: the headers are in the frame, the payload is a list of references into the memory that
// send() was given. Such a frame has a hold; the device says transmitted(hold) when it no longer
// reads the payload. Memory goes back to the application when it is acknowledged *and* no hold is
// left: a retransmission may still be in the device's queue when the acknowledgement arrives.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace tailrace {

struct RxFrame {
  Bytes bytes;
  std::uint64_t token = 0;
  // The device has verified the checksums of IP and TCP.
  bool checksum_good = false;
};

// Ethernet with a VLAN tag, IPv6, TCP with all its options.
inline constexpr std::size_t frame_header_bytes_max = 14 + 4 + 40 + 60;
inline constexpr std::size_t frame_slices_max = 16;
inline constexpr std::uint32_t no_hold = UINT32_MAX;

struct TxFrame {
  std::array<std::byte, 124> header;
  std::uint16_t header_bytes = 0;
  std::uint8_t link_bytes = 0;       // of header_bytes: Ethernet and VLAN
  std::uint8_t network_bytes = 0;    // ... then IP; the rest is TCP or ICMP
  // Where the transport checksum lies, counted from the end of the IP header; 0: there is none to
  // do. The field holds the sum of the pseudo-header, as devices that do the rest want it;
  // complete_checksum() (net/checksum.h) is for the others.
  std::uint8_t checksum_pos = 0;
  // Not 0: the payload is longer than a segment, and the device cuts it into pieces of this size.
  std::uint16_t segment_bytes = 0;
  std::uint8_t slice_count = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t hold = no_hold;
  std::array<Bytes, frame_slices_max> slices;

  // Of a frame with a TCP segment: over IPv6, else over IPv4.
  bool is_ipv6() const { return std::to_integer<unsigned>(header[link_bytes]) >> 4 == 6; }
  std::span<const Bytes> payload() const { return {slices.data(), slice_count}; }
  std::size_t size() const { return std::size_t{header_bytes} + payload_bytes; }
};
static_assert(sizeof(TxFrame::header) >= frame_header_bytes_max);

}  // namespace tailrace
