#include "net/ip.h"

#include <gtest/gtest.h>

#include <vector>

#include "net/checksum.h"

namespace tailrace::net {
namespace {

const IpAddress v6_a{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const IpAddress v6_b{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

std::vector<std::byte> packet_of(const IpHeader& header, std::size_t payload) {
  std::vector<std::byte> bytes(ip_bytes(header.source) + payload);
  store_ip(bytes.data(), header, payload);
  return bytes;
}

std::vector<std::byte> v4_packet() {
  return packet_of({.source = IpAddress::v4(10, 0, 0, 2),
                    .destination = IpAddress::v4(10, 0, 0, 1),
                    .ecn = Ecn::capable_0},
                   30);
}

TEST(ipv4, gives_back_what_was_stored) {
  std::vector<std::byte> bytes = v4_packet();
  bytes.resize(bytes.size() + 8);   // Ethernet pads.
  const IpPacket packet = parse_ipv4(bytes, false);
  ASSERT_TRUE(packet.is_good());
  EXPECT_EQ(packet.header.source, IpAddress::v4(10, 0, 0, 2));
  EXPECT_EQ(packet.header.destination, IpAddress::v4(10, 0, 0, 1));
  EXPECT_EQ(packet.header.protocol, IpProtocol::tcp);
  EXPECT_EQ(packet.header.ecn, Ecn::capable_0);
  EXPECT_EQ(packet.payload.size(), 30U);
}

// RFC 791, 3.1; each with its own counter.
TEST(ipv4, refuses_by_reason) {
  const auto changed = [](std::size_t at, int value) {
    auto bytes = v4_packet();
    bytes[at] = static_cast<std::byte>(value);
    return parse_ipv4(bytes, true).failure;
  };
  EXPECT_EQ(changed(0, 0x65), Count::drop_ip_header);
  EXPECT_EQ(changed(0, 0x44), Count::drop_ip_header);
  EXPECT_EQ(changed(0, 0x46), Count::drop_ip_options);
  EXPECT_EQ(changed(3, 19), Count::drop_ip_header);
  EXPECT_EQ(changed(3, 51), Count::drop_truncated);
  EXPECT_EQ(changed(6, 0x20), Count::drop_fragment);
  EXPECT_EQ(changed(7, 1), Count::drop_fragment);
  EXPECT_EQ(changed(12, 127), Count::drop_source);
  EXPECT_EQ(changed(12, 224), Count::drop_source);
  auto bytes = v4_packet();
  bytes[8] = std::byte{1};
  EXPECT_EQ(parse_ipv4(bytes, false).failure, Count::drop_ip_checksum);
  EXPECT_EQ(parse_ipv4(Bytes(bytes).first(19), true).failure, Count::drop_truncated);
}

TEST(ipv6, gives_back_what_was_stored) {
  const auto bytes = packet_of({.source = v6_a, .destination = v6_b, .ecn = Ecn::congested}, 30);
  const IpPacket packet = parse_ipv6(bytes);
  ASSERT_TRUE(packet.is_good());
  EXPECT_EQ(packet.header.source, v6_a);
  EXPECT_EQ(packet.header.destination, v6_b);
  EXPECT_EQ(packet.header.ecn, Ecn::congested);
  EXPECT_EQ(packet.payload.size(), 30U);
}

// RFC 8200, 4.
TEST(ipv6, passes_over_options_and_refuses_fragments) {
  auto bytes = packet_of({.source = v6_a, .destination = v6_b}, 30);
  bytes[6] = std::byte{60};
  bytes[40] = std::byte{6};
  EXPECT_TRUE(parse_ipv6(bytes).is_good());
  EXPECT_EQ(parse_ipv6(bytes).payload.size(), 22U);
  bytes[41] = std::byte{9};
  EXPECT_EQ(parse_ipv6(bytes).failure, Count::drop_truncated);
  bytes[6] = std::byte{44};
  EXPECT_EQ(parse_ipv6(bytes).failure, Count::drop_fragment);
  bytes[6] = std::byte{43};
  EXPECT_EQ(parse_ipv6(bytes).failure, Count::drop_ip_options);
}

TEST(ipv6, does_not_take_a_mapped_address_for_ipv4) {
  const auto bytes = packet_of({.source = v6_a, .destination = v6_b}, 30);
  auto mapped = bytes;
  IpAddress::v4(10, 0, 0, 2).store_v6(mapped.data() + 8);
  EXPECT_EQ(parse_ipv6(mapped).failure, Count::drop_source);
}

TEST(ip_address, knows_its_kind) {
  EXPECT_TRUE(IpAddress::v4(255, 255, 255, 255).is_multicast());
  EXPECT_TRUE(IpAddress::v4(0, 0, 0, 0).is_unspecified());
  EXPECT_TRUE(IpAddress{}.is_unspecified());
  EXPECT_TRUE(IpAddress{}.is_v6());
  EXPECT_TRUE(IpAddress::v4(169, 254, 1, 1).is_link_local());
  EXPECT_TRUE(same_network(IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 200), 24));
  EXPECT_FALSE(same_network(IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 1, 1), 24));
  EXPECT_TRUE(same_network(IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 1, 1), 23));
  EXPECT_FALSE(same_network(v6_a, IpAddress::v4(10, 0, 0, 1), 0));
}

}  // namespace
}  // namespace tailrace::net
