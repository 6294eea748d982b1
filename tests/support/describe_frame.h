// A frame in one line, as the packet scripts write them, for messages of failing tests.
#pragma once

#include <fmt/format.h>

#include <string>

#include "net/ethernet.h"
#include "net/ip.h"
#include "net/tcp_header.h"

namespace tailrace {

inline std::string describe_flags(std::uint8_t flags) {
  constexpr std::string_view letters = "FSRP.UEW";
  std::string text;
  for (int i = 0; i < 8; ++i) {
    if ((flags >> i & 1) != 0) text += letters[static_cast<std::size_t>(i)];
  }
  return text.empty() ? "-" : text;
}

// Sequence numbers less `seq_base`, acknowledgements less `ack_base`.
inline std::string describe_segment(const net::TcpSegment& segment, std::uint32_t seq_base = 0,
                                    std::uint32_t ack_base = 0) {
  const net::TcpHeader& header = segment.header;
  const std::uint32_t seq = header.seq.value - seq_base;
  std::string text = fmt::format("{} {}:{}({})", describe_flags(header.flags), seq,
                                 seq + segment.payload.size(), segment.payload.size());
  if (header.has(net::tcp_flag::ack)) text += fmt::format(" ack {}", header.ack.value - ack_base);
  text += fmt::format(" win {}", header.window);
  const net::TcpOptions& options = header.options;
  if (options.mss != 0) text += fmt::format(" mss {}", options.mss);
  if (options.window_scale != net::no_window_scale) {
    text += fmt::format(" ws {}", options.window_scale);
  }
  if (options.sack_permitted) text += " sackok";
  for (std::size_t i = 0; i < options.sack_count; ++i) {
    text += fmt::format(" sack {}:{}", options.sacks[i].start.value - ack_base,
                        options.sacks[i].end.value - ack_base);
  }
  if (options.has_timestamp) {
    text += fmt::format(" ts {}:{}", options.timestamp, options.timestamp_echo);
  }
  return text;
}

inline std::string describe_frame(Bytes frame) {
  const Result<net::EthernetFrame> ethernet = net::parse_ethernet(frame);
  if (!ethernet) return "short";
  if (ethernet->header.type == net::EtherType::arp) return "arp";
  const net::IpPacket ip = ethernet->header.type == net::EtherType::ipv4
                               ? net::parse_ipv4(ethernet->payload, true)
                               : net::parse_ipv6(ethernet->payload);
  if (!ip.is_good()) return net::to_string(ip.failure);
  if (ip.header.protocol != net::IpProtocol::tcp) {
    return fmt::format("protocol {}", static_cast<int>(ip.header.protocol));
  }
  const net::TcpSegment segment = net::parse_tcp(ip.payload);
  return segment.is_good() ? describe_segment(segment) : net::to_string(segment.failure);
}

}  // namespace tailrace
