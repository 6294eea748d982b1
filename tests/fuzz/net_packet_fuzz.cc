// The shortcut of the parser and the parser, on the same frame: they must come to the same, and the
// shortcut must take what it was made for.
#include "../support/fuzz_target.h"
#include "../support/net_fuzz_host.h"
#include "net/packet.h"

namespace {

using namespace tailrace;

const net::IpAddress other_v4 = net::IpAddress::v4(10, 0, 0, 3);

net::Interface interface_of(std::uint8_t choice) {
  net::Interface interface;
  interface.mac = fuzz::own_mac;
  interface.vlan = (choice & 1) != 0 ? 7 : net::no_vlan;
  if ((choice & 2) != 0) interface.addresses.push_back({other_v4, 24});
  if ((choice & 4) != 0) interface.addresses.push_back({fuzz::own_v6, 64});
  if ((choice & 8) == 0) interface.addresses.push_back({fuzz::own_v4, 24});
  return interface;
}

// Most changes of a frame spoil a sum, and nothing is looked at behind that.
void mend_sums(std::vector<std::byte>& frame) {
  if (frame.size() < net::ethernet_bytes + net::ipv4_bytes) return;
  std::byte* ip = frame.data() + net::ethernet_bytes;
  const auto version = std::to_integer<unsigned>(ip[0]) >> 4;
  std::size_t ip_bytes = net::ipv6_bytes;
  std::size_t end = frame.size();
  net::IpHeader header;
  if (version == 4) {
    ip_bytes = net::ipv4_bytes;
    store_be<std::uint16_t>(ip + 10, 0);
    net::store_checksum(ip + 10, net::checksum_of({ip, net::ipv4_bytes}));
    end = std::min<std::size_t>(end, net::ethernet_bytes + load_be<std::uint16_t>(ip + 2));
    header = {.source = net::IpAddress::load_v4(ip + 12),
              .destination = net::IpAddress::load_v4(ip + 16)};
  } else if (frame.size() >= net::ethernet_bytes + net::ipv6_bytes) {
    header = {.source = net::IpAddress::load_v6(ip + 8),
              .destination = net::IpAddress::load_v6(ip + 24)};
  }
  const std::size_t at = net::ethernet_bytes + ip_bytes;
  if (end < at + net::tcp_header_bytes) return;
  const MutableBytes segment(frame.data() + at, end - at);
  std::byte* sum = segment.data() + net::tcp_checksum_pos;
  store_be<std::uint16_t>(sum, 0);
  net::ChecksumSum all;
  all.add_pseudo_header(header.source, header.destination, 6,
                        static_cast<std::uint32_t>(segment.size()));
  all.add(segment);
  net::store_checksum(sum, all.checksum());
}

void demand_the_same(const net::TcpHeader& a, const net::TcpHeader& b) {
  TR_ASSERT(a.source_port == b.source_port);
  TR_ASSERT(a.destination_port == b.destination_port);
  TR_ASSERT(a.seq == b.seq);
  TR_ASSERT(a.ack == b.ack);
  TR_ASSERT(a.flags == b.flags);
  TR_ASSERT(a.window == b.window);
  TR_ASSERT(a.options.mss == b.options.mss);
  TR_ASSERT(a.options.window_scale == b.options.window_scale);
  TR_ASSERT(a.options.sack_permitted == b.options.sack_permitted);
  TR_ASSERT(a.options.has_timestamp == b.options.has_timestamp);
  if (a.options.has_timestamp) {
    TR_ASSERT(a.options.timestamp == b.options.timestamp);
    TR_ASSERT(a.options.timestamp_echo == b.options.timestamp_echo);
  }
  TR_ASSERT(a.options.sack_count == b.options.sack_count);
  for (std::size_t i = 0; i < a.options.sack_count; ++i) {
    TR_ASSERT(a.options.sacks[i] == b.options.sacks[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes input = fuzz::input_bytes(data, size);
  const std::uint8_t choice = fuzz::take_choice(input);
  const net::Interface interface = interface_of(choice);
  std::vector<std::byte> bytes(input.begin(), input.end());
  if ((choice & 0x10) != 0) mend_sums(bytes);
  const RxFrame frame{.bytes = bytes, .token = 9, .checksum_good = (choice & 0x20) != 0};

  net::Packet plain;
  net::Packet general;
  const bool is_plain = net::parse_plain(frame, interface, plain);
  const net::Count failure = net::parse_packet(frame, interface, general);
  TR_ASSERT((failure == net::Count::frames_in) == (general.kind != net::Packet::Kind::dropped));
  TR_ASSERT(general.token == frame.token);
  const bool is_made_for = general.kind == net::Packet::Kind::tcp &&
                           interface.vlan == net::no_vlan && general.ip.source.is_v4() &&
                           general.flow.local.address == interface.addresses[0].address &&
                           load_be<std::uint16_t>(bytes.data() + 12) == 0x0800;
  TR_ASSERT(is_plain == is_made_for);
  if (!is_plain) return 0;
  TR_ASSERT(plain.kind == general.kind);
  TR_ASSERT(plain.token == general.token);
  TR_ASSERT(plain.flow == general.flow);
  TR_ASSERT(plain.ip.ecn == general.ip.ecn);
  TR_ASSERT(plain.segment.failure == general.segment.failure);
  TR_ASSERT(plain.segment.payload.data() == general.segment.payload.data());
  TR_ASSERT(plain.segment.payload.size() == general.segment.payload.size());
  demand_the_same(plain.segment.header, general.segment.header);
  return 0;
}

std::vector<std::string> tailrace::fuzz::seeds() {
  std::vector<std::string> seeds;
  for (const bool is_v6 : {false, true}) {
    for (const bool has_data : {false, true}) {
      net::TcpHeader header{.destination_port = own_port, .seq = {1}, .ack = {7},
                            .flags = has_data ? net::tcp_flag::ack : net::tcp_flag::syn,
                            .window = 1000};
      header.options.has_timestamp = true;
      header.options.mss = has_data ? 0 : 1400;
      header.options.sack_count = has_data ? 1 : 0;
      const std::byte payload[8] = {};
      const auto frame = segment_frame(is_v6, header, has_data ? Bytes(payload) : Bytes());
      const std::string text(reinterpret_cast<const char*>(frame.data()), frame.size());
      for (const char choice : {'\x10', '\x14', '\x20', '\x21', '\x22'}) {
        seeds.push_back(choice + text);
      }
      // The same with a tag.
      std::string tagged = text;
      tagged.insert(12, std::string("\x81\x00\x00\x07", 4));
      seeds.push_back('\x21' + tagged);
    }
  }
  return seeds;
}
