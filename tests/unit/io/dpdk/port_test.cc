#include "io/dpdk/port.h"

#include "support.h"

namespace tailrace::io::dpdk {
namespace {

TEST(Port, OpensItsQueuesWithMemoryForTheFramesThatAreLent) {
  Port& port = looped_port();
  for (const std::uint16_t index : {std::uint16_t{0}, std::uint16_t{1}}) {
    const Queue& queue = port.queue(index);
    EXPECT_EQ(queue.index, index);
    EXPECT_GE(queue.offers.frames_max, 400U);
    EXPECT_LT(queue.offers.frames_max, rte_mempool_avail_count(queue.receive));
    EXPECT_GE(rte_pktmbuf_data_room_size(queue.receive), queue.offers.mtu + 14 + 128);
    EXPECT_EQ(queue.wake.fd, -1);
  }
  EXPECT_NE(port.queue(0).receive, port.queue(1).receive);
  EXPECT_NE(port.description().find("net_ring"), std::string::npos) << port.description();
}

TEST(Port, TooManyCoresAreRefusedWithWhatItHas) {
  set_up_environment();
  std::string why;
  EXPECT_EQ(Port::open(1, {.device = "net_ring1", .queues = 2000, .huge_pages = false}, why),
            nullptr);
  EXPECT_NE(why.find("each of 2000 cores needs its own"), std::string::npos) << why;
}

TEST(Port, APortThatIsNotThereIsAnError) {
  set_up_environment();
  std::string why;
  EXPECT_EQ(Port::open(77, {.device = "net_ring77", .huge_pages = false}, why), nullptr);
  EXPECT_NE(why.find("DPDK port net_ring77: "), std::string::npos) << why;
}

TEST(Port, ThePlanOfMemoryCoversThePools) {
  const Queue& queue = looped_port().queue(0);
  const auto bytes_of = [](const rte_mempool* pool) {
    return std::uint64_t{pool->size} *
           (pool->header_size + pool->elt_size + pool->trailer_size);
  };
  const std::uint64_t plan = queue_memory_bytes("net_ring0", 1 << 20, false);
  EXPECT_GE(plan, bytes_of(queue.receive) + bytes_of(queue.send));
  EXPECT_LT(plan, 64 << 20);
  // A buffer of 64 KiB for each frame that is lent; net_vhost makes them itself.
  const std::uint64_t virtio = queue_memory_bytes("net_virtio_user0,path=x", 32 << 20, true);
  EXPECT_GT(virtio, std::uint64_t{48} << 20);
  EXPECT_LT(virtio, std::uint64_t{160} << 20);
  EXPECT_GT(queue_memory_bytes("net_vhost0,iface=x,ext-buffer=1", 32 << 20, true),
            std::uint64_t{32} << 20);
  // Long slots make long buffers.
  EXPECT_GT(queue_memory_bytes("net_af_packet0,iface=x,framesz=32768", 1 << 20, true), 6 * plan);
}

}  // namespace
}  // namespace tailrace::io::dpdk
