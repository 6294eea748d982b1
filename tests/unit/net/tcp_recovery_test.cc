// Losses of a known pattern, and what they may cost.
#include <gtest/gtest.h>

#include "../../support/net_pair.h"
#include "base/prng.h"

namespace tailrace::net {
namespace {

struct Loss {
  std::uint64_t timeouts = 0;
  std::uint64_t retransmits = 0;
  std::uint64_t doubles = 0;
  std::uint64_t received = 0;
  std::int64_t ms = 0;
};

// Sends `size` bytes; of the data frames those are lost that `is_lost` says.
Loss transfer(std::size_t size, const Interface& interface,
              const std::function<bool(std::uint64_t)>& is_lost,
              Duration delay = microseconds(200)) {
  NetPair pair(NetPair::small_limits(), interface, delay);
  pair.open();
  std::uint64_t count = 0;
  pair.drop = [&](int from, Bytes frame) {
    return from == 0 && frame.size() > 500 && is_lost(++count);
  };
  const std::vector<std::byte> bytes(size);
  pair.send(0, bytes);
  const Instant began = pair.now;
  while (pair.ends[0].done.empty() && pair.now - began < seconds(60)) pair.run(milliseconds(1));
  const Counters& counters = pair.ends[0].stack->counters();
  return {counters.of(Count::timeouts), counters.of(Count::retransmits),
          pair.ends[1].stack->counters().of(Count::duplicate_data), pair.ends[1].received,
          (pair.now - began).ns / 1'000'000};
}

TEST(tcp_recovery, one_loss_costs_one_retransmission) {
  const Loss loss = transfer(300'000, {}, [](std::uint64_t n) { return n == 50; });
  EXPECT_EQ(loss.received, 300'000U);
  EXPECT_EQ(loss.timeouts, 0U);
  EXPECT_EQ(loss.retransmits, 1U);
  EXPECT_EQ(loss.doubles, 0U);
}

TEST(tcp_recovery, many_losses_of_one_window_cost_no_time_out) {
  const Loss loss =
      transfer(300'000, {}, [](std::uint64_t n) { return n > 60 && n < 100 && n % 2 == 0; });
  EXPECT_EQ(loss.received, 300'000U);
  EXPECT_EQ(loss.timeouts, 0U);
  EXPECT_LE(loss.retransmits, 40U);   // Some of those are lost, too.
}

TEST(tcp_recovery, a_retransmission_that_is_lost_is_found_without_a_time_out) {
  std::uint64_t dropped = 0;
  const Loss loss = transfer(600'000, {}, [&](std::uint64_t n) {
    // The 50th segment, and whatever comes first after a window: its retransmission.
    return n == 50 || (n > 60 && n < 130 && n % 30 == 0 && ++dropped < 3);
  });
  EXPECT_EQ(loss.timeouts, 0U);
  EXPECT_EQ(loss.received, 600'000U);
}

TEST(tcp_recovery, the_lost_tail_costs_no_time_out) {
  const Loss loss = transfer(14'000, {}, [](std::uint64_t n) { return n == 10; });
  EXPECT_EQ(loss.timeouts, 0U);
  EXPECT_LT(loss.ms, 150);
}

// RFC 6582: without SACK one hole a round trip. The segments behind a hole come in one burst, and
// each must be told, or the sender does not count three.
TEST(tcp_recovery, without_sack_holes_are_filled_one_by_one) {
  Interface interface;
  interface.use_sack = false;
  const Loss loss = transfer(300'000, interface, [](std::uint64_t n) {
    return n == 60 || n == 64 || n == 70;
  });
  EXPECT_EQ(loss.received, 300'000U);
  EXPECT_EQ(loss.timeouts, 0U);
  EXPECT_EQ(loss.retransmits, 3U);
  EXPECT_LT(loss.ms, 50);
}

TEST(tcp_recovery, one_in_a_hundred_costs_no_time_out) {
  Prng prng(7);
  const Loss loss = transfer(3'000'000, {}, [&](std::uint64_t) { return prng.chance(1, 100); });
  EXPECT_EQ(loss.received, 3'000'000U);
  EXPECT_EQ(loss.timeouts, 0U);
  EXPECT_LE(loss.doubles, 3U);
}

TEST(tcp_recovery, nothing_is_sent_twice_without_loss) {
  const Loss loss = transfer(3'000'000, {}, [](std::uint64_t) { return false; });
  EXPECT_EQ(loss.retransmits, 0U);
  EXPECT_EQ(loss.timeouts, 0U);
}

}  // namespace
}  // namespace tailrace::net
