#include "io/dpdk/packet_sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tailrace::io::dpdk {
namespace {

TEST(PacketSockets, AreThoseBoundToTheInterface) {
  const int fd = socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) GTEST_SKIP() << "this user may open no packet sockets";
  EXPECT_TRUE(packet_sockets("lo").empty());
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex("lo"));
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(packet_sockets("lo"), std::vector<int>{fd});
  EXPECT_TRUE(packet_sockets("nonsense0").empty());
  EXPECT_TRUE(xdp_sockets().empty());
  close(fd);
}

TEST(PacketSockets, AnEventFdIsTold) {
  const int fd = eventfd(0, 0);
  EXPECT_TRUE(is_event_fd(fd));
  close(fd);
  EXPECT_FALSE(is_event_fd(0));
  EXPECT_FALSE(is_event_fd(-1));
}

}  // namespace
}  // namespace tailrace::io::dpdk
