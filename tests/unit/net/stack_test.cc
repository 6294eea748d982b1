#include "net/stack.h"

#include <gtest/gtest.h>

#include <set>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

TEST(stack, carries_bytes_both_ways) {
  NetPair pair;
  pair.open();
  const std::vector<std::byte> there(1'000'000);
  const std::vector<std::byte> back(300'000);
  pair.send(0, there, 11);
  pair.send(1, back, 22);
  pair.run(seconds(1));
  EXPECT_EQ(pair.ends[1].received, there.size());
  EXPECT_EQ(pair.ends[0].received, back.size());
  EXPECT_EQ(pair.ends[0].done, std::vector<std::uint64_t>{11});
  EXPECT_EQ(pair.ends[1].done, std::vector<std::uint64_t>{22});
  EXPECT_TRUE(pair.ends[0].lent.empty());
}

TEST(stack, a_stale_id_names_nobody) {
  NetPair pair;
  pair.open();
  const ConnId old = pair.ends[0].conn;
  pair.ends[0].stack->abort(old);
  pair.run(milliseconds(1));
  ConnectionInfo info;
  EXPECT_FALSE(pair.ends[0].stack->info(old, info));
  pair.ends[0].stack->close(old);
  pair.ends[0].stack->consumed(old, 5);
  const Bytes nothing;
  EXPECT_TRUE(pair.ends[0].stack->send(old, {&nothing, 1}, 9));
  pair.run(milliseconds(1));
  EXPECT_EQ(pair.ends[0].done, std::vector<std::uint64_t>{9});
}

TEST(stack, tells_what_its_connections_are) {
  NetPair pair;
  pair.open();
  int lines = 0;
  pair.ends[0].stack->for_each([&](ConnId id, const ConnectionInfo& info) {
    ++lines;
    EXPECT_EQ(id, pair.ends[0].conn);
    EXPECT_EQ(info.state, TcpState::established);
    EXPECT_EQ(info.flow.remote, (Endpoint{NetPair::address(1), 9092}));
    EXPECT_EQ(info.segment_bytes, 1448);
  });
  EXPECT_EQ(lines, 1);
}

TEST(stack, wants_to_be_called_only_when_something_is_due) {
  NetPair pair;
  pair.run(milliseconds(5));
  EXPECT_EQ(pair.ends[0].stack->next_deadline(), never());
  pair.ends[0].stack->connect({NetPair::address(1), 1}, 0, pair.now);
  EXPECT_EQ(pair.ends[0].stack->next_deadline(), pair.now);
}

TEST(stack, connects_nowhere_without_a_way) {
  NetPair pair;
  EXPECT_EQ(pair.ends[0].stack->connect({IpAddress::v4(192, 168, 1, 1), 80}, 0, pair.now), 0U);
  EXPECT_EQ(pair.ends[0].stack->connect({IpAddress::v4(224, 0, 0, 1), 80}, 0, pair.now), 0U);
  EXPECT_EQ(pair.ends[0].stack->connect({NetPair::address(1), 0}, 0, pair.now), 0U);
}

TEST(stack, a_port_can_be_asked_for_and_is_taken_once) {
  NetPair pair;
  const Endpoint remote{NetPair::address(1), 9092};
  const std::uint16_t port = pair.ends[0].stack->next_port(remote);
  EXPECT_NE(pair.ends[0].stack->connect(remote, port, pair.now), 0U);
  EXPECT_EQ(pair.ends[0].stack->connect(remote, port, pair.now), 0U);
}

// RFC 6056: a peer that has not heard of the end yet would take the next SYN for the old one's.
TEST(stack, a_port_rests_when_its_connection_has_ended) {
  NetPair pair;
  Stack& stack = *pair.ends[0].stack;
  std::set<std::uint16_t> ports;
  for (int i = 0; i < 100; ++i) {
    const ConnId conn = stack.connect({NetPair::address(1), 9092}, 0, pair.now);
    ConnectionInfo info;
    ASSERT_TRUE(stack.info(conn, info));
    ports.insert(info.flow.local.port);
    stack.abort(conn);
    pair.run(milliseconds(1));
  }
  EXPECT_EQ(ports.size(), 100U);
}

TEST(stack, memory_is_all_back_after_many_connections) {
  NetPair pair;
  pair.ends[1].stack->listen({NetPair::address(1), 9092});
  for (int round = 0; round < 50; ++round) {
    pair.ends[0].conn = pair.ends[0].stack->connect({NetPair::address(1), 9092}, 0, pair.now);
    pair.run(milliseconds(1));
    const std::vector<std::byte> bytes(3000);
    pair.send(0, bytes);
    pair.run(milliseconds(1));
    if (round % 3 == 0) {
      pair.ends[1].stack->abort(pair.ends[1].conn);
    } else {
      pair.ends[0].stack->close(pair.ends[0].conn);
      pair.run(milliseconds(1));
      pair.ends[1].stack->close(pair.ends[1].conn);
    }
    pair.run(milliseconds(50));
  }
  for (auto& end : pair.ends) {
    Tcp& tcp = end.stack->tcp();
    EXPECT_EQ(end.stack->connection_count(), 0U);
    EXPECT_EQ(tcp.receive_bytes, 0U);
    EXPECT_EQ(tcp.receive.pieces_used(), 0U);
    EXPECT_EQ(tcp.sends.sends_used(), 0U);
    EXPECT_EQ(tcp.records.records_used(), 0U);
    EXPECT_TRUE(end.lent.empty());
  }
}

}  // namespace
}  // namespace tailrace::net
