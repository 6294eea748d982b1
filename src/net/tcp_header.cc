#include "net/tcp_header.h"

#include <algorithm>

#include "base/assert.h"
#include "net/checksum.h"
#include "net/ip.h"

namespace tailrace::net {
namespace {

constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nop = 1;
constexpr std::uint8_t option_mss = 2;
constexpr std::uint8_t option_window_scale = 3;
constexpr std::uint8_t option_sack_permitted = 4;
constexpr std::uint8_t option_sack = 5;
constexpr std::uint8_t option_timestamp = 8;

// A known option with another length than its own is taken for an unknown one.
void take_option(std::uint8_t kind, Bytes body, TcpOptions& options) {
  const std::byte* at = body.data();
  if (kind == option_mss && body.size() == 2) {
    options.mss = load_be<std::uint16_t>(at);
  } else if (kind == option_window_scale && body.size() == 1) {
    options.window_scale = std::min(static_cast<std::uint8_t>(at[0]), window_scale_max);
  } else if (kind == option_sack_permitted && body.empty()) {
    options.sack_permitted = true;
  } else if (kind == option_timestamp && body.size() == 8) {
    options.has_timestamp = true;
    options.timestamp = load_be<std::uint32_t>(at);
    options.timestamp_echo = load_be<std::uint32_t>(at + 4);
  } else if (kind == option_sack && !body.empty() && body.size() % 8 == 0 &&
             body.size() / 8 <= sacks_max) {
    options.sack_count = static_cast<std::uint8_t>(body.size() / 8);
    for (std::size_t i = 0; i < options.sack_count; ++i) {
      options.sacks[i] = {{load_be<std::uint32_t>(at + i * 8)},
                          {load_be<std::uint32_t>(at + i * 8 + 4)}};
    }
  }
}

std::byte* store_option(std::byte* to, std::uint8_t kind, std::size_t size) {
  to[0] = std::byte{kind};
  to[1] = static_cast<std::byte>(size);
  return to + 2;
}

std::byte* store_nops(std::byte* to, int count) {
  for (int i = 0; i < count; ++i) *to++ = std::byte{option_nop};
  return to;
}

// In an order that keeps four-byte values on words.
std::byte* store_options(std::byte* to, const TcpOptions& options) {
  if (options.mss == 0 && !options.sack_permitted && options.sack_count == 0 &&
      options.window_scale == no_window_scale) {
    // Nearly all segments.
    if (!options.has_timestamp) return to;
    store_be(to, aligned_timestamp);
    store_be(to + 4, options.timestamp);
    store_be(to + 8, options.timestamp_echo);
    return to + 12;
  }
  if (options.mss != 0) {
    store_be(store_option(to, option_mss, 4), options.mss);
    to += 4;
  }
  if (options.sack_permitted) {
    to = store_option(options.has_timestamp ? to : store_nops(to, 2), option_sack_permitted, 2);
  }
  if (options.has_timestamp) {
    to = store_option(options.sack_permitted ? to : store_nops(to, 2), option_timestamp, 10);
    store_be(to, options.timestamp);
    store_be(to + 4, options.timestamp_echo);
    to += 8;
  }
  if (options.window_scale != no_window_scale) {
    to = store_option(store_nops(to, 1), option_window_scale, 3);
    *to++ = std::byte{options.window_scale};
  }
  if (options.sack_count > 0) {
    to = store_option(store_nops(to, 2), option_sack, 2 + std::size_t{options.sack_count} * 8);
    for (std::size_t i = 0; i < options.sack_count; ++i) {
      store_be(to, options.sacks[i].start.value);
      store_be(to + 4, options.sacks[i].end.value);
      to += 8;
    }
  }
  return to;
}

}  // namespace

bool read_tcp_options(Bytes bytes, TcpOptions& options) {
  while (!bytes.empty()) {
    const auto kind = static_cast<std::uint8_t>(bytes[0]);
    if (kind == option_end) return true;
    if (kind == option_nop) {
      bytes = bytes.subspan(1);
      continue;
    }
    if (bytes.size() < 2) return false;
    const auto size = static_cast<std::size_t>(bytes[1]);
    if (size < 2 || size > bytes.size()) return false;
    take_option(kind, bytes.subspan(2, size - 2), options);
    bytes = bytes.subspan(size);
  }
  return true;
}

TcpSegment parse_tcp(Bytes bytes) {
  TcpSegment segment;
  read_tcp(bytes, segment);
  return segment;
}

bool tcp_checksum_is_good(const IpAddress& source, const IpAddress& destination, Bytes bytes) {
  ChecksumSum sum;
  sum.add_pseudo_header(source, destination, static_cast<std::uint8_t>(IpProtocol::tcp),
                        static_cast<std::uint32_t>(bytes.size()));
  sum.add(bytes);
  return sum.checksum() == 0;
}

std::size_t store_tcp(std::byte* to, const TcpHeader& header, const IpAddress& source,
                      const IpAddress& destination, std::size_t payload_bytes) {
  const auto size =
      static_cast<std::size_t>(store_options(to + tcp_header_bytes, header.options) - to);
  TR_ASSERT(size % 4 == 0);
  TR_ASSERT(size <= 60);
  store_be(to, header.source_port);
  store_be(to + 2, header.destination_port);
  store_be(to + 4, header.seq.value);
  store_be(to + 8, header.ack.value);
  to[12] = static_cast<std::byte>(size / 4 << 4);
  to[13] = std::byte{header.flags};
  store_be(to + 14, header.window);
  store_be<std::uint16_t>(to + 18, 0);
  ChecksumSum sum;
  sum.add_pseudo_header(source, destination, static_cast<std::uint8_t>(IpProtocol::tcp),
                        static_cast<std::uint32_t>(size + payload_bytes));
  store_checksum(to + tcp_checksum_pos, sum.folded());
  return size;
}

}  // namespace tailrace::net
