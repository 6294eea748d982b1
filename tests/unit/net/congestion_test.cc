#include "net/congestion.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tailrace::net {
namespace {

constexpr std::uint32_t segment = 1000;

Congestion::Ack ack_of(std::uint32_t bytes, Instant now, Duration rtt = milliseconds(10)) {
  return {.bytes = bytes, .segment = segment, .window_max = 100'000'000, .acked_to = {0},
          .sent_to = {1000}, .rtt = rtt, .sample = rtt, .now = now};
}

// RFC 6928, 2.
TEST(congestion, begins_with_ten_segments_or_14600_bytes) {
  Congestion c;
  c.start(1460, 10, {0});
  EXPECT_EQ(c.window, 14'600U);
  c.start(536, 10, {0});
  EXPECT_EQ(c.window, 5360U);
  c.start(8960, 10, {0});
  EXPECT_EQ(c.window, 17'920U);
}

// RFC 7661: what the application did not use says nothing about the path.
TEST(congestion, grows_only_while_it_is_what_limits) {
  Congestion c;
  c.start(segment, 10, {0});
  c.on_ack(ack_of(5000, {}));
  EXPECT_EQ(c.window, 10'000U);
  c.is_limiting = true;
  c.on_ack(ack_of(5000, {}));
  EXPECT_EQ(c.window, 15'000U);
}

// RFC 9438, 4.2: back at the old window after K = cbrt(W (1 - beta) / C) seconds.
TEST(congestion, cubic_comes_back_to_where_it_was_after_k) {
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 1'000'000;
  c.on_congestion(segment, false);
  EXPECT_EQ(c.threshold, 700'000U);
  c.window = c.threshold;
  c.is_limiting = true;
  const double k = std::cbrt(1000 * 0.3 / 0.4);
  Instant now{};
  const Duration rtt = milliseconds(50);
  std::uint32_t before_k = 0;
  while (static_cast<double>(now.ns) < 1.5 * k * 1e9) {
    if (static_cast<double>(now.ns) < k * 1e9) before_k = c.window;
    for (std::uint32_t acked = 0; acked < c.window; acked += 20'000) {
      c.on_ack(ack_of(20'000, now, rtt));
    }
    now = now + rtt;
  }
  EXPECT_NEAR(before_k, 1'000'000, 30'000);
  EXPECT_GT(c.window, 1'020'000U);
}

// RFC 9438, 4.3: on short paths not slower than Reno, about half a segment a round trip.
TEST(congestion, cubic_is_not_slower_than_reno) {
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 20'000;
  c.on_congestion(segment, false);
  c.window = c.threshold;
  c.is_limiting = true;
  Instant now{};
  for (int round = 0; round < 20; ++round) {
    now = now + microseconds(100);
    for (std::uint32_t acked = 0; acked < c.window; acked += segment) {
      c.on_ack(ack_of(segment, now, microseconds(100)));
    }
  }
  EXPECT_GE(c.window, 14'000U + 10 * segment / 2);
  EXPECT_LE(c.window, 14'000U + 25 * segment);
}

// RFC 9438, 4.7.
TEST(congestion, a_second_loss_below_the_peak_leaves_room_for_others) {
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 100'000;
  c.on_congestion(segment, false);
  c.window = c.threshold;
  c.on_congestion(segment, false);
  EXPECT_EQ(c.threshold, 49'000U);
}

TEST(congestion, ecn_costs_less_than_loss) {   // RFC 8511.
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 100'000;
  c.on_congestion(segment, true);
  EXPECT_EQ(c.threshold, 85'000U);
}

TEST(congestion, is_never_below_two_segments) {   // RFC 5681, equation 4.
  Congestion c;
  c.start(segment, 1, {0});
  c.on_congestion(segment, false);
  EXPECT_EQ(c.threshold, 2 * segment);
}

TEST(congestion, a_mistake_is_taken_back) {   // RFC 4015.
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 50'000;
  c.on_congestion(segment, false);
  c.on_timeout(segment);
  c.restore();
  EXPECT_EQ(c.window, 50'000U);
  EXPECT_EQ(c.threshold, no_threshold);
}

TEST(congestion, shrinks_while_nothing_is_sent) {
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 80'000;
  c.on_idle(milliseconds(900), milliseconds(300), 10'000);
  EXPECT_EQ(c.window, 20'000U);
  c.on_idle(seconds(900), milliseconds(300), 10'000);
  EXPECT_EQ(c.window, 10'000U);
}

// RFC 6937, 4: over a recovery as much goes out as seven tenths of what was delivered, evenly.
TEST(congestion, prr_spreads_a_reduction_over_the_round_trip) {
  Congestion c;
  c.start(segment, 10, {0});
  c.window = 100'000;
  c.on_congestion(segment, false);
  c.begin_reduction(100'000);
  std::uint32_t pipe = 99'000;
  std::uint32_t sent = 0;
  for (int i = 0; i < 100; ++i) {
    pipe -= segment;
    c.reduce(segment, pipe, segment, false);
    while (c.window >= pipe + segment) {
      c.on_sent_in_reduction(segment);
      pipe += segment;
      sent += segment;
    }
  }
  EXPECT_NEAR(sent, 70'000, 2000);
  EXPECT_NEAR(pipe, 70'000, 2000);
}

// RFC 9406, 4.2: a round trip that grows by an eighth ends slow start, five rounds later for good.
TEST(hystart, a_growing_round_trip_ends_slow_start) {
  HyStart h;
  Seq sent{100};
  h.round_end = sent;
  const auto round = [&](Duration rtt) {
    bool is_over = false;
    for (int i = 0; i < 10; ++i) is_over |= h.on_ack(h.round_end - 1, sent, rtt);
    sent += 1000;
    return h.on_ack(h.round_end, sent, rtt) || is_over;
  };
  EXPECT_FALSE(round(milliseconds(40)));
  EXPECT_FALSE(round(milliseconds(41)));
  EXPECT_FALSE(h.is_cautious);
  EXPECT_FALSE(round(milliseconds(50)));
  EXPECT_TRUE(h.is_cautious);
  EXPECT_FALSE(round(milliseconds(50)));
  EXPECT_FALSE(round(milliseconds(50)));
  EXPECT_FALSE(round(milliseconds(50)));
  EXPECT_TRUE(round(milliseconds(50)));
}

TEST(hystart, a_round_trip_that_shrinks_again_was_a_false_alarm) {
  HyStart h;
  Seq sent{100};
  h.round_end = sent;
  for (const int ms : {40, 50, 40}) {
    for (int i = 0; i < 10; ++i) h.on_ack(h.round_end - 1, sent, milliseconds(ms));
    EXPECT_EQ(h.is_cautious, ms == 50);
    sent += 1000;
    h.on_ack(h.round_end, sent, milliseconds(ms));
  }
}

}  // namespace
}  // namespace tailrace::net
