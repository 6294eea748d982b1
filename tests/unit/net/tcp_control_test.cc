#include <gtest/gtest.h>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

Interface control_interface() {
  Interface interface;
  interface.mac = {{2, 0, 0, 0, 0, 1}};
  interface.addresses = {{IpAddress::v4(10, 0, 0, 1), 24}};
  return interface;
}

TEST(tcp_control, answers_take_a_bounded_queue) {
  Limits limits = NetPair::small_limits();
  limits.control_frames_max = 8;
  Tcp tcp(limits, control_interface(), SipKey{}, Instant{seconds(1).ns});
  for (std::uint16_t port = 1; port <= 20; ++port) {
    push_control_segment(tcp, {.flow = {{IpAddress::v4(10, 0, 0, 1), 1},
                                        {IpAddress::v4(10, 0, 0, 2), port}}});
  }
  EXPECT_EQ(tcp.counters.of(Count::drop_control_full), 12U);
}

TEST(tcp_control, without_a_way_there_is_no_answer) {
  Tcp tcp(NetPair::small_limits(), control_interface(), SipKey{}, Instant{seconds(1).ns});
  push_control_segment(tcp, {.flow = {{IpAddress::v4(10, 0, 0, 1), 1},
                                      {IpAddress::v4(192, 168, 0, 2), 2}}});
  EXPECT_EQ(tcp.counters.of(Count::drop_no_route), 1U);
  EXPECT_TRUE(tcp.control.empty());
}

// RFC 9293, 3.5.2: a reset is never the answer to a reset.
TEST(tcp_control, a_reset_is_not_answered) {
  Tcp tcp(NetPair::small_limits(), control_interface(), SipKey{}, Instant{seconds(1).ns});
  TcpSegment segment;
  segment.header.flags = tcp_flag::rst;
  push_reset_for(tcp, {{IpAddress::v4(10, 0, 0, 1), 1}, {IpAddress::v4(10, 0, 0, 2), 2}}, segment);
  EXPECT_TRUE(tcp.control.empty());
}

}  // namespace
}  // namespace tailrace::net
