// The order of the checks is in scripts/states.txt; here are those between two of our own.
#include <gtest/gtest.h>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

TEST(tcp_input, both_may_open_at_once) {
  NetPair pair;
  Stack& a = *pair.ends[0].stack;
  Stack& b = *pair.ends[1].stack;
  // Each to the other's port; the SYNs cross.
  pair.ends[0].conn = a.connect({NetPair::address(1), 2000}, 1000, pair.now);
  pair.ends[1].conn = b.connect({NetPair::address(0), 1000}, 2000, pair.now);
  pair.run(milliseconds(10));
  for (const auto& end : pair.ends) {
    ConnectionInfo info;
    ASSERT_TRUE(end.stack->info(end.conn, info));
    EXPECT_EQ(info.state, TcpState::established);
  }
  const std::vector<std::byte> bytes(5000);
  pair.send(0, bytes);
  pair.send(1, bytes);
  pair.run(milliseconds(100));
  EXPECT_EQ(pair.ends[0].received, 5000U);
  EXPECT_EQ(pair.ends[1].received, 5000U);
}

// mirage-tcpip 489: a connection that both close at once was never forgotten.
TEST(tcp_input, both_may_close_at_once) {
  NetPair pair;
  pair.open();
  for (auto& end : pair.ends) end.stack->shutdown(end.conn);
  pair.run(milliseconds(100));
  for (auto& end : pair.ends) {
    EXPECT_TRUE(end.closed);
    EXPECT_EQ(end.stack->connection_count(), 0U);
    EXPECT_EQ(end.stack->tcp().time_wait.size(), 1U);
  }
  pair.run(seconds(61));
  for (auto& end : pair.ends) {
    EXPECT_EQ(end.stack->tcp().time_wait.size(), 0U);
    EXPECT_EQ(end.stack->tcp().flows.size(), 0U);
  }
}

// RFC 9293, 3.5.1: a peer that has restarted.
TEST(tcp_input, a_half_open_connection_ends_with_the_next_segment) {
  NetPair pair;
  pair.open();
  Interface interface;
  interface.mac = {{2, 0, 0, 0, 0, 2}};
  interface.addresses = {{NetPair::address(1), 24}};
  pair.ends[1].stack =
      std::make_unique<Stack>(NetPair::small_limits(), interface, SipKey{9}, pair.now);
  const std::vector<std::byte> bytes(100);
  pair.send(0, bytes);
  pair.run(milliseconds(10));
  EXPECT_TRUE(pair.ends[0].closed);
  EXPECT_EQ(pair.ends[0].done.size(), 1U);
}

}  // namespace
}  // namespace tailrace::net
