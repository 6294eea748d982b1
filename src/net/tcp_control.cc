// Segments that belong to no connection: resets, the ACKs of TIME-WAIT, and (for tcp_listen.cc)
// SYN-ACKs. They take a place in the control queue, or are not sent.
#include "base/assert.h"
#include "net/tcp.h"

namespace tailrace::net {

void push_control_segment(Tcp& tcp, const ControlSegment& segment) {
  const IpAddress* hop = tcp.next_hop(segment.flow.remote.address);
  if (hop == nullptr) return tcp.count(Count::drop_no_route);
  const std::uint32_t index = tcp.control.take();
  if (index == none) return tcp.count(Count::drop_control_full);
  ControlFrame& frame = tcp.control[index];
  TcpHeader header = segment.header;
  header.source_port = segment.flow.local.port;
  header.destination_port = segment.flow.remote.port;
  const IpHeader ip{.source = segment.flow.local.address,
                    .destination = segment.flow.remote.address,
                    .ecn = segment.ecn};
  const std::size_t network_bytes = ip_bytes(ip.source);
  const std::size_t tcp_bytes =
      store_tcp(frame.data.data() + network_bytes, header, ip.source, ip.destination, 0);
  store_ip(frame.data.data(), ip, tcp_bytes);
  frame.type = ip.source.is_v4() ? EtherType::ipv4 : EtherType::ipv6;
  frame.destination = *hop;
  frame.network_bytes = static_cast<std::uint8_t>(network_bytes);
  frame.data_bytes = static_cast<std::uint8_t>(network_bytes + tcp_bytes);
  frame.checksum_pos = tcp_checksum_pos;
  tcp.control.push(index);
  tcp.count(Count::segments_out);
}

void push_reset_for(Tcp& tcp, const Flow& flow, const TcpSegment& segment) {
  const TcpHeader& header = segment.header;
  if (header.has(tcp_flag::rst) || !tcp.take_rate(tcp.resets_left)) return;
  ControlSegment reset{.flow = flow};
  if (header.has(tcp_flag::ack)) {
    reset.header.seq = header.ack;
    reset.header.flags = tcp_flag::rst;
  } else {
    reset.header.ack = segment.end();
    reset.header.flags = tcp_flag::rst | tcp_flag::ack;
  }
  tcp.count(Count::resets_out);
  push_control_segment(tcp, reset);
}

void push_time_wait_ack(Tcp& tcp, TimeWait& entry) {
  ControlSegment ack{.flow = entry.flow};
  ack.header.seq = entry.send_next;
  ack.header.ack = entry.receive_next;
  ack.header.flags = tcp_flag::ack;
  ack.header.window = entry.window;
  if (entry.uses_timestamps) {
    ack.header.options.has_timestamp = true;
    ack.header.options.timestamp = tcp.clock_ms() + entry.timestamp_offset;
    ack.header.options.timestamp_echo = entry.timestamp_recent;
  }
  entry.answered_at = tcp.now;
  push_control_segment(tcp, ack);
}

}  // namespace tailrace::net
