#include "runtime/address.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

TEST(Address, SplitsAndJoinsBothFamilies) {
  for (const std::string text : {"127.0.0.1:9092", "[::1]:9092", "0.0.0.0:0"}) {
    HostPort address;
    std::string why;
    ASSERT_TRUE(split_address(text, address, why)) << why;
    EXPECT_EQ(join_address(address), text);
    sockaddr_storage socket_address{};
    socklen_t size = 0;
    EXPECT_TRUE(to_socket_address(address, socket_address, size));
  }
}

TEST(Address, SaysWhatIsWrong) {
  HostPort address;
  std::string why;
  EXPECT_FALSE(split_address("9092", address, why));
  EXPECT_EQ(why, "\"9092\" is not HOST:PORT");
  EXPECT_FALSE(split_address("::1:9092", address, why));
  EXPECT_NE(why.find("brackets"), std::string::npos);
  EXPECT_FALSE(split_address("localhost:70000", address, why));
  EXPECT_NE(why.find("70000"), std::string::npos);
  EXPECT_FALSE(split_address("localhost:9092x", address, why));
  EXPECT_FALSE(split_address("[::1]", address, why));
  EXPECT_EQ(why, "\"[::1]\": the port is missing, write [::1]:9092");
  EXPECT_FALSE(split_address(":29092", address, why));
  EXPECT_EQ(why, "\":29092\": the host is missing, write 127.0.0.1:29092 or, for every address of "
                 "this machine, 0.0.0.0:29092");
  EXPECT_FALSE(split_address("", address, why));
  EXPECT_FALSE(split_address("::1", address, why));
}

TEST(Address, ANameIsNotNumeric) {
  sockaddr_storage socket_address{};
  socklen_t size = 0;
  EXPECT_FALSE(to_socket_address({"localhost", 9092}, socket_address, size));
}

TEST(Address, ANameIsResolvedAndANumberIsLeft) {
  std::string why;
  HostPort name{"localhost", 9092};
  ASSERT_TRUE(resolve_host(name, why)) << why;
  EXPECT_EQ(join_address(name), "127.0.0.1:9092");
  HostPort number{"::1", 9092};
  ASSERT_TRUE(resolve_host(number, why)) << why;
  EXPECT_EQ(join_address(number), "[::1]:9092");
  HostPort nobody{"no such host", 9092};
  EXPECT_FALSE(resolve_host(nobody, why));
  EXPECT_NE(why.find("\"no such host:9092\": the host is not found"), std::string::npos) << why;
}

TEST(Address, AnAddressWithAZoneIsRefused) {
  std::string why;
  HostPort zoned{"fe80::1%lo", 9092};
  EXPECT_FALSE(resolve_host(zoned, why));
  EXPECT_NE(why.find("[fe80::1%lo]:9092"), std::string::npos) << why;
  EXPECT_EQ(zoned.host, "fe80::1%lo");
}

}  // namespace
}  // namespace tailrace::runtime
