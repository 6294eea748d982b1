#include "io/uring/send_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace tailrace::io {
namespace {

std::string described(SendQueue& queue, const SendList& list) {
  std::string text;
  const msghdr* message = queue.describe(list);
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const iovec& piece = message->msg_iov[i];
    text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  return text;
}

TEST(SendQueue, DescribesSeveralSendsAsOneAndAdvancesThroughThem) {
  SendQueue queue(4, 16);
  SendList list;
  const Bytes first[] = {as_bytes("ab"), as_bytes(""), as_bytes("cde")};
  const Bytes second[] = {as_bytes("fgh")};
  ASSERT_TRUE(queue.push(list, first, 1));
  ASSERT_TRUE(queue.push(list, second, 2));
  EXPECT_EQ(described(queue, list), "abcdefgh");
  queue.advance(list, 3);   // In the middle of a slice.
  EXPECT_EQ(described(queue, list), "defgh");
  EXPECT_FALSE(queue.front_is_done(list));
  queue.advance(list, 3);   // Across the border of two sends.
  ASSERT_TRUE(queue.front_is_done(list));
  EXPECT_EQ(described(queue, list), "gh");
  const std::uint32_t slot = queue.pop(list);
  EXPECT_EQ(queue.token(slot), 1u);
  queue.free_slot(slot);
  EXPECT_FALSE(queue.front_is_done(list));
}

TEST(SendQueue, TakesAllOfASendOrNothing) {
  SendQueue queue(2, 3);
  SendList list;
  const Bytes two[] = {as_bytes("a"), as_bytes("b")};
  ASSERT_TRUE(queue.push(list, two, 1));
  EXPECT_FALSE(queue.push(list, two, 2));   // One slice is left.
  queue.advance(list, 2);
  queue.free_slot(queue.pop(list));
  EXPECT_TRUE(queue.push(list, two, 2));
  EXPECT_TRUE(queue.push(list, {}, 3));
  EXPECT_FALSE(queue.push(list, {}, 4));   // No slot is left.
}

TEST(SendQueue, APoppedSendGivesItsUnsentSlicesBack) {
  SendQueue queue(2, 2);
  SendList list;
  const Bytes two[] = {as_bytes("a"), as_bytes("b")};
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(queue.push(list, two, 1));
    queue.free_slot(queue.pop(list));
  }
}

TEST(SendQueue, SaysWhenTheScratchAreaIsFull) {
  SendQueue queue(2, 2);
  SendList list;
  const Bytes one[] = {as_bytes("a")};
  ASSERT_TRUE(queue.push(list, one, 1));
  int described_count = 0;
  while (queue.describe(list) != nullptr) ASSERT_LT(++described_count, 100'000);
  EXPECT_GT(described_count, 100);
  queue.forget_described();
  EXPECT_NE(queue.describe(list), nullptr);
}

}  // namespace
}  // namespace tailrace::io
