#include "runtime/network_text.h"

#include <gtest/gtest.h>

#include "io/userstack/address_text.h"

namespace tailrace::runtime {
namespace {

TEST(NetworkText, AddressesWithTheirPrefixes) {
  std::vector<net::InterfaceAddress> addresses;
  ASSERT_TRUE(parse_addresses("10.78.0.1/24, fd00::1/64", addresses));
  ASSERT_EQ(addresses.size(), 2u);
  EXPECT_EQ(addresses[0].address, net::IpAddress::v4(10, 78, 0, 1));
  EXPECT_EQ(addresses[0].prefix_bits, 24);
  EXPECT_EQ(io::address_text(addresses[1].address).text(), "fd00::1");
  EXPECT_EQ(addresses[1].prefix_bits, 64);
  EXPECT_TRUE(parse_addresses("10.78.0.0/31", addresses)) << "two stations on a line";
  for (const char* wrong : {"", ",", "10.78.0.1", "10.78.0.1/33", "10.78.0.1/", "10.78.0.1/24,",
                            "host/24", "fd00::1/129", "10.78.0.1/-1", "127.0.0.1/8", "0.0.0.0/0",
                            "224.0.0.1/4", "10.78.0.1/24x", "10.78.0.0/24", "10.78.0.255/24"}) {
    EXPECT_FALSE(parse_addresses(wrong, addresses)) << wrong;
    EXPECT_EQ(is_addresses_or_empty(wrong), wrong[0] == '\0') << wrong;
  }
}

TEST(NetworkText, SingleAddresses) {
  net::IpAddress address;
  ASSERT_TRUE(parse_address("192.168.1.254", address));
  EXPECT_EQ(io::address_text(address).text(), "192.168.1.254");
  EXPECT_TRUE(is_address_or_empty(""));
  EXPECT_FALSE(is_address_or_empty("192.168.1"));
  EXPECT_FALSE(is_address_or_empty("gateway"));
}

TEST(NetworkText, LinkAddresses) {
  net::MacAddress mac;
  ASSERT_TRUE(parse_mac("02:54:0a:4E:00:01", mac));
  EXPECT_EQ(mac, (net::MacAddress{{0x02, 0x54, 0x0a, 0x4e, 0x00, 0x01}}));
  for (const char* wrong : {"02:54:0a:4e:00", "02-54-0a-4e-00-01", "02:54:0a:4e:00:0g",
                            "01:00:5e:00:00:01", "00:00:00:00:00:00", "02:54:0a:4e:00:01:"}) {
    EXPECT_FALSE(is_mac_or_empty(wrong)) << wrong;
  }
  EXPECT_TRUE(is_mac_or_empty(""));
}

}  // namespace
}  // namespace tailrace::runtime
