#include "net/tcp_listen.h"

#include <gtest/gtest.h>

#include "../../support/net_pair.h"
#include "base/prng.h"

namespace tailrace::net {
namespace {

std::vector<std::byte> syn_frame(const IpAddress& from, std::uint16_t port, std::uint32_t seq) {
  TxFrame frame;
  frame.link_bytes = static_cast<std::uint8_t>(
      store_ethernet(frame.header.data(), {{{2, 0, 0, 0, 0, 2}}, {{2, 0, 0, 0, 0, 7}}}));
  frame.network_bytes = ipv4_bytes;
  TcpHeader header{.source_port = port, .destination_port = 9092, .seq = {seq},
                   .flags = tcp_flag::syn, .window = 65'535};
  header.options.mss = 1460;
  std::byte* at = frame.header.data() + frame.link_bytes;
  const std::size_t size = store_tcp(at + ipv4_bytes, header, from, NetPair::address(1), 0);
  store_ip(at, {.source = from, .destination = NetPair::address(1)}, size);
  frame.header_bytes = static_cast<std::uint16_t>(frame.link_bytes + ipv4_bytes + size);
  frame.checksum_pos = tcp_checksum_pos;
  return flat_frame(frame);
}

// RFC 4987: however many SYNs come, memory stays as it is and a real peer gets in.
TEST(tcp_listen, a_flood_of_syns_leaves_memory_flat_and_the_door_open) {
  Limits limits = NetPair::small_limits();
  limits.half_open_max = 16;
  limits.half_open_cookies_from = 8;
  NetPair pair(limits);
  pair.ends[1].stack->listen({NetPair::address(1), 9092});
  pair.run(milliseconds(1));
  Prng prng(3);
  for (int burst = 0; burst < 500; ++burst) {
    for (int i = 0; i < 16; ++i) {
      const auto host = static_cast<std::uint8_t>(prng.between(9, 250));
      const IpAddress from = IpAddress::v4(10, 0, 0, host);
      pair.ends[1].arriving.push_back(std::make_unique<std::vector<std::byte>>(
          syn_frame(from, static_cast<std::uint16_t>(prng.between(1, 65'535)),
                    static_cast<std::uint32_t>(prng.next()))));
    }
    pair.run(microseconds(50));
  }
  Tcp& tcp = pair.ends[1].stack->tcp();
  EXPECT_LE(tcp.half_open.used_count(), 8U);
  EXPECT_EQ(tcp.connections.used_count(), 0U);
  EXPECT_GT(tcp.counters.of(Count::cookies_out), 7000U);
  pair.ends[0].conn = pair.ends[0].stack->connect({NetPair::address(1), 9092}, 0, pair.now);
  pair.run(milliseconds(20));
  const std::vector<std::byte> bytes(5000);
  pair.send(0, bytes);
  pair.run(milliseconds(100));
  EXPECT_EQ(pair.ends[1].received, 5000U);
  EXPECT_EQ(tcp.counters.of(Count::cookies_good), 1U);
}

TEST(tcp_listen, a_core_that_is_full_refuses) {
  Limits limits = NetPair::small_limits();
  limits.connections_max = 1;
  NetPair pair(limits);
  pair.open();
  // The peer's core is as full as ours; so a second one comes from a third host.
  pair.ends[1].arriving.push_back(std::make_unique<std::vector<std::byte>>(
      syn_frame(IpAddress::v4(10, 0, 0, 1), 999, 5)));
  pair.run(milliseconds(1));
  EXPECT_EQ(pair.ends[1].stack->connection_count(), 1U);
}

TEST(tcp_listen, an_unspecified_address_stands_for_all_of_its_family) {
  NetPair pair;
  EXPECT_EQ(pair.ends[1].stack->listen({IpAddress::v4(0, 0, 0, 0), 9092}), 0U);
  pair.ends[0].conn = pair.ends[0].stack->connect({NetPair::address(1), 9092}, 0, pair.now);
  pair.run(milliseconds(10));
  EXPECT_EQ(pair.ends[1].stack->connection_count(), 1U);
}

TEST(tcp_listen, ports_are_reused_after_a_rest_by_a_newer_syn) {
  NetPair pair;
  pair.open();
  ConnectionInfo info;
  ASSERT_TRUE(pair.ends[0].stack->info(pair.ends[0].conn, info));
  // The server closes first, so the flow rests there.
  pair.ends[1].stack->close(pair.ends[1].conn);
  pair.run(milliseconds(10));
  pair.ends[0].stack->close(pair.ends[0].conn);
  pair.run(milliseconds(10));
  EXPECT_EQ(pair.ends[1].stack->tcp().time_wait.size(), 1U);
  pair.ends[0].conn =
      pair.ends[0].stack->connect(info.flow.remote, info.flow.local.port, pair.now);
  ASSERT_NE(pair.ends[0].conn, 0U);
  pair.run(milliseconds(10));
  EXPECT_EQ(pair.ends[1].stack->tcp().time_wait.size(), 0U);
  EXPECT_EQ(pair.ends[1].stack->connection_count(), 1U);
}

}  // namespace
}  // namespace tailrace::net
