#include "net/icmp.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "net/checksum.h"

namespace tailrace::net {
namespace {

using Kind = IcmpMessage::Kind;
const IpAddress ours{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const IpAddress theirs{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

std::vector<std::byte> message_of(std::initializer_list<int> head, std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::size_t at = 0;
  for (const int value : head) bytes[at++] = static_cast<std::byte>(value);
  store_checksum(bytes.data() + 2, checksum_of(bytes));
  return bytes;
}

TEST(icmp, knows_an_echo) {
  const auto bytes = message_of({8, 0, 0, 0, 1, 2, 3, 4}, 20);
  const IcmpMessage message = parse_icmp4(bytes, false);
  EXPECT_EQ(message.kind, Kind::echo_request);
  EXPECT_EQ(message.body.size(), 16U);
}

TEST(icmp, refuses_a_wrong_checksum) {
  auto bytes = message_of({8, 0, 0, 0, 1, 2, 3, 4}, 20);
  bytes[10] = std::byte{1};
  EXPECT_EQ(parse_icmp4(bytes, false).kind, Kind::malformed);
}

TEST(icmp, finds_the_flow_that_an_error_is_about) {
  std::vector<std::byte> bytes(8 + 28);
  bytes[0] = std::byte{3};
  bytes[1] = std::byte{4};
  store_be<std::uint16_t>(bytes.data() + 6, 1400);
  store_ip(bytes.data() + 8, {.source = IpAddress::v4(10, 0, 0, 1),
                              .destination = IpAddress::v4(10, 0, 0, 2)}, 1000);
  store_be<std::uint16_t>(bytes.data() + 28, 9092);
  store_be<std::uint16_t>(bytes.data() + 30, 40'000);
  store_be<std::uint32_t>(bytes.data() + 32, 77);
  store_checksum(bytes.data() + 2, checksum_of(bytes));
  const IcmpMessage message = parse_icmp4(bytes, false);
  EXPECT_EQ(message.kind, Kind::too_big);
  EXPECT_EQ(message.mtu, 1400U);
  ASSERT_TRUE(message.quoted);
  EXPECT_EQ(message.quoted->local, (Endpoint{IpAddress::v4(10, 0, 0, 1), 9092}));
  EXPECT_EQ(message.quoted->remote, (Endpoint{IpAddress::v4(10, 0, 0, 2), 40'000}));
  EXPECT_EQ(message.quoted_seq, Seq{77});
  EXPECT_FALSE(parse_icmp4(Bytes(bytes).first(35), true).quoted);
}

TEST(icmp, neighbour_messages_give_back_what_was_stored) {
  const IpHeader ip{.source = theirs, .destination = ours, .protocol = IpProtocol::icmp6,
                    .hop_limit = 255};
  std::array<std::byte, neighbour_message_bytes> bytes{};
  store_neighbour_message(bytes.data(), ip,
                          {.is_advert = true, .is_solicited = true, .target = theirs,
                           .mac = {{2, 0, 0, 0, 0, 2}}});
  const IcmpMessage message = parse_icmp6(ip, bytes, false);
  EXPECT_EQ(message.kind, Kind::neighbour_advert);
  EXPECT_EQ(message.target, theirs);
  EXPECT_TRUE(message.is_solicited);
  EXPECT_TRUE(message.is_override);
  EXPECT_EQ(message.link_address, (MacAddress{{2, 0, 0, 0, 0, 2}}));
}

// RFC 4861, 7.1.
TEST(icmp, refuses_neighbour_messages_from_afar_or_malformed) {
  IpHeader ip{.source = theirs, .destination = ours, .protocol = IpProtocol::icmp6,
              .hop_limit = 255};
  std::array<std::byte, neighbour_message_bytes> bytes{};
  store_neighbour_message(bytes.data(), ip, {.target = ours, .mac = {{2, 0, 0, 0, 0, 2}}});
  EXPECT_EQ(parse_icmp6(ip, bytes, true).kind, Kind::neighbour_solicit);
  ip.hop_limit = 254;
  EXPECT_EQ(parse_icmp6(ip, bytes, true).kind, Kind::malformed);
  ip.hop_limit = 255;
  bytes[25] = std::byte{0};   // An option without a length.
  EXPECT_EQ(parse_icmp6(ip, bytes, true).kind, Kind::malformed);
  bytes[25] = std::byte{1};
  ip.source = {};             // A search for a double must not name a link address.
  EXPECT_EQ(parse_icmp6(ip, bytes, true).kind, Kind::malformed);
}

TEST(icmp, groups_have_their_addresses) {
  const IpAddress target{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56}};
  EXPECT_EQ(solicited_node(target),
            (IpAddress{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x12, 0x34, 0x56}}));
  EXPECT_EQ(group_mac(solicited_node(target)), (MacAddress{{0x33, 0x33, 0xff, 0x12, 0x34, 0x56}}));
}

TEST(icmp, the_checksum_of_a_reply_follows_from_the_requests) {
  for (int seed = 0; seed < 300; ++seed) {
    const auto request = message_of({8, 0, 0, 0, seed, seed * 7, 3, 4}, 20);
    auto reply = request;
    reply[0] = std::byte{0};
    store_be<std::uint16_t>(reply.data() + 2, 0);
    const std::uint16_t expected = checksum_of(reply);
    const std::uint16_t got = echo_reply_checksum(load_be<std::uint16_t>(request.data() + 2), true);
    EXPECT_EQ(byte_swapped(got), expected);
  }
}

}  // namespace
}  // namespace tailrace::net
