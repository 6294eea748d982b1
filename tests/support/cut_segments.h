// What a device does with a frame of the stack: makes segments of a super-segment, and completes
// the checksum. For tests, where no device does it.
#pragma once

#include <vector>

#include "base/assert.h"
#include "net/checksum.h"
#include "base/frame.h"
#include "net/tcp_header.h"

namespace tailrace {

// One frame as it lies on the wire.
inline std::vector<std::byte> flat_frame(TxFrame frame) {
  net::complete_checksum(frame);
  std::vector<std::byte> bytes(frame.header.begin(), frame.header.begin() + frame.header_bytes);
  for (const Bytes slice : frame.payload()) bytes.insert(bytes.end(), slice.begin(), slice.end());
  return bytes;
}

// Calls sink(bytes) for each piece.
template <class Sink>
void cut_segments(const TxFrame& frame, Sink&& sink) {
  if (frame.segment_bytes == 0) return sink(flat_frame(frame));
  std::vector<std::byte> payload;
  for (const Bytes slice : frame.payload()) {
    payload.insert(payload.end(), slice.begin(), slice.end());
  }
  TR_ASSERT(payload.size() == frame.payload_bytes);
  const std::size_t tcp_at = std::size_t{frame.link_bytes} + frame.network_bytes;
  const std::size_t tcp_bytes = frame.header_bytes - tcp_at;
  const bool is_v4 = !frame.is_ipv6();
  for (std::size_t at = 0; at < payload.size(); at += frame.segment_bytes) {
    const std::size_t size = std::min<std::size_t>(frame.segment_bytes, payload.size() - at);
    const bool is_last = at + size == payload.size();
    TxFrame piece = frame;
    piece.segment_bytes = 0;
    piece.slice_count = 1;
    piece.slices[0] = Bytes(payload).subspan(at, size);
    piece.payload_bytes = static_cast<std::uint32_t>(size);
    std::byte* ip = piece.header.data() + piece.link_bytes;
    std::byte* tcp = piece.header.data() + tcp_at;
    store_be(tcp + 4, load_be<std::uint32_t>(tcp + 4) + static_cast<std::uint32_t>(at));
    auto flags = static_cast<std::uint8_t>(tcp[13]);
    if (!is_last) flags &= static_cast<std::uint8_t>(~(net::tcp_flag::fin | net::tcp_flag::psh));
    if (at > 0) flags &= static_cast<std::uint8_t>(~net::tcp_flag::cwr);
    tcp[13] = std::byte{flags};
    const auto length = static_cast<std::uint16_t>(tcp_bytes + size);
    if (is_v4) {
      store_be(ip + 2, static_cast<std::uint16_t>(20 + length));
      store_be<std::uint16_t>(ip + 10, 0);
      net::store_checksum(ip + 10, net::checksum_of({ip, 20}));
    } else {
      store_be(ip + 4, length);
    }
    const auto address = [&](std::size_t v4_at, std::size_t v6_at) {
      return is_v4 ? net::IpAddress::load_v4(ip + v4_at) : net::IpAddress::load_v6(ip + v6_at);
    };
    net::ChecksumSum sum;
    sum.add_pseudo_header(address(12, 8), address(16, 24), 6, length);
    net::store_checksum(tcp + net::tcp_checksum_pos, sum.folded());
    sink(flat_frame(piece));
  }
}

}  // namespace tailrace
