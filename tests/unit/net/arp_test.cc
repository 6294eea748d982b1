#include "net/arp.h"

#include <gtest/gtest.h>

#include <array>

namespace tailrace::net {
namespace {

const ArpPacket example{ArpPacket::Operation::reply, {{2, 0, 0, 0, 0, 1}},
                        IpAddress::v4(10, 0, 0, 1), {{2, 0, 0, 0, 0, 2}},
                        IpAddress::v4(10, 0, 0, 2)};

TEST(arp, gives_back_what_was_stored) {
  std::array<std::byte, arp_bytes> bytes{};
  store_arp(bytes.data(), example);
  const auto parsed = parse_arp(bytes);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->operation, example.operation);
  EXPECT_EQ(parsed->sender_mac, example.sender_mac);
  EXPECT_EQ(parsed->sender, example.sender);
  EXPECT_EQ(parsed->target_mac, example.target_mac);
  EXPECT_EQ(parsed->target, example.target);
}

TEST(arp, refuses_what_is_not_ethernet_and_ipv4) {
  std::array<std::byte, arp_bytes> bytes{};
  store_arp(bytes.data(), example);
  EXPECT_FALSE(parse_arp(Bytes(bytes).first(arp_bytes - 1)));
  for (const std::size_t at : {1U, 2U, 4U, 5U, 7U}) {
    auto wrong = bytes;
    wrong[at] = std::byte{77};
    EXPECT_FALSE(parse_arp(wrong)) << at;
  }
}

TEST(arp, refuses_senders_that_can_not_be_one) {
  std::array<std::byte, arp_bytes> bytes{};
  ArpPacket packet = example;
  packet.sender_mac = broadcast_mac;
  store_arp(bytes.data(), packet);
  EXPECT_FALSE(parse_arp(bytes));
  packet = example;
  packet.sender = IpAddress::v4(224, 0, 0, 1);
  store_arp(bytes.data(), packet);
  EXPECT_FALSE(parse_arp(bytes));
}

TEST(arp, takes_a_probe_which_has_no_address_yet) {
  std::array<std::byte, arp_bytes> bytes{};
  ArpPacket packet = example;
  packet.sender = IpAddress::v4(0, 0, 0, 0);
  store_arp(bytes.data(), packet);
  EXPECT_TRUE(parse_arp(bytes));
}

}  // namespace
}  // namespace tailrace::net
