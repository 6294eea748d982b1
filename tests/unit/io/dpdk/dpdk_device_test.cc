#include "io/dpdk/dpdk_device.h"

#include <string>

#include "support.h"

namespace tailrace::io::dpdk {
namespace {

// A device whose frames come back to it.
struct Loop {
  Loop() {
    std::string why;
    ring = std::move(*Ring::create({}, why));
    device.emplace(looped_port().queue(0), *ring);
    const MutableBytes region(memory);
    device->set_payload_memory({&region, 1});
  }
  TxFrame frame_of(std::size_t payload_bytes, std::uint32_t hold) {
    TxFrame frame{};
    frame.header_bytes = 66;
    for (std::size_t i = 0; i < 66; ++i) frame.header[i] = static_cast<std::byte>(i);
    frame.slice_count = 1;
    frame.slices[0] = Bytes(memory).first(payload_bytes);
    frame.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
    frame.hold = hold;
    return frame;
  }
  std::size_t finished() {
    std::array<std::uint32_t, 64> holds;
    return device->take_finished(holds);
  }
  std::vector<std::byte> memory = std::vector<std::byte>(4096, std::byte{0x5a});
  std::unique_ptr<Ring> ring;
  std::optional<DpdkDevice> device;
};

TEST(DpdkDevice, WhatIsSentComesAndIsLentUntilItIsReleased) {
  Loop loop;
  const std::array<TxFrame, 3> frames = {loop.frame_of(0, no_hold), loop.frame_of(100, 1),
                                         loop.frame_of(1400, 2)};
  EXPECT_EQ(loop.device->transmit(frames), 3U);
  std::array<RxFrame, 8> received;
  ASSERT_EQ(loop.device->receive(received), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(received[i].bytes.size(), frames[i].size());
    EXPECT_EQ(received[i].bytes[65], std::byte{65});
    EXPECT_FALSE(received[i].checksum_good);
    loop.device->release({&received[i].token, 1});
  }
  EXPECT_EQ(received[2].bytes[66], std::byte{0x5a});
  EXPECT_EQ(loop.finished(), 2U);
  EXPECT_EQ(loop.device->numbers().sent_frames.load(), 3U);
  EXPECT_EQ(loop.device->numbers().received_frames.load(), 3U);
}

// Frames beyond what may be lent stay in the device, which drops what does not fit there.
TEST(DpdkDevice, LendsNoMoreThanItOffersAndTakesNoMoreThanFit) {
  Loop loop;
  const std::uint32_t most = loop.device->offers().frames_max;
  std::vector<std::uint64_t> tokens;
  std::array<RxFrame, 32> received;
  const TxFrame frame = loop.frame_of(10, no_hold);
  for (std::uint32_t i = 0; i < most + 50; ++i) {
    (void)loop.device->transmit({&frame, 1});
    const std::size_t count = loop.device->receive(received);
    for (std::size_t k = 0; k < count; ++k) tokens.push_back(received[k].token);
  }
  EXPECT_EQ(tokens.size(), most);
  EXPECT_EQ(loop.device->receive(received), 0U);
  EXPECT_EQ(loop.device->next_deadline(), never());
  loop.device->release(tokens);
  std::size_t late = 0;
  while (const std::size_t count = loop.device->receive(received)) {
    for (std::size_t k = 0; k < count; ++k) loop.device->release({&received[k].token, 1});
    late += count;
  }
  EXPECT_EQ(late, 50U);
}

TEST(DpdkDevice, AFullDeviceIsTriedAgainAndKeepsTheOrder) {
  Loop loop;
  std::uint32_t taken = 0;
  for (;; ++taken) {
    TxFrame frame = loop.frame_of(4, no_hold);
    std::memcpy(frame.header.data(), &taken, sizeof taken);
    if (loop.device->transmit({&frame, 1}) == 0) break;
    ASSERT_LT(taken, 100'000U);
  }
  EXPECT_NE(loop.device->next_deadline(), never());
  std::array<RxFrame, 32> received;
  std::uint32_t next = 0;
  while (const std::size_t count = loop.device->receive(received)) {
    for (std::size_t k = 0; k < count; ++k) {
      std::uint32_t number = 0;
      std::memcpy(&number, received[k].bytes.data(), sizeof number);
      EXPECT_EQ(number, next++);
      loop.device->release({&received[k].token, 1});
    }
  }
  EXPECT_EQ(next, taken);
}

TEST(DpdkDevice, WithoutALinkWhatDoesNotFitIsLost) {
  Loop loop;
  const TxFrame frame = loop.frame_of(1000, 5);
  while (loop.device->transmit({&frame, 1}) == 1) (void)loop.finished();
  EXPECT_EQ(loop.finished(), 0U);
  Queue& queue = looped_port().queue(0);
  const std::uint64_t lost = loop.device->numbers().send_errors.load();
  static const std::atomic<bool> no_link{false};
  const auto* const before = std::exchange(queue.has_link, &no_link);
  EXPECT_EQ(loop.device->transmit({&frame, 1}), 1U);
  queue.has_link = before;
  EXPECT_GT(loop.device->numbers().send_errors.load(), lost);
  EXPECT_GT(loop.finished(), 0U);
  std::array<RxFrame, 32> received;
  while (const std::size_t count = loop.device->receive(received)) {
    for (std::size_t k = 0; k < count; ++k) loop.device->release({&received[k].token, 1});
  }
}

// This one has nothing to wait for, so that a quiet thread looks again now and then.
TEST(DpdkDevice, AQuietDeviceLetsTheThreadSleep) {
  Loop loop;
  std::array<RxFrame, 8> received;
  EXPECT_EQ(loop.device->receive(received), 0U);
  const Instant deadline = loop.device->next_deadline();
  EXPECT_NE(deadline, never());
  EXPECT_GT(deadline, Instant{});
  EXPECT_FALSE(loop.device->failed());
}

}  // namespace
}  // namespace tailrace::io::dpdk
