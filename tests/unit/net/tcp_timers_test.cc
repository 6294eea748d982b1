// The times of each timer are in scripts/send.txt; here is what holds for all.
#include <gtest/gtest.h>

#include "../../support/net_pair.h"

namespace tailrace::net {
namespace {

TEST(tcp_timers, an_idle_connection_waits_for_its_keepalive_alone) {
  NetPair pair;
  pair.open();
  pair.run(seconds(1));
  const Instant next = pair.ends[0].stack->next_deadline();
  EXPECT_GT(next, pair.now + seconds(1));
  EXPECT_LE(next, pair.now + seconds(601));
}

TEST(tcp_timers, a_stall_of_the_core_is_no_loss) {
  NetPair pair;
  pair.open();
  const std::vector<std::byte> bytes(5000);
  pair.send(0, bytes);
  pair.run(microseconds(100));
  // The ACKs are there, and only then comes a turn, long after the time-out.
  pair.now = pair.now + seconds(2);
  pair.run(milliseconds(1));
  EXPECT_EQ(pair.ends[0].stack->counters().of(Count::timeouts), 0U);
}

TEST(tcp_timers, a_peer_that_is_gone_is_given_up) {
  NetPair pair;
  pair.open();
  pair.drop = [](int, Bytes) { return true; };
  const std::vector<std::byte> bytes(5000);
  pair.send(0, bytes, 5);
  for (int i = 0; i < 2000 && !pair.ends[0].closed; ++i) {
    pair.now = pair.now + milliseconds(100);
    pair.run(microseconds(50));
  }
  EXPECT_TRUE(pair.ends[0].closed);
  EXPECT_EQ(pair.ends[0].done, std::vector<std::uint64_t>{5});
  EXPECT_EQ(pair.ends[0].stack->counters().of(Count::user_timeouts), 1U);
}

}  // namespace
}  // namespace tailrace::net
