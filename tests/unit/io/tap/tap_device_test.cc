#include "io/tap/tap_device.h"

#include <gtest/gtest.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <thread>

namespace tailrace::io {
namespace {

// Calls `body` on a thread with a network of its own; false when that is not permitted.
template <class Body>
bool in_own_network(Body body) {
  bool permitted = false;
  std::thread([&] {
    permitted = ::unshare(CLONE_NEWNET) == 0 && ::access("/dev/net/tun", R_OK | W_OK) == 0;
    if (permitted) body();
  }).join();
  return permitted;
}

std::unique_ptr<Ring> make_ring() {
  std::string why;
  auto ring = Ring::create({}, why);
  EXPECT_TRUE(ring.has_value()) << why;
  return std::move(*ring);
}

// Gives the kernel's side an address and takes it up.
void bring_up(const char* name, int socket) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl(0x0a090902);
  ASSERT_EQ(::ioctl(socket, SIOCSIFADDR, &request), 0) << std::strerror(errno);
  ASSERT_EQ(::ioctl(socket, SIOCGIFFLAGS, &request), 0);
  request.ifr_flags |= IFF_UP;
  ASSERT_EQ(::ioctl(socket, SIOCSIFFLAGS, &request), 0) << std::strerror(errno);
}

// The first frame of this type within two seconds, if there is one; all are given back.
std::vector<std::byte> wait_for_frame(TapDevice& device, Ring& ring, std::uint16_t ether_type) {
  const Instant deadline = Ring::monotonic_now() + seconds(2);
  std::vector<std::byte> found;
  while (found.empty() && Ring::monotonic_now() < deadline) {
    std::array<RxFrame, 8> frames;
    const std::size_t count = device.receive(frames);
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes bytes = frames[i].bytes;
      if (load_be<std::uint16_t>(bytes.data() + 12) == ether_type) {
        found.assign(bytes.begin(), bytes.end());
      }
      device.release({&frames[i].token, 1});
    }
    if (count == 0) ring.wait(std::min(deadline, device.next_deadline()));
  }
  return found;
}

TEST(TapDevice, FramesComeAndWakeTheRing) {
  const bool permitted = in_own_network([] {
    const auto ring = make_ring();
    std::string why;
    auto device = TapDevice::create(*ring, {.name = "trunit0"}, why);
    ASSERT_TRUE(device.has_value()) << why;
    EXPECT_EQ((*device)->offers().mtu, 1500);
    EXPECT_GE((*device)->offers().frames_max, 256u);
    EXPECT_EQ((*device)->link(), Link::switched_off);
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bring_up("trunit0", socket);
    EXPECT_EQ((*device)->link(), Link::up);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(7);
    to.sin_addr.s_addr = htonl(0x0a090901);
    ASSERT_EQ(::sendto(socket, "hi", 2, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 2);
    const std::vector<std::byte> question = wait_for_frame(**device, *ring, 0x0806);
    ASSERT_EQ(question.size(), 42u);
    EXPECT_EQ(load_be<std::uint32_t>(question.data() + 38), 0x0a090901u) << "who has";

    // The answer, in a header and a slice; then the datagram comes.
    TxFrame answer;
    std::memcpy(answer.header.data(), question.data(), 42);
    std::memcpy(answer.header.data(), question.data() + 6, 6);
    constexpr std::array<std::uint8_t, 6> mac = {2, 0, 0, 0, 0, 9};
    std::memcpy(answer.header.data() + 6, mac.data(), 6);
    store_be<std::uint16_t>(answer.header.data() + 20, 2);
    std::memcpy(answer.header.data() + 22, mac.data(), 6);
    std::memcpy(answer.header.data() + 28, question.data() + 38, 4);
    const std::vector<std::byte> rest(question.begin() + 22, question.begin() + 32);
    answer.header_bytes = 32;
    answer.slices[0] = rest;
    answer.slice_count = 1;
    answer.payload_bytes = 10;
    answer.hold = 5;
    EXPECT_EQ((*device)->transmit({&answer, 1}), 1u);
    std::array<std::uint32_t, 4> holds{};
    EXPECT_EQ((*device)->take_finished(holds), 1u);
    EXPECT_EQ(holds[0], 5u);
    const std::vector<std::byte> datagram = wait_for_frame(**device, *ring, 0x0800);
    ASSERT_EQ(datagram.size(), 44u);
    EXPECT_EQ(as_text(Bytes(datagram).subspan(42)), "hi");
    EXPECT_EQ((*device)->numbers().send_errors.load(), 0u);
    ::close(socket);
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

TEST(TapDevice, AnInterfaceThatIsDownLosesFramesAsAWireDoes) {
  const bool permitted = in_own_network([] {
    const auto ring = make_ring();
    std::string why;
    auto device = TapDevice::create(*ring, {.name = "trunit0"}, why);
    ASSERT_TRUE(device.has_value()) << why;
    TxFrame frame;
    frame.header_bytes = 60;
    frame.hold = 3;
    EXPECT_EQ((*device)->transmit({&frame, 1}), 1u);
    EXPECT_EQ((*device)->numbers().send_errors.load(), 1u);
    std::array<std::uint32_t, 4> holds{};
    EXPECT_EQ((*device)->take_finished(holds), 1u);
    std::array<RxFrame, 4> frames;
    EXPECT_EQ((*device)->receive(frames), 0u);
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

TEST(TapDevice, AnInterfaceThatIsDeletedIsGoneForGood) {
  const bool permitted = in_own_network([] {
    const auto ring = make_ring();
    std::string why;
    auto device = TapDevice::create(*ring, {.name = "trunit0"}, why);
    ASSERT_TRUE(device.has_value()) << why;
    std::array<RxFrame, 4> frames;
    EXPECT_EQ((*device)->receive(frames), 0u);
    EXPECT_FALSE((*device)->failed());
    ASSERT_EQ(std::system("ip link delete trunit0"), 0);
    const Instant deadline = Ring::monotonic_now() + seconds(2);
    while (!(*device)->failed() && Ring::monotonic_now() < deadline) {
      ring->wait(deadline);
      EXPECT_EQ((*device)->receive(frames), 0u);
    }
    EXPECT_TRUE((*device)->failed());
    EXPECT_EQ((*device)->next_deadline(), never()) << "no spinning";
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

TEST(TapDevice, SaysWhatIsInTheWay) {
  const auto ring = make_ring();
  std::string why;
  EXPECT_FALSE(TapDevice::create(*ring, {.name = "a-name-that-is-too-long"}, why).has_value());
  EXPECT_NE(why.find("1 to 15 characters"), std::string::npos) << why;
  const bool permitted = in_own_network([] {
    const auto inner = make_ring();
    std::string reason;
    const auto first = TapDevice::create(*inner, {.name = "trunit0"}, reason);
    ASSERT_TRUE(first.has_value()) << reason;
    EXPECT_FALSE(TapDevice::create(*inner, {.name = "trunit0"}, reason).has_value());
    EXPECT_NE(reason.find("another process has it"), std::string::npos) << reason;
    EXPECT_FALSE(TapDevice::create(*inner, {.name = "lo"}, reason).has_value());
    EXPECT_NE(reason.find("is no tap"), std::string::npos) << reason;
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

TEST(TapDevice, HasAQueueForEachCore) {
  const bool permitted = in_own_network([] {
    const auto ring = make_ring();
    const auto other_ring = make_ring();
    std::string why;
    auto first = TapDevice::create(*ring, {.name = "trunit0", .queue = 0, .queues = 2}, why);
    ASSERT_TRUE(first.has_value()) << why;
    // Another process, as far as can be told here.
    EXPECT_FALSE(TapDevice::create(*ring, {.name = "trunit0", .queue = 0, .queues = 2}, why));
    EXPECT_NE(why.find("another process has it"), std::string::npos) << why;
    EXPECT_FALSE(TapDevice::create(*ring, {.name = "trunit0"}, why));
    EXPECT_NE(why.find("another process has it"), std::string::npos) << why;
    auto second = TapDevice::create(*other_ring, {.name = "trunit0", .queue = 1, .queues = 2}, why);
    ASSERT_TRUE(second.has_value()) << why;
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bring_up("trunit0", socket);
    ::close(socket);
    TxFrame frame;
    frame.header_bytes = 60;
    EXPECT_EQ((*first)->transmit({&frame, 1}), 1u);
    EXPECT_EQ((*second)->transmit({&frame, 1}), 1u);
    EXPECT_EQ((*first)->numbers().send_errors.load(), 0u);
    EXPECT_EQ((*second)->numbers().send_errors.load(), 0u);
    // As after a kill: all is free again.
    second->reset();
    first->reset();
    EXPECT_TRUE(TapDevice::create(*ring, {.name = "trunit0", .queues = 2}, why)) << why;
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

TEST(TapDevice, ADeviceWithOneQueueIsRefusedToSeveralCores) {
  const bool permitted = in_own_network([] {
    const auto ring = make_ring();
    std::string why;
    ASSERT_EQ(std::system("ip tuntap add dev trunit0 mode tap"), 0);
    const auto several = TapDevice::create(*ring, {.name = "trunit0", .queues = 2}, why);
    ASSERT_FALSE(several.has_value());
    EXPECT_EQ(several.error().code, Errc::unsupported);
    EXPECT_NE(why.find("ip tuntap add dev trunit0 mode tap multi_queue"), std::string::npos) << why;
    EXPECT_TRUE(TapDevice::create(*ring, {.name = "trunit0"}, why)) << why;
    EXPECT_FALSE(TapDevice::create(*ring, {.name = "lo", .queues = 2}, why));
    EXPECT_NE(why.find("is no tap"), std::string::npos) << why;
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

TEST(TapDevice, ADeviceWithSeveralQueuesServesOneCoreAsWell) {
  const bool permitted = in_own_network([] {
    const auto ring = make_ring();
    std::string why;
    ASSERT_EQ(std::system("ip tuntap add dev trunit0 mode tap multi_queue"), 0);
    const auto one = TapDevice::create(*ring, {.name = "trunit0"}, why);
    EXPECT_TRUE(one.has_value()) << why;
    EXPECT_FALSE(TapDevice::create(*ring, {.name = "trunit0"}, why));
    EXPECT_NE(why.find("another process has it"), std::string::npos) << why;
  });
  if (!permitted) GTEST_SKIP() << "needs a network namespace and /dev/net/tun";
}

}  // namespace
}  // namespace tailrace::io
