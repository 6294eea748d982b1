// Any bytes as a TCP header: refused, or understood; and what was understood is stored and
// understood again the same.
#include "../support/fuzz_target.h"
#include "net/tcp_header.h"

using namespace tailrace;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = fuzz::input_bytes(data, size);
  const net::TcpSegment segment = net::parse_tcp(input);
  if (!segment.is_good()) return 0;
  TR_ASSERT(segment.payload.size() <= input.size() - net::tcp_header_bytes);
  net::TcpHeader header = segment.header;
  TR_ASSERT(header.options.sack_count <= net::sacks_max);
  // All options at once do not fit beside four blocks; no peer of ours sends such.
  if (header.options.sack_count > 0) {
    header.options.mss = 0;
    header.options.sack_permitted = false;
    header.options.window_scale = net::no_window_scale;
    if (header.options.has_timestamp && header.options.sack_count == net::sacks_max) return 0;
  }
  std::byte stored[60];
  const net::IpAddress address = net::IpAddress::v4(10, 0, 0, 1);
  const std::size_t stored_bytes = net::store_tcp(stored, header, address, address, 0);
  const net::TcpSegment again = net::parse_tcp({stored, stored_bytes});
  TR_ASSERT(again.is_good());
  TR_ASSERT(again.header.seq == header.seq);
  TR_ASSERT(again.header.ack == header.ack);
  TR_ASSERT(again.header.flags == header.flags);
  TR_ASSERT(again.header.options.mss == header.options.mss);
  TR_ASSERT(again.header.options.window_scale == header.options.window_scale);
  TR_ASSERT(again.header.options.sack_permitted == header.options.sack_permitted);
  TR_ASSERT(again.header.options.has_timestamp == header.options.has_timestamp);
  TR_ASSERT(again.header.options.sack_count == header.options.sack_count);
  for (std::size_t i = 0; i < header.options.sack_count; ++i) {
    TR_ASSERT(again.header.options.sacks[i] == header.options.sacks[i]);
  }
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (int set = 0; set < 8; ++set) {
    net::TcpHeader header{.flags = net::tcp_flag::ack};
    header.options.has_timestamp = (set & 1) != 0;
    if ((set & 2) != 0) {
      header.options.sack_count = 2;
    } else {
      header.options.mss = 1460;
      header.options.sack_permitted = true;
    }
    if ((set & 4) != 0 && (set & 2) == 0) header.options.window_scale = 7;
    std::byte stored[60];
    const net::IpAddress address = net::IpAddress::v4(10, 0, 0, 1);
    const std::size_t size = net::store_tcp(stored, header, address, address, 0);
    seeds.emplace_back(reinterpret_cast<const char*>(stored), size);
  }
  return seeds;
}
