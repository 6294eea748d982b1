#include "runtime/port_guard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace tailrace::runtime {
namespace {

TEST(PortGuard, ABusyPortIsNamed) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // What another node with several cores does: it would let us join in.
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const HostPort busy{"127.0.0.1", ntohs(address.sin_port)};

  std::string why;
  EXPECT_FALSE(ports_are_free({busy}, why));
  EXPECT_NE(why.find(join_address(busy) + ": Address already in use"), std::string::npos) << why;
  close(fd);
  EXPECT_TRUE(ports_are_free({busy}, why)) << why;
}

// What a killed node leaves behind until the kernel has taken down its ring.
TEST(PortGuard, APortThatBecomesFreeInAMomentIsFree) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);

  std::thread closer([fd] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    close(fd);
  });
  std::string why;
  EXPECT_TRUE(ports_are_free({{"127.0.0.1", ntohs(address.sin_port)}}, why)) << why;
  closer.join();
}

TEST(PortGuard, PortZeroIsAlwaysFree) {
  std::string why;
  EXPECT_TRUE(ports_are_free({{"127.0.0.1", 0}, {"127.0.0.1", 0}}, why)) << why;
}

TEST(PortGuard, AnAddressOfAnotherMachineIsRefused) {
  std::string why;
  EXPECT_FALSE(ports_are_free({{"192.0.2.1", 0}}, why));
  EXPECT_NE(why.find("192.0.2.1"), std::string::npos);
}

}  // namespace
}  // namespace tailrace::runtime
