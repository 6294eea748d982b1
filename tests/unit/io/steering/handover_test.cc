#include "io/steering/handover.h"

#include <gtest/gtest.h>

#include "../fake_queue.h"
#include "io/steering/steered_device.h"
#include "support/steered_frames.h"

namespace tailrace::io {
namespace {

TEST(Handover, HasTheTableOfItsCoresAndKey) {
  net::RssKey key = net::rss_key_default;
  key[0] ^= 1;
  const Handover handover(3, 100, key);
  EXPECT_EQ(handover.cores(), 3);
  EXPECT_EQ(handover.steering().cores(), 3);
  EXPECT_EQ(handover.steering().key(), key);
  EXPECT_EQ(handover.lent_max(), 100u);
  EXPECT_EQ(handover.counters(2).handed_over.load(), 0u);
}

struct ToldQueue final : public PacketDevice {
  explicit ToldQueue(bool& ended) : is_ended(ended) { offered.frames_max = 8; }
  ~ToldQueue() override { is_ended = true; }
  const DeviceOffers& offers() const override { return offered; }
  DeviceNumbers numbers() const override { return {}; }
  std::size_t receive(std::span<RxFrame>) override { return 0; }
  void release(std::span<const std::uint64_t>) override {}
  std::size_t transmit(std::span<const TxFrame>) override { return 0; }
  std::size_t take_finished(std::span<std::uint32_t>) override { return 0; }
  Instant next_deadline() const override { return never(); }
  DeviceOffers offered;
  bool& is_ended;
};

// A core that ends, or whose successor could not be made, takes no memory away under others.
TEST(Handover, AQueueStaysUntilAllCoresAreGone) {
  bool ended = false;
  {
    Handover handover(2, 4);
    {
      SteeredDevice device(handover, 0, std::make_unique<ToldQueue>(ended));
    }
    EXPECT_FALSE(ended);
  }
  EXPECT_TRUE(ended);
}

TEST(Handover, FramesOutliveTheCoreWhoseQueueHadThem) {
  Handover handover(2, 4);
  auto queue = std::make_unique<FakeQueue>(8);
  const std::vector<std::byte> frame = test::arp_frame_of(
      {net::ArpPacket::Operation::reply, test::frame_peer_mac, net::IpAddress::v4(10, 0, 0, 2),
       test::frame_mac, net::IpAddress::v4(10, 0, 0, 1)});
  queue->arrived.push_back(frame);
  auto first = std::make_unique<SteeredDevice>(handover, 0, std::move(queue));
  SteeredDevice second(handover, 1, std::make_unique<FakeQueue>(8));
  std::array<RxFrame, 4> frames;
  ASSERT_EQ(first->receive(frames), 1u);
  first.reset();
  ASSERT_EQ(second.receive(frames), 1u);
  EXPECT_TRUE(std::ranges::equal(frames[0].bytes, frame));
  second.release({&frames[0].token, 1});
}

}  // namespace
}  // namespace tailrace::io
