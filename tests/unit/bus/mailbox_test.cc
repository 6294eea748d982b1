#include "bus/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <thread>

namespace tailrace::bus {
namespace {

TEST(Mailbox, KeepsOrderAndRefusesWhenFull) {
  Mailbox<int> mailbox(4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(mailbox.push(i));
  EXPECT_FALSE(mailbox.push(4));
  std::array<int, 3> items{};
  EXPECT_EQ(mailbox.pop(items), 3u);
  EXPECT_EQ(items, (std::array<int, 3>{0, 1, 2}));
  EXPECT_TRUE(mailbox.push(4));
  EXPECT_EQ(mailbox.pop(items), 2u);
  EXPECT_EQ(items[1], 4);
  EXPECT_TRUE(mailbox.empty());
}

TEST(Mailbox, ASleeperIsToldToBeWoken) {
  Mailbox<int> mailbox(4);
  EXPECT_FALSE(mailbox.wants_wake());
  mailbox.prepare_sleep();
  EXPECT_TRUE(mailbox.wants_wake());
  mailbox.end_sleep();
  EXPECT_FALSE(mailbox.wants_wake());
}

// The simulator covers orderings of messages, not of memory: this test, under TSan, does.
TEST(Mailbox, TwoThreadsLoseAndReorderNothing) {
  constexpr std::uint64_t count = 200'000;
  Mailbox<std::uint64_t> mailbox(64);
  std::thread sender([&] {
    for (std::uint64_t i = 0; i < count;) {
      if (mailbox.push(i)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::array<std::uint64_t, 16> items{};
  std::uint64_t expected = 0;
  while (expected < count) {
    const std::size_t taken = mailbox.pop(items);
    for (std::size_t i = 0; i < taken; ++i) ASSERT_EQ(items[i], expected++);
    if (taken == 0) std::this_thread::yield();
  }
  sender.join();
  EXPECT_TRUE(mailbox.empty());
}

}  // namespace
}  // namespace tailrace::bus
