#include "net/ethernet.h"

#include <gtest/gtest.h>

#include <array>

namespace tailrace::net {
namespace {

TEST(ethernet, gives_back_what_was_stored) {
  for (const std::uint16_t vlan : {no_vlan, std::uint16_t{1}, std::uint16_t{4094}}) {
    std::array<std::byte, 64> frame{};
    const EthernetHeader header{{{1, 2, 3, 4, 5, 6}}, {{7, 8, 9, 10, 11, 12}}, vlan,
                                EtherType::ipv6};
    const std::size_t size = store_ethernet(frame.data(), header);
    EXPECT_EQ(size, vlan == no_vlan ? 14U : 18U);
    const auto parsed = parse_ethernet(frame);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->header.destination, header.destination);
    EXPECT_EQ(parsed->header.source, header.source);
    EXPECT_EQ(parsed->header.vlan, vlan);
    EXPECT_EQ(parsed->header.type, EtherType::ipv6);
    EXPECT_EQ(parsed->payload.size(), frame.size() - size);
  }
}

TEST(ethernet, refuses_what_is_cut_off) {
  std::array<std::byte, 64> frame{};
  store_ethernet(frame.data(), {{}, {}, 5, EtherType::ipv4});
  for (std::size_t size = 0; size < 18; ++size) {
    EXPECT_FALSE(parse_ethernet(Bytes(frame).first(size))) << size;
  }
  EXPECT_TRUE(parse_ethernet(Bytes(frame).first(18)));
}

TEST(ethernet, a_tag_with_a_priority_alone_is_no_vlan) {
  std::array<std::byte, 64> frame{};
  store_ethernet(frame.data(), {{}, {}, 1, EtherType::ipv4});
  store_be<std::uint16_t>(frame.data() + 14, 0xe000);
  EXPECT_EQ(parse_ethernet(frame)->header.vlan, no_vlan);
}

}  // namespace
}  // namespace tailrace::net
