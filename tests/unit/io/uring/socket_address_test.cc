#include "io/uring/socket_address.h"

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

TEST(SocketAddress, RefusesEverythingElse) {
  for (const char* text : {"", "127.0.0.1", ":1", "localhost:1", "::1:1", "127.0.0.1:65536",
                           "127.0.0.1:", "127.0.0.1:1x", "[127.0.0.1]:1", "[]:1", "["}) {
    SocketAddress address;
    EXPECT_FALSE(address.parse(text)) << text;
  }
}

}  // namespace
}  // namespace tailrace::io
