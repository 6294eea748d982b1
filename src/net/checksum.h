// The Internet checksum (RFC 1071), over pieces of any length.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/frame.h"
#include "net/address.h"

namespace tailrace::net {

// Sums pieces one after the other as if they lay in one row.
class ChecksumSum {
 public:
  void add(Bytes bytes);
  // A number of the pseudo-header, in host order.
  void add_number(std::uint32_t number) { sum_ += byte_swapped(number); }
  // Four bytes as they lie in memory. Before odd pieces.
  void add_word(std::uint32_t word) { sum_ += word; }
  // Source, destination, length and protocol (RFC 9293, 3.1; RFC 8200, 8.1). Before odd pieces.
  void add_pseudo_header(const IpAddress& source, const IpAddress& destination,
                         std::uint8_t protocol, std::uint32_t length) {
    if (!source.is_v4()) {
      for (const std::uint64_t half : {source.high(), destination.high()}) {
        sum_ += (half & 0xffff'ffffU) + (half >> 32);
      }
      sum_ += (source.low() & 0xffff'ffffU) + (destination.low() & 0xffff'ffffU);
    }
    sum_ += (source.low() >> 32) + (destination.low() >> 32);
    add_number(length);
    add_number(protocol);
  }
  // The sum folded to 16 bits and not inverted, as it lies in memory.
  std::uint16_t folded() const {
    std::uint64_t sum = (sum_ & 0xffff'ffffU) + (sum_ >> 32);
    for (int i = 0; i < 3; ++i) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
  }
  // What goes into the header's field, as it lies in memory. Over a right packet it is zero.
  std::uint16_t checksum() const { return static_cast<std::uint16_t>(~folded()); }

 private:
  std::uint64_t sum_ = 0;
  bool is_odd_ = false;  // the pieces so far have an odd number of bytes
};

std::uint16_t checksum_of(Bytes bytes);

// Does in software what the device does not: the checksum over the transport header and payload.
// The frame is no longer than one segment.
void complete_checksum(TxFrame& frame);

inline void store_checksum(std::byte* to, std::uint16_t sum) { std::memcpy(to, &sum, 2); }

}  // namespace tailrace::net
