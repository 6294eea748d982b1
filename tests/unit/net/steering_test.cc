#include "net/steering.h"

#include <gtest/gtest.h>

#include <array>

#include "../../support/steered_frames.h"

namespace tailrace::net {
namespace {

using Kind = FrameOwner::Kind;
using test::arp_frame_of;
using test::segment_frame_of;

const IpAddress own = IpAddress::v4(10, 0, 0, 1);
const IpAddress peer = IpAddress::v4(10, 0, 0, 2);
const IpAddress own_v6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const IpAddress peer_v6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
constexpr FrameOwner first{Kind::one, 0};
constexpr FrameOwner everyone{Kind::everyone, 0};
constexpr FrameOwner anyone{};

Flow flow_to(std::uint16_t remote_port, bool is_v6 = false) {
  return {{is_v6 ? own_v6 : own, 9092}, {is_v6 ? peer_v6 : peer, remote_port}};
}

Flow flow_of_core(const Steering& steering, std::uint16_t core, bool is_v6 = false) {
  for (std::uint16_t port = 40'000;; ++port) {
    if (steering.core_of(flow_to(port, is_v6)) == core) return flow_to(port, is_v6);
  }
}

// "Verifying the RSS Hash Calculation" of the specification.
TEST(Steering, HashesAsTheSpecificationsExamples) {
  struct Example {
    Endpoint destination;
    Endpoint source;
    std::uint32_t hash;
  };
  const std::array<Example, 8> examples = {{
      {{IpAddress::v4(161, 142, 100, 80), 1766}, {IpAddress::v4(66, 9, 149, 187), 2794},
       0x51ccc178},
      {{IpAddress::v4(65, 69, 140, 83), 4739}, {IpAddress::v4(199, 92, 111, 2), 14230},
       0xc626b0ea},
      {{IpAddress::v4(12, 22, 207, 184), 38024}, {IpAddress::v4(24, 19, 198, 95), 12898},
       0x5c2b394a},
      {{IpAddress::v4(209, 142, 163, 6), 2217}, {IpAddress::v4(38, 27, 205, 30), 48228},
       0xafc7327f},
      {{IpAddress::v4(202, 188, 127, 2), 1303}, {IpAddress::v4(153, 39, 163, 191), 44251},
       0x10e828a2},
      {{{{0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1}}, 1766},
       {{{0x3f, 0xfe, 0x25, 0x01, 0x02, 0, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7}}, 2794},
       0x40207d3d},
      {{{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 4739},
       {{{0x3f, 0xfe, 5, 1, 0, 8, 0, 0, 2, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef, 0xab}}, 14230},
       0xdde51bbf},
      {{{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf}}, 38024},
       {{{0x3f, 0xfe, 0x19, 0, 0x45, 0x45, 0, 3, 2, 0, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf}}, 44251},
       0x02d1feef},
  }};
  const Steering steering(4);
  for (const Example& example : examples) {
    EXPECT_EQ(steering.hash_of({example.destination, example.source}), example.hash)
        << std::hex << example.hash;
  }
}

TEST(Steering, AnotherKeyIsAnotherHash) {
  RssKey key = rss_key_default;
  key[2] ^= 1;
  EXPECT_NE(Steering(4, key).hash_of(flow_to(1)), Steering(4).hash_of(flow_to(1)));
  EXPECT_EQ(Steering(4, key).key(), key);
}

TEST(Steering, EveryCoreHasItsShareOfFlows) {
  for (const int count : {1, 2, 3, 4, 64}) {
    const auto cores = static_cast<std::uint16_t>(count);
    const Steering steering(cores);
    std::vector<int> flows(cores);
    for (std::uint16_t port = 10'000; port < 26'000; ++port) {
      ++flows.at(steering.core_of(flow_to(port)));
    }
    for (const int those : flows) EXPECT_GT(those, 16'000 / cores / 2) << cores;
  }
}

TEST(Steering, ASegmentBelongsToTheCoreOfItsFlow) {
  const Steering steering(3);
  for (std::uint16_t port = 1000; port < 1100; ++port) {
    for (const bool is_v6 : {false, true}) {
      const Flow flow = flow_to(port, is_v6);
      const FrameOwner owner{Kind::one, steering.core_of(flow)};
      EXPECT_EQ(steering.owner_of(segment_frame_of(flow)), owner);
      EXPECT_EQ(steering.owner_of(segment_frame_of(flow, 1, 7)), owner) << "with a VLAN tag";
    }
  }
}

TEST(Steering, OptionsOfIpv6AreReadOver) {
  const Steering steering(2);
  const Flow flow = flow_of_core(steering, 1, true);
  std::vector<std::byte> frame = segment_frame_of(flow);
  // Eight bytes of destination options before TCP.
  constexpr std::size_t at = ethernet_bytes + ipv6_bytes;
  const std::array<std::byte, 8> options = {std::byte{6}, {}, std::byte{1}, std::byte{4}};
  frame.insert(frame.begin() + at, options.begin(), options.end());
  frame[ethernet_bytes + 6] = std::byte{60};
  frame[ethernet_bytes + 5] = std::byte{tcp_header_bytes + 8};
  EXPECT_EQ(steering.owner_of(frame), (FrameOwner{Kind::one, 1}));
}

// Who asks is about to connect: a core that first had to ask back would have its peers wait.
TEST(Steering, ArpIsForAll) {
  const Steering steering(2);
  const MacAddress mac = test::frame_peer_mac;
  using Operation = ArpPacket::Operation;
  EXPECT_EQ(steering.owner_of(arp_frame_of({Operation::request, mac, peer, {}, own})), everyone);
  EXPECT_EQ(steering.owner_of(arp_frame_of({Operation::reply, mac, peer, {}, own})), everyone);
  EXPECT_EQ(steering.owner_of(arp_frame_of({Operation::request, mac, peer, {}, peer})), everyone);
  EXPECT_EQ(steering.owner_of(arp_frame_of({Operation{9}, mac, peer, {}, own})), anyone);
}

TEST(Steering, NeighboursAndRoutersOfIpv6AreHeardByAll) {
  const Steering steering(2);
  IpHeader ip{.source = peer_v6, .destination = own_v6, .protocol = IpProtocol::icmp6,
              .hop_limit = 255};
  std::vector<std::byte> message(neighbour_message_bytes);
  store_neighbour_message(message.data(), ip, {.target = own_v6, .mac = test::frame_peer_mac});
  EXPECT_EQ(steering.owner_of(test::ip_frame(ip, message)), everyone);
  store_neighbour_message(message.data(), ip,
                          {.is_advert = true, .is_solicited = true, .target = peer_v6,
                           .mac = test::frame_peer_mac});
  EXPECT_EQ(steering.owner_of(test::ip_frame(ip, message)), everyone);
  ip.source = {{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}};
  std::vector<std::byte> router(16);
  router[0] = std::byte{134};
  EXPECT_EQ(steering.owner_of(test::ip_frame(ip, router)), everyone);
}

TEST(Steering, AnEchoIsAnsweredByOne) {
  const Steering steering(2);
  std::vector<std::byte> echo(16);
  echo[0] = std::byte{8};
  EXPECT_EQ(steering.owner_of(test::ip_frame({.source = peer, .destination = own,
                                              .protocol = IpProtocol::icmp}, echo)), first);
  echo[0] = std::byte{128};
  EXPECT_EQ(steering.owner_of(test::ip_frame({.source = peer_v6, .destination = own_v6,
                                              .protocol = IpProtocol::icmp6}, echo)), first);
}

// Only the core of the connection can tell whether to believe it, and only it has to act.
TEST(Steering, AnErrorGoesToTheCoreOfTheConnectionItIsAbout) {
  const Steering steering(4);
  const IpAddress router = IpAddress::v4(10, 0, 0, 254);
  const IpAddress router_v6{{0xfd, 9}};
  for (std::uint16_t core = 0; core < 4; ++core) {
    const FrameOwner owner{Kind::one, core};
    const Flow flow = flow_of_core(steering, core);
    EXPECT_EQ(steering.owner_of(test::error_frame(flow, router, 3)), owner);
    const Flow flow_v6 = flow_of_core(steering, core, true);
    EXPECT_EQ(steering.owner_of(test::error_frame(flow_v6, router_v6, 2)), owner) << "too big";
    EXPECT_EQ(steering.owner_of(test::error_frame(flow_v6, router_v6, 1)), owner);
  }
}

TEST(Steering, WhatNoStackTakesStaysWhereItIs) {
  const Steering steering(2);
  EXPECT_EQ(steering.owner_of({}), anyone);
  std::vector<std::byte> frame = segment_frame_of(flow_of_core(steering, 1));
  for (std::size_t size = 0; size < frame.size(); ++size) {
    EXPECT_EQ(steering.owner_of(Bytes(frame).first(size)), anyone) << size;
  }
  std::vector<std::byte> fragment = frame;
  fragment[ethernet_bytes + 6] = std::byte{0x20};
  EXPECT_EQ(steering.owner_of(fragment), anyone);
  std::vector<std::byte> options = frame;
  options[ethernet_bytes] = std::byte{0x46};
  EXPECT_EQ(steering.owner_of(options), anyone);
  std::vector<std::byte> datagram = frame;
  datagram[ethernet_bytes + 9] = std::byte{17};
  EXPECT_EQ(steering.owner_of(datagram), anyone);
  // An error that quotes no TCP, and a redirect, which no stack follows.
  std::vector<std::byte> message(16);
  message[0] = std::byte{3};
  const IpHeader ip{.source = peer, .destination = own, .protocol = IpProtocol::icmp};
  EXPECT_EQ(steering.owner_of(test::ip_frame(ip, message)), anyone);
  message[0] = std::byte{5};
  EXPECT_EQ(steering.owner_of(test::ip_frame(ip, message)), anyone);
}

}  // namespace
}  // namespace tailrace::net
