#include "io/socket_address.h"

#include <gtest/gtest.h>

namespace tailrace::io {
namespace {

TEST(SocketAddress, ReadsAndWritesNumericAddresses) {
  for (const char* text : {"127.0.0.1:9092", "0.0.0.0:0", "[::1]:65535", "[::]:1"}) {
    SocketAddress address;
    ASSERT_TRUE(address.parse(text)) << text;
    EXPECT_EQ(address.text(), text);
  }
}

TEST(SocketAddress, TellsTheHostAlone) {
  SocketAddress address;
  EXPECT_EQ(address.host(), "?");
  ASSERT_TRUE(address.parse("10.1.2.3:9092"));
  EXPECT_EQ(address.host(), "10.1.2.3");
  ASSERT_TRUE(address.parse("[fd00::1]:9092"));
  EXPECT_EQ(address.host(), "fd00::1");
  ASSERT_TRUE(address.parse("[::ffff:10.1.2.3]:9092"));
  EXPECT_EQ(address.host(), "10.1.2.3") << "IPv4 through a socket of both kinds";
}

TEST(SocketAddress, RefusesEverythingElse) {
  for (const char* text : {"", "127.0.0.1", ":1", "localhost:1", "::1:1", "127.0.0.1:65536",
                           "127.0.0.1:", "127.0.0.1:1x", "[127.0.0.1]:1", "[]:1", "["}) {
    SocketAddress address;
    EXPECT_FALSE(address.parse(text)) << text;
  }
}

}  // namespace
}  // namespace tailrace::io
