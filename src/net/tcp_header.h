// The header of a TCP segment (RFC 9293, 3.1) and its options: MSS, window scale and timestamps
// (RFC 7323), SACK (RFC 2018).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "net/address.h"
#include "net/counters.h"
#include "net/seq.h"

namespace tailrace::net {

namespace tcp_flag {
inline constexpr std::uint8_t fin = 0x01;
inline constexpr std::uint8_t syn = 0x02;
inline constexpr std::uint8_t rst = 0x04;
inline constexpr std::uint8_t psh = 0x08;
inline constexpr std::uint8_t ack = 0x10;
inline constexpr std::uint8_t urg = 0x20;
inline constexpr std::uint8_t ece = 0x40;
inline constexpr std::uint8_t cwr = 0x80;
}  // namespace tcp_flag

inline constexpr std::size_t tcp_header_bytes = 20;
inline constexpr std::size_t sacks_max = 4;
inline constexpr std::uint8_t window_scale_max = 14;  // RFC 7323, 2.3
inline constexpr std::uint8_t no_window_scale = 0xff;
// Two NOPs, kind 8, length 10: how every stack writes timestamps, so that they lie on words.
inline constexpr std::uint32_t aligned_timestamp = 0x0101'080a;

struct TcpOptions {
  std::uint16_t mss = 0;                            // 0: none
  std::uint8_t window_scale = no_window_scale;
  bool sack_permitted = false;
  bool has_timestamp = false;
  std::uint8_t sack_count = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t timestamp_echo = 0;
  std::array<SeqRange, sacks_max> sacks;
};

struct TcpHeader {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  Seq seq;
  Seq ack;
  std::uint8_t flags = 0;
  std::uint16_t window = 0;                         // as on the wire
  TcpOptions options;

  bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

// A received segment. `failure` other than frames_in: why it is none.
struct TcpSegment {
  TcpHeader header;
  Bytes payload;
  Count failure = Count::frames_in;

  bool is_good() const { return failure == Count::frames_in; }
  // The sequence space it takes: SYN and FIN count as one each.
  std::uint32_t length() const {
    return static_cast<std::uint32_t>(payload.size()) + (header.has(tcp_flag::syn) ? 1 : 0) +
           (header.has(tcp_flag::fin) ? 1 : 0);
  }
  Seq end() const { return header.seq + length(); }
};

// Unknown options are passed over; one whose length can't be makes the segment bad (RFC 9293,
// MUST-7). Of a repeated option the last counts. The checksum is not looked at.
// Adds to `options` what is in `bytes`; false for a length that cannot be.
bool read_tcp_options(Bytes bytes, TcpOptions& options);
TcpSegment parse_tcp(Bytes bytes);
// The same into what the caller has; `failure` tells whether it is one.
inline void read_tcp(Bytes bytes, TcpSegment& segment) {
  segment.failure = Count::drop_tcp_header;
  if (bytes.size() < tcp_header_bytes) return;
  const std::byte* at = bytes.data();
  const std::size_t header_bytes = static_cast<std::size_t>(at[12] >> 4) * 4;
  if (header_bytes < tcp_header_bytes || header_bytes > bytes.size()) return;
  TcpHeader& header = segment.header;
  header.source_port = load_be<std::uint16_t>(at);
  header.destination_port = load_be<std::uint16_t>(at + 2);
  header.seq = {load_be<std::uint32_t>(at + 4)};
  header.ack = {load_be<std::uint32_t>(at + 8)};
  header.flags = static_cast<std::uint8_t>(at[13]);
  header.window = load_be<std::uint16_t>(at + 14);
  TcpOptions& options = header.options;
  options.mss = 0;
  options.window_scale = no_window_scale;
  options.sack_permitted = false;
  options.has_timestamp = false;
  options.sack_count = 0;
  const std::byte* from = at + tcp_header_bytes;
  const std::size_t options_bytes = header_bytes - tcp_header_bytes;
  if (options_bytes == 12 && load_be<std::uint32_t>(from) == aligned_timestamp) {
    options.has_timestamp = true;
    options.timestamp = load_be<std::uint32_t>(from + 4);
    options.timestamp_echo = load_be<std::uint32_t>(from + 8);
  } else if (options_bytes > 0 && !read_tcp_options({from, options_bytes}, options)) {
    segment.failure = Count::drop_tcp_options;
    return;
  }
  segment.payload = bytes.subspan(header_bytes);
  segment.failure = Count::frames_in;
}
bool tcp_checksum_is_good(const IpAddress& source, const IpAddress& destination, Bytes bytes);

// Writes header and options, padded to words, with the sum of the pseudo-header over them and
// `payload_bytes` in the checksum field; returns the size.
std::size_t store_tcp(std::byte* to, const TcpHeader& header, const IpAddress& source,
                      const IpAddress& destination, std::size_t payload_bytes);
inline constexpr std::uint8_t tcp_checksum_pos = 16;

}  // namespace tailrace::net
