#include <gtest/gtest.h>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

// Payload is never copied: frames point into the memory that send() was given.
TEST(tcp_output, frames_point_into_the_applications_memory) {
  NetPair pair;
  pair.open();
  std::vector<std::byte> bytes(4000);
  pair.send(0, bytes);
  std::array<TxFrame, 8> frames;
  const std::size_t count = pair.ends[0].stack->output(frames, pair.now);
  ASSERT_EQ(count, 3U);
  const std::byte* at = bytes.data();
  for (std::size_t i = 0; i < count; ++i) {
    ASSERT_EQ(frames[i].slice_count, 1);
    EXPECT_EQ(frames[i].slices[0].data(), at);
    EXPECT_NE(frames[i].hold, no_hold);
    at += frames[i].slices[0].size();
    pair.ends[0].stack->transmitted(frames[i].hold);
  }
  EXPECT_EQ(at, bytes.data() + bytes.size());
}

TEST(tcp_output, a_device_that_cuts_gets_long_frames) {
  Interface interface;
  interface.segmentation_bytes_max = 65'535;
  NetPair pair(NetPair::small_limits(), interface);
  pair.open();
  std::vector<std::byte> bytes(14'000);
  pair.send(0, bytes);
  std::array<TxFrame, 8> frames;
  const std::size_t count = pair.ends[0].stack->output(frames, pair.now);
  ASSERT_GE(count, 1U);
  EXPECT_LE(count, 2U);
  EXPECT_EQ(frames[0].segment_bytes, 1448);
  for (std::size_t i = 0; i < count; ++i) pair.ends[0].stack->transmitted(frames[i].hold);
}

TEST(tcp_output, memory_goes_back_only_when_the_device_is_done) {
  NetPair pair;
  pair.open();
  std::vector<std::byte> bytes(1000);
  pair.send(0, bytes, 77);
  std::array<TxFrame, 8> frames;
  ASSERT_EQ(pair.ends[0].stack->output(frames, pair.now), 1U);
  pair.ends[1].arriving.push_back(
      std::make_unique<std::vector<std::byte>>(flat_frame(frames[0])));
  pair.run(milliseconds(100));
  EXPECT_EQ(pair.ends[1].received, 1000U);
  EXPECT_TRUE(pair.ends[0].done.empty());
  // Not even a reset changes that, and `closed` waits.
  pair.ends[0].stack->abort(pair.ends[0].conn);
  pair.run(milliseconds(1));
  EXPECT_FALSE(pair.ends[0].closed);
  pair.ends[0].stack->transmitted(frames[0].hold);
  pair.run(milliseconds(1));
  EXPECT_EQ(pair.ends[0].done, std::vector<std::uint64_t>{77});
  EXPECT_TRUE(pair.ends[0].closed);
}

TEST(tcp_output, a_core_short_of_records_goes_on) {
  Limits limits = NetPair::small_limits();
  limits.sent_records_max = 4;
  NetPair pair(limits);
  pair.open();
  std::vector<std::byte> bytes(200'000);
  pair.send(0, bytes);
  pair.run(seconds(1));
  EXPECT_EQ(pair.ends[1].received, 200'000U);
}

// The device holds all it may, so the probe can't go out: the time-out must come in its place.
TEST(tcp_output, a_loss_probe_without_memory_leaves_a_timer_running) {
  Limits limits = NetPair::small_limits();
  limits.holds_max = 1;
  NetPair pair(limits);
  pair.open();
  Stack& stack = *pair.ends[0].stack;
  std::vector<std::byte> bytes(100);
  pair.send(0, bytes);
  std::array<TxFrame, 8> frames;
  ASSERT_EQ(stack.output(frames, pair.now), 1U);
  const std::uint32_t hold = frames[0].hold;
  stack.advance(pair.now + milliseconds(150));
  EXPECT_EQ(stack.output(frames, pair.now + milliseconds(150)), 0U);
  EXPECT_NE(stack.next_deadline(), never());
  stack.transmitted(hold);
  stack.advance(pair.now + milliseconds(800));
  EXPECT_EQ(stack.output(frames, pair.now + milliseconds(800)), 1U);
  EXPECT_EQ(stack.counters().of(Count::timeouts), 1U);
  stack.transmitted(frames[0].hold);
}

TEST(tcp_output, tagged_frames_reach_a_tagged_peer) {
  Interface interface;
  interface.vlan = 42;
  NetPair pair(NetPair::small_limits(), interface);
  pair.open();
  std::vector<std::byte> bytes(5000);
  pair.send(0, bytes);
  pair.run(milliseconds(50));
  EXPECT_EQ(pair.ends[1].received, 5000U);
}

// RFC 7661 and burst limits apart: what is paced goes in the time it should.
TEST(tcp_output, a_long_path_is_paced) {
  NetPair pair(NetPair::small_limits(), {}, milliseconds(20));
  pair.open();
  pair.run(milliseconds(200));
  std::vector<std::byte> bytes(100'000);
  pair.send(0, bytes);
  std::array<TxFrame, 64> frames;
  const std::size_t count = pair.ends[0].stack->output(frames, pair.now);
  EXPECT_GE(count, 1U);
  EXPECT_LT(count, 10U);   // The window would allow ten at once.
  EXPECT_NE(pair.ends[0].stack->next_deadline(), pair.now);
  for (std::size_t i = 0; i < count; ++i) pair.ends[0].stack->transmitted(frames[i].hold);
}

}  // namespace
}  // namespace tailrace::net
