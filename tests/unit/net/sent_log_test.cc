#include "net/sent_log.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace tailrace::net {
namespace {

// Whatever is done to the log in whatever order: what it keeps count of is what is in it.
TEST(sent_log, its_sums_are_always_right) {
  for (std::uint64_t seed = 1; seed < 200; ++seed) {
    Prng prng(seed);
    SentMemory memory(64);
    SentLog log;
    Seq next{0xffff'f000};
    Instant now{1000};
    for (int step = 0; step < 300; ++step) {
      now.ns += static_cast<std::int64_t>(prng.below(3));
      std::uint32_t index = log.head;
      for (std::uint64_t i = log.count == 0 ? 0 : prng.below(log.count); i > 0; --i) {
        index = memory[index].next;
      }
      switch (prng.below(8)) {
        case 0:
        case 1:
          if (!memory.has_room()) break;
          memory.append(log, next, 100, {}, false, now);
          next += 100;
          break;
        case 2:
          if (log.head != none && prng.chance(1, 4)) memory.pop_front(log);
          break;
        case 3:
          if (index != none && !memory[index].sacked) memory.mark_sacked(log, index);
          break;
        case 4:
          if (index != none && !memory[index].sacked) memory.mark_lost(log, index);
          break;
        case 5:
          if (log.to_resend_bytes() > 0) memory.mark_resent(log, memory.next_to_resend(log), now);
          break;
        case 6:
          if (index != none && memory[index].length > 1) {
            memory.split(log, index, memory[index].length / 2, {});
          }
          break;
        case 7:
          if (prng.chance(1, 20)) memory.forget_sacks(log);
          if (index != none && prng.chance(1, 4)) memory.unmark_lost(log, index);
          break;
      }
      ASSERT_TRUE(memory.counts_are_right(log)) << seed << " " << step;
    }
    memory.drop_all(log);
    EXPECT_EQ(memory.records_used(), 0U);
    EXPECT_EQ(log.pipe(), 0U);
  }
}

TEST(sent_log, lost_ones_are_sent_again_lowest_first) {
  SentMemory memory(8);
  SentLog log;
  const Instant now{1};
  const std::uint32_t a = memory.append(log, {0}, 10, {}, false, now);
  const std::uint32_t b = memory.append(log, {10}, 10, {}, false, now);
  memory.append(log, {20}, 10, {}, false, now);
  EXPECT_EQ(memory.next_to_resend(log), none);
  memory.mark_lost(log, b);
  EXPECT_EQ(memory.next_to_resend(log), b);
  memory.mark_lost(log, a);
  EXPECT_EQ(memory.next_to_resend(log), a);
  EXPECT_EQ(log.pipe(), 10U);
  memory.mark_resent(log, a, now);
  EXPECT_EQ(log.pipe(), 20U);
  EXPECT_EQ(memory.next_to_resend(log), b);
  memory.mark_lost(log, a);   // The copy, too.
  EXPECT_EQ(memory.next_to_resend(log), a);
}

}  // namespace
}  // namespace tailrace::net
