// A hostile peer: segments near the numbers that matter, mixed with what the application does and
// with time. After every step the stack's sums are right; at the end all memory is back.
#include "../support/fuzz_target.h"
#include "../support/net_fuzz_host.h"

namespace {

using namespace tailrace;

// What the stack last said, so that an input can aim.
std::uint32_t seen_seq;   // of ours: the next number
std::uint32_t seen_ack;   // of theirs: what we expect

void look(const TxFrame& frame) {
  const std::size_t at = std::size_t{frame.link_bytes} + frame.network_bytes;
  if (frame.network_bytes == 0 || frame.header_bytes < at + net::tcp_header_bytes) return;
  const Bytes header = Bytes(frame.header).subspan(at, frame.header_bytes - at);
  const net::TcpSegment segment = net::parse_tcp(header);
  if (!segment.is_good() || frame.checksum_pos != net::tcp_checksum_pos) return;
  seen_seq = segment.end().value + frame.payload_bytes;
  if (segment.header.has(net::tcp_flag::ack)) seen_ack = segment.header.ack.value;
}

// A small distance, or now and then a large one.
std::uint32_t distance(Bytes& input) {
  const auto choice = static_cast<std::int8_t>(fuzz::take_choice(input));
  const std::int32_t scale = (choice & 3) == 3 ? 700 : 1;
  return static_cast<std::uint32_t>((choice >> 2) * scale);
}

void segment(fuzz::NetHost& host, Bytes& input) {
  static const std::vector<std::byte> payload(2000);
  const std::uint8_t flags = fuzz::take_choice(input);
  const std::uint8_t options = fuzz::take_choice(input);
  net::TcpHeader header{.destination_port = fuzz::own_port, .flags = flags};
  header.seq = {seen_ack + distance(input)};
  header.ack = {seen_seq + distance(input)};
  header.window = static_cast<std::uint16_t>(fuzz::take_choice(input) * 257);
  if ((options & 1) != 0) {
    header.options.has_timestamp = true;
    header.options.timestamp = 1000 + fuzz::take_choice(input);
  }
  if ((flags & net::tcp_flag::syn) != 0) {
    header.options.mss = static_cast<std::uint16_t>(fuzz::take_choice(input) * 8);
    header.options.sack_permitted = (options & 2) != 0;
    if ((options & 4) != 0) header.options.window_scale = options >> 4;
  } else {
    header.options.sack_count = (options >> 1) & 3;
    for (std::size_t i = 0; i < header.options.sack_count; ++i) {
      header.options.sacks[i] = {{seen_seq + distance(input)}, {seen_seq + distance(input)}};
    }
  }
  const std::size_t size = std::size_t{fuzz::take_choice(input)} * 7;
  host.give(fuzz::segment_frame((options & 8) != 0, header, Bytes(payload).first(size)), true);
}

void application(fuzz::NetHost& host, Bytes& input) {
  static const std::vector<std::byte> memory(5000);
  const std::uint8_t choice = fuzz::take_choice(input);
  const ConnId conn = host.conns.empty() ? 0 : *host.conns.begin();
  const Bytes slice = Bytes(memory).first(std::size_t{fuzz::take_choice(input)} * 19);
  switch (choice % 6) {
    case 0:
    case 1: host.stack().send(conn, {&slice, 1}, 1); break;
    case 2: host.stack().pause(conn); break;
    case 3: host.stack().resume(conn); break;
    case 4: choice > 200 ? host.stack().close(conn) : host.stack().shutdown(conn); break;
    case 5: {
      const ConnId made = choice > 200
                              ? host.stack().connect({fuzz::peer_v4, fuzz::peer_port}, 0, host.now)
                              : 0;
      if (made != 0) host.conns.insert(made);
      break;
    }
  }
  host.turn();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  fuzz::NetHost host;
  host.on_frame = look;
  seen_seq = seen_ack = 0xffff'fff0;
  for (int steps = 0; !input.empty() && steps < 1000; ++steps) {
    const std::uint8_t choice = fuzz::take_choice(input);
    if (choice < 160) {
      segment(host, input);
    } else if (choice < 210) {
      application(host, input);
    } else {
      host.now = host.now + milliseconds(1 << (choice % 16));
      host.turn();
    }
  }
  host.finish();
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  // A handshake, data both ways, an end.
  const std::string syn("\x00\x02\x02\x00\x00\xff\xb0\x00", 8);
  const std::string ack("\x00\x10\x00\x04\x00\xff\x00", 7);
  const std::string more("\x00\x10\x00\x00\x00\xff\x20", 7);
  const std::string send("\xa0\x00\x40", 3);
  const std::string fin("\x00\x11\x00\x00\x00\xff\x00", 7);
  const std::string later("\xd8", 1);
  return {syn + ack + more + send + later + more + fin + later, syn + ack + send + later + later};
}
