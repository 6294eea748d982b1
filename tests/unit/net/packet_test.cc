#include "net/packet.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "net/checksum.h"
#include "net/ethernet.h"

namespace tailrace::net {
namespace {

const IpAddress own = IpAddress::v4(10, 0, 0, 1);
const IpAddress second = IpAddress::v4(10, 0, 0, 9);
const IpAddress peer = IpAddress::v4(10, 0, 0, 2);
constexpr MacAddress own_mac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress peer_mac{{2, 0, 0, 0, 0, 2}};
constexpr std::size_t ip_at = ethernet_bytes;
constexpr std::size_t tcp_at = ip_at + ipv4_bytes;

Interface interface_of_two() {
  Interface interface;
  interface.mac = own_mac;
  interface.addresses = {{own, 24}, {second, 24}};
  return interface;
}

// What a peer sends all day: some bytes with a timestamp.
std::vector<std::byte> data_frame(const IpAddress& source = peer, const IpAddress& to = own) {
  TcpHeader header{.source_port = 40'000, .destination_port = 9092, .seq = {5}, .ack = {6},
                   .flags = tcp_flag::ack | tcp_flag::psh, .window = 500};
  header.options.has_timestamp = true;
  header.options.timestamp = 77;
  std::vector<std::byte> frame(tcp_at + 60);
  store_ethernet(frame.data(), {own_mac, peer_mac, no_vlan, EtherType::ipv4});
  const std::size_t tcp_bytes = store_tcp(frame.data() + tcp_at, header, source, to, 4);
  store_ip(frame.data() + ip_at, {.source = source, .destination = to, .ecn = Ecn::congested},
           tcp_bytes + 4);
  frame.resize(tcp_at + tcp_bytes + 4);
  const std::uint16_t sum = checksum_of(Bytes(frame).subspan(tcp_at));
  std::memcpy(frame.data() + tcp_at + tcp_checksum_pos, &sum, sizeof sum);
  return frame;
}

struct Outcome {
  bool is_plain = false;
  Count failure = Count::frames_in;
  Packet::Kind kind = Packet::Kind::dropped;
};

Outcome outcome_of(const std::vector<std::byte>& bytes, const Interface& interface,
                   bool checksum_good = false) {
  const RxFrame frame{.bytes = bytes, .token = 3, .checksum_good = checksum_good};
  Outcome outcome;
  Packet packet;
  outcome.is_plain = parse_plain(frame, interface, packet);
  outcome.failure = parse_packet(frame, interface, packet);
  outcome.kind = packet.kind;
  return outcome;
}

TEST(Packet, TheUsualFrameIsPlain) {
  const std::vector<std::byte> bytes = data_frame();
  const RxFrame frame{.bytes = bytes, .token = 3};
  for (const bool shortcut : {true, false}) {
    Packet packet;
    if (shortcut) {
      ASSERT_TRUE(parse_plain(frame, interface_of_two(), packet));
    } else {
      ASSERT_EQ(parse_packet(frame, interface_of_two(), packet), Count::frames_in);
    }
    EXPECT_EQ(packet.kind, Packet::Kind::tcp);
    EXPECT_EQ(packet.token, 3u);
    EXPECT_EQ(packet.flow, (Flow{{own, 9092}, {peer, 40'000}}));
    EXPECT_EQ(packet.ip.ecn, Ecn::congested);
    EXPECT_EQ(packet.segment.header.window, 500);
    EXPECT_EQ(packet.segment.header.options.timestamp, 77u);
    EXPECT_EQ(packet.segment.payload.size(), 4u);
  }
}

TEST(Packet, EthernetsPaddingIsNoData) {
  std::vector<std::byte> bytes = data_frame();
  bytes.resize(bytes.size() + 10);
  EXPECT_TRUE(outcome_of(bytes, interface_of_two()).is_plain);
  Packet packet;
  EXPECT_TRUE(parse_plain({.bytes = bytes}, interface_of_two(), packet));
  EXPECT_EQ(packet.segment.payload.size(), 4u);
}

// What the shortcut does not take and the parser does.
TEST(Packet, TheRareKindsAreLookedAtCloser) {
  const Outcome to_second = outcome_of(data_frame(peer, second), interface_of_two());
  EXPECT_FALSE(to_second.is_plain);
  EXPECT_EQ(to_second.kind, Packet::Kind::tcp);

  Interface tagged = interface_of_two();
  tagged.vlan = 7;
  std::vector<std::byte> bytes = data_frame();
  EXPECT_FALSE(outcome_of(bytes, tagged).is_plain);
  EXPECT_EQ(outcome_of(bytes, tagged).failure, Count::drop_vlan);
  const std::byte tag[] = {std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{7}};
  bytes.insert(bytes.begin() + 12, std::begin(tag), std::end(tag));
  EXPECT_EQ(outcome_of(bytes, tagged).kind, Packet::Kind::tcp);
  EXPECT_EQ(outcome_of(bytes, interface_of_two()).failure, Count::drop_vlan);
}

// Each reason to drop a frame is one for both; its sum is right unless it is the reason.
TEST(Packet, WhatIsDroppedIsNotPlain) {
  using Frame = std::vector<std::byte>;
  struct Case {
    const char* name;
    std::function<void(Frame&)> spoil;
    Count failure;
  };
  const auto set = [](std::size_t at, int value) {
    return [=](Frame& frame) { frame[at] = static_cast<std::byte>(value); };
  };
  const Case cases[] = {
      {"cut within Ethernet", [](Frame& f) { f.resize(10); }, Count::drop_truncated},
      {"cut within IP", [](Frame& f) { f.resize(ip_at + 19); }, Count::drop_truncated},
      {"cut within the payload", [](Frame& f) { f.pop_back(); }, Count::drop_truncated},
      {"to another station", set(5, 9), Count::drop_not_ours},
      {"to all stations", set(0, 3), Count::drop_not_ours},
      {"another protocol of Ethernet", set(12, 9), Count::drop_protocol},
      {"another version", set(ip_at, 0x55), Count::drop_ip_header},
      {"options of IP", set(ip_at, 0x46), Count::drop_ip_options},
      {"shorter than its header", [](Frame& f) { f[ip_at + 2] = f[ip_at + 3] = {}; },
       Count::drop_ip_header},
      {"a fragment", set(ip_at + 6, 0x20), Count::drop_fragment},
      {"a later fragment", set(ip_at + 7, 1), Count::drop_fragment},
      {"another protocol of IP", set(ip_at + 9, 17), Count::drop_protocol},
      {"from many", set(ip_at + 12, 224), Count::drop_source},
      {"from ourselves", set(ip_at + 15, 1), Count::drop_source},
      {"from our second address", set(ip_at + 15, 9), Count::drop_source},
      {"to another host", set(ip_at + 19, 7), Count::drop_not_ours},
      {"a header of TCP that is too short", set(tcp_at + 12, 0x40), Count::drop_tcp_header},
      {"... or longer than the segment", set(tcp_at + 12, 0xf0), Count::drop_tcp_header},
      {"an option shorter than its length", set(tcp_at + 23, 1), Count::drop_tcp_options},
  };
  for (const Case& one : cases) {
    std::vector<std::byte> bytes = data_frame();
    one.spoil(bytes);
    const Outcome outcome = outcome_of(bytes, interface_of_two(), true);
    EXPECT_FALSE(outcome.is_plain) << one.name;
    EXPECT_EQ(outcome.kind, Packet::Kind::dropped) << one.name;
    EXPECT_EQ(outcome.failure, one.failure) << one.name << ": " << to_string(outcome.failure);
  }
}

TEST(Packet, SumsAreLookedAtUnlessTheDeviceDid) {
  for (const auto& [at, failure] : {std::pair{ip_at + 8, Count::drop_ip_checksum},
                                    std::pair{tcp_at + 15, Count::drop_tcp_checksum}}) {
    std::vector<std::byte> bytes = data_frame();
    bytes[at] ^= std::byte{1};
    const Outcome outcome = outcome_of(bytes, interface_of_two());
    EXPECT_FALSE(outcome.is_plain);
    EXPECT_EQ(outcome.failure, failure);
    EXPECT_TRUE(outcome_of(bytes, interface_of_two(), true).is_plain);
  }
}

TEST(Packet, WithoutAddressesNothingIsOurs) {
  Interface interface;
  interface.mac = own_mac;
  const Outcome outcome = outcome_of(data_frame(), interface);
  EXPECT_FALSE(outcome.is_plain);
  EXPECT_EQ(outcome.failure, Count::drop_not_ours);
}

}  // namespace
}  // namespace tailrace::net
