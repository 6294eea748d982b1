#include "net/send_queue.h"

#include <gtest/gtest.h>

#include <array>

namespace tailrace::net {
namespace {

struct Queue {
  SendMemory memory{4, 8, 4};
  SendQueue queue;
  std::array<std::byte, 100> bytes{};

  bool push(std::size_t from, std::size_t size, std::uint64_t token) {
    const Bytes slice = Bytes(bytes).subspan(from, size);
    return memory.push(queue, 0, {&slice, 1}, token);
  }
};

TEST(send_queue, a_send_is_done_when_all_of_it_is_acknowledged) {
  Queue q;
  EXPECT_TRUE(q.push(0, 10, 1));
  EXPECT_TRUE(q.push(10, 10, 2));
  q.memory.acknowledge(q.queue, 9);
  EXPECT_FALSE(q.memory.has_finished());
  q.memory.acknowledge(q.queue, 11);
  EXPECT_EQ(q.memory.take_finished().token, 1U);
  EXPECT_EQ(q.memory.take_finished().token, 2U);
  EXPECT_FALSE(q.memory.has_finished());
  EXPECT_EQ(q.memory.sends_used(), 0U);
  EXPECT_EQ(q.memory.slices_used(), 0U);
}

// openucx/ucx 11246: a buffer was freed on its ACK while the NIC still read a copy's.
TEST(send_queue, a_send_is_not_done_while_the_device_holds_a_frame_of_it) {
  Queue q;
  q.push(0, 10, 1);
  q.push(10, 10, 2);
  TxFrame first;
  TxFrame again;
  StreamPos after;
  EXPECT_EQ(q.memory.gather(q.queue.unsent, 15, first, after), 15U);
  EXPECT_EQ(first.slice_count, 2);
  EXPECT_EQ(q.memory.gather(q.queue.unsent, 5, again, after), 5U);
  q.memory.acknowledge(q.queue, 20);
  EXPECT_FALSE(q.memory.has_finished());
  q.memory.release(first.hold);
  EXPECT_EQ(q.memory.take_finished().token, 2U);
  EXPECT_FALSE(q.memory.has_finished());
  q.memory.release(again.hold);
  EXPECT_EQ(q.memory.take_finished().token, 1U);
}

TEST(send_queue, all_or_nothing) {
  Queue q;
  const std::array<Bytes, 9> many{Bytes(q.bytes), Bytes(q.bytes), Bytes(q.bytes),
                                  Bytes(q.bytes), Bytes(q.bytes), Bytes(q.bytes),
                                  Bytes(q.bytes), Bytes(q.bytes), Bytes(q.bytes)};
  EXPECT_FALSE(q.memory.push(q.queue, 0, many, 1));
  EXPECT_EQ(q.memory.slices_used(), 0U);
  for (std::uint64_t token = 0; token < 4; ++token) EXPECT_TRUE(q.push(0, 1, token));
  EXPECT_FALSE(q.push(0, 1, 9));
}

TEST(send_queue, a_send_without_bytes_is_done_at_once) {
  Queue q;
  EXPECT_TRUE(q.push(0, 0, 7));
  EXPECT_EQ(q.memory.take_finished().token, 7U);
}

TEST(send_queue, places_are_found_across_slices) {
  Queue q;
  q.push(0, 10, 1);
  q.push(10, 10, 2);
  const StreamPos start = q.queue.unsent;
  TxFrame frame;
  StreamPos after;
  q.memory.gather(q.memory.advance(start, 5), 10, frame, after);
  ASSERT_EQ(frame.slice_count, 2);
  EXPECT_EQ(frame.slices[0].data(), q.bytes.data() + 5);
  EXPECT_EQ(frame.slices[0].size(), 5U);
  EXPECT_EQ(frame.slices[1].data(), q.bytes.data() + 10);
  EXPECT_EQ(frame.slices[1].size(), 5U);
  EXPECT_EQ(after.offset, 5U);
}

TEST(send_queue, without_a_hold_nothing_is_gathered) {
  Queue q;
  q.push(0, 10, 1);
  StreamPos after;
  for (int i = 0; i < 4; ++i) {
    TxFrame frame;
    EXPECT_EQ(q.memory.gather(q.queue.unsent, 1, frame, after), 1U);
  }
  TxFrame frame;
  EXPECT_EQ(q.memory.gather(q.queue.unsent, 1, frame, after), 0U);
}

TEST(send_queue, a_dropped_queue_gives_all_sends_back) {
  Queue q;
  q.push(0, 10, 1);
  q.push(10, 10, 2);
  q.memory.drop_all(q.queue);
  EXPECT_EQ(q.memory.take_finished().token, 1U);
  EXPECT_EQ(q.memory.take_finished().token, 2U);
  EXPECT_EQ(q.memory.slices_used(), 0U);
}

}  // namespace
}  // namespace tailrace::net
