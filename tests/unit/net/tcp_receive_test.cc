#include <gtest/gtest.h>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

const Connection& connection_of(NetPair& pair, int end) {
  Tcp& tcp = pair.ends[end].stack->tcp();
  return tcp.connections[static_cast<std::uint32_t>(pair.ends[end].conn - 1)];
}

TEST(tcp_receive, a_buffer_grows_with_what_the_application_takes) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = 16'384;
  limits.receive_buffer_max = 1U << 20;
  NetPair pair(limits, {}, milliseconds(1));
  pair.open();
  const std::vector<std::byte> bytes(2'000'000);
  pair.send(0, bytes);
  pair.run(milliseconds(300));
  EXPECT_GT(connection_of(pair, 1).receive_buffer, 100'000U);
  EXPECT_LE(connection_of(pair, 1).receive_buffer, 1U << 20);
}

TEST(tcp_receive, a_buffer_does_not_grow_beyond_the_cores_budget) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = 16'384;
  limits.receive_buffer_max = 1U << 20;
  limits.receive_bytes_max = 40'000;
  NetPair pair(limits, {}, milliseconds(1));
  pair.open();
  const std::vector<std::byte> bytes(500'000);
  pair.send(0, bytes);
  pair.run(milliseconds(300));
  EXPECT_LE(pair.ends[1].stack->tcp().receive_bytes, 40'000U);
  EXPECT_GT(pair.ends[1].received, 100'000U);
}

// The sum that is told is the sum that is kept: nothing is dropped for lack of window.
TEST(tcp_receive, what_is_advertised_is_taken) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = limits.receive_buffer_max = 10'000;
  NetPair pair(limits);
  pair.ends[1].reads = false;
  pair.open();
  const std::vector<std::byte> bytes(50'000);
  pair.send(0, bytes);
  pair.run(milliseconds(100));
  // Six segments; what is left of the window is not worth one (RFC 9293, 3.8.6.2.1).
  EXPECT_EQ(pair.ends[1].received, 6U * 1448);
  EXPECT_EQ(pair.ends[1].stack->counters().of(Count::drop_outside_window), 0U);
  pair.ends[1].reads = true;
  pair.ends[1].stack->consumed(pair.ends[1].conn, 6U * 1448);
  pair.run(milliseconds(100));
  EXPECT_EQ(pair.ends[1].received, 50'000U);
  EXPECT_EQ(pair.ends[0].stack->counters().of(Count::window_probes), 0U);
}

// Tiny segments to an application that does not take them use up its share of the pieces and no
// more: another connection is heard all the same.
TEST(tcp_receive, one_connection_does_not_take_all_pieces) {
  Limits limits = NetPair::small_limits();
  limits.pieces_max = 32;
  NetPair pair(limits, {}, microseconds(50));
  pair.open();
  const ConnId greedy = pair.ends[1].conn;
  pair.ends[1].stack->pause(greedy);
  const std::vector<std::byte> byte(1);
  for (int i = 0; i < 100; ++i) {
    pair.send(0, byte, 1);
    pair.run(milliseconds(1));
  }
  EXPECT_GE(pair.ends[1].stack->tcp().receive.pieces_used(), 24U);
  EXPECT_LT(pair.ends[1].stack->tcp().receive.pieces_used(), 32U);
  pair.open();
  ASSERT_NE(pair.ends[1].conn, greedy);
  const std::vector<std::byte> bytes(100'000);
  pair.send(0, bytes, 2);
  pair.run(seconds(5));   // With little room, in small steps.
  EXPECT_EQ(pair.ends[1].received, 100'000U);
}

// One ACK per connection and burst: here every step is a burst.
TEST(tcp_receive, a_burst_is_acknowledged_once) {
  NetPair pair(NetPair::small_limits(), {}, milliseconds(1));
  pair.open();
  const std::vector<std::byte> bytes(1'000'000);
  pair.send(0, bytes);
  pair.run(milliseconds(500));
  EXPECT_EQ(pair.ends[1].received, 1'000'000U);
  const std::uint64_t acks = pair.ends[1].stack->counters().of(Count::acks_out);
  const std::uint64_t segments = pair.ends[1].stack->counters().of(Count::segments_in);
  EXPECT_LT(acks * 4, segments);
}

}  // namespace
}  // namespace tailrace::net
