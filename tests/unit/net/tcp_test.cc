#include "net/tcp.h"

#include <gtest/gtest.h>

#include "../../support/net_pair.h"
#include "base/prng.h"

namespace tailrace::net {
namespace {

Tcp tcp_of(const Limits& limits) {
  Interface interface;
  interface.mac = {{2, 0, 0, 0, 0, 1}};
  interface.addresses = {{IpAddress::v4(10, 0, 0, 1), 24}};
  return Tcp(limits, interface, SipKey{}, Instant{seconds(1).ns});
}

Flow flow_of(std::uint16_t port) {
  return {{IpAddress::v4(10, 0, 0, 1), 9092}, {IpAddress::v4(10, 0, 0, 2), port}};
}

// The sum of what was promised to peers is what the core's memory can take.
TEST(tcp, receive_buffers_come_out_of_one_budget) {
  Limits limits = NetPair::small_limits();
  limits.receive_buffer_min = limits.receive_buffer_max = 65'536;
  limits.receive_bytes_max = 3 * 65'536;
  Tcp tcp = tcp_of(limits);
  Connection* first = tcp.make(flow_of(1));
  EXPECT_NE(first, nullptr);
  EXPECT_NE(tcp.make(flow_of(2)), nullptr);
  EXPECT_NE(tcp.make(flow_of(3)), nullptr);
  EXPECT_EQ(tcp.make(flow_of(4)), nullptr);
  first->state = TcpState::established;
  tcp.enter_flow(*first);
  tcp.kill(*first);
  EXPECT_NE(tcp.make(flow_of(4)), nullptr);
}

TEST(tcp, a_slot_is_used_again_under_another_id) {
  Limits limits = NetPair::small_limits();
  limits.connections_max = 1;
  Tcp tcp = tcp_of(limits);
  Connection* c = tcp.make(flow_of(1));
  ASSERT_NE(c, nullptr);
  const std::uint32_t generation = c->generation;
  EXPECT_EQ(tcp.make(flow_of(2)), nullptr);
  c->state = TcpState::established;
  tcp.enter_flow(*c);
  tcp.kill(*c);
  tcp.forget(*c);
  Connection* again = tcp.make(flow_of(2));
  EXPECT_EQ(again, c);
  EXPECT_NE(again->generation, generation);
}

TEST(tcp, the_oldest_flow_at_rest_makes_room) {
  Limits limits = NetPair::small_limits();
  limits.time_wait_max = 2;
  Tcp tcp = tcp_of(limits);
  for (std::uint16_t port = 1; port <= 3; ++port) {
    Connection* c = tcp.make(flow_of(port));
    ASSERT_NE(c, nullptr);
    c->state = TcpState::closing;
    tcp.enter_flow(*c);
    tcp.rest(*c);
  }
  EXPECT_EQ(tcp.time_wait.size(), 2U);
  EXPECT_EQ(tcp.time_wait[tcp.time_wait.oldest()].flow, flow_of(2));
}

TEST(tcp, a_connection_is_small) { EXPECT_LE(sizeof(Connection), 768U); }

TEST(flow_table, finds_what_is_in_it_and_nothing_else) {
  FlowTable table(512, 99);
  std::map<std::uint32_t, Flow> flows;
  Prng prng(5);
  const auto find = [&](const Flow& flow) {
    return table.find(table.hash_of(flow),
                      [&](std::uint32_t value) { return flows.at(value) == flow; });
  };
  for (std::uint32_t step = 0; step < 5000; ++step) {
    if (flows.size() < 512 && prng.chance(2, 3)) {
      const Flow flow = flow_of(static_cast<std::uint16_t>(prng.below(65'536)));
      if (find(flow) != FlowTable::no_value) continue;
      flows[step] = flow;
      table.insert(table.hash_of(flow), step);
    } else if (!flows.empty()) {
      auto at = flows.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(prng.below(flows.size())));
      const Flow flow = at->second;
      table.erase(table.hash_of(flow), at->first);
      flows.erase(at);
      EXPECT_EQ(find(flow), FlowTable::no_value);
    }
    ASSERT_EQ(table.size(), flows.size());
  }
  for (const auto& [value, flow] : flows) EXPECT_EQ(find(flow), value);
}

}  // namespace
}  // namespace tailrace::net
