#include "net/secrets.h"

#include <gtest/gtest.h>

#include <set>

namespace tailrace::net {
namespace {

const Flow flow_a{{IpAddress::v4(10, 0, 0, 1), 9092}, {IpAddress::v4(10, 0, 0, 2), 40'000}};
const Flow flow_b{{IpAddress::v4(10, 0, 0, 1), 9092}, {IpAddress::v4(10, 0, 0, 2), 40'001}};
constexpr Instant secrets_now{seconds(1000).ns};

Secrets secrets_of(std::uint8_t first) {
  SipKey key{};
  key[0] = first;
  return Secrets(key);
}

// RFC 6528, 3.
TEST(secrets, a_later_connection_of_the_same_flow_begins_higher) {
  const Secrets secrets = secrets_of(1);
  const Seq first = secrets.initial_seq(flow_a, secrets_now);
  EXPECT_EQ(secrets.initial_seq(flow_a, secrets_now + seconds(1)) - first, 250'000U);
}

TEST(secrets, flows_and_keys_say_nothing_of_each_other) {
  const Secrets secrets = secrets_of(1);
  const Seq here = secrets.initial_seq(flow_a, secrets_now);
  EXPECT_NE(here, secrets.initial_seq(flow_b, secrets_now));
  EXPECT_NE(here, secrets_of(2).initial_seq(flow_a, secrets_now));
  EXPECT_NE(secrets.timestamp_offset(flow_a), secrets.timestamp_offset(flow_b));
  EXPECT_NE(secrets.timestamp_offset(flow_a), here.value);
}

// Whoever sees its own numbers must not come near another's (the ISN of TAS was a constant).
TEST(secrets, neighbouring_flows_differ_in_about_half_of_the_bits) {
  const Secrets secrets = secrets_of(3);
  std::uint64_t bits = 0;
  constexpr int rounds = 2000;
  for (int i = 0; i < rounds; ++i) {
    Flow one = flow_a;
    one.remote.port = static_cast<std::uint16_t>(10'000 + i);
    Flow two = one;
    two.remote.port = static_cast<std::uint16_t>(10'001 + i);
    bits += static_cast<std::uint64_t>(
        __builtin_popcount(secrets.initial_seq(one, secrets_now).value ^
                           secrets.initial_seq(two, secrets_now).value));
  }
  EXPECT_NEAR(static_cast<double>(bits) / rounds, 16, 0.5);
}

// RFC 6056, 3.3.
TEST(secrets, ports_are_tried_one_after_the_other_from_a_secret_start) {
  const Secrets secrets = secrets_of(1);
  std::set<std::uint16_t> ports;
  for (std::uint32_t n = 0; n < 1000; ++n) {
    const std::uint16_t port = secrets.source_port(flow_a.local.address, flow_a.remote, n);
    EXPECT_GE(port, 32'768);
    EXPECT_LT(port, 61'000);
    ports.insert(port);
  }
  EXPECT_EQ(ports.size(), 1000U);
  EXPECT_NE(secrets.source_port(flow_a.local.address, flow_a.remote, 0),
            secrets_of(2).source_port(flow_a.local.address, flow_a.remote, 0));
}

TEST(secrets, a_cookie_gives_back_what_it_carries) {
  const Secrets secrets = secrets_of(1);
  for (std::uint8_t scale = 0; scale <= 15; ++scale) {
    const CookieContents contents{.mss = 1460,
                                  .has_timestamp = true,
                                  .sack_permitted = scale % 2 == 0,
                                  .ecn = scale % 3 == 0,
                                  .window_scale = scale == 15 ? std::uint8_t{0xff} : scale};
    const Seq cookie = secrets.cookie(flow_a, {77}, contents, secrets_now);
    const std::uint32_t stamp = Secrets::cookie_timestamp(1'000'000, contents);
    EXPECT_LE(stamp, 1'000'000U);
    const auto back = secrets.check_cookie(flow_a, {77}, cookie, stamp, secrets_now + seconds(60));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->mss, 1460);
    EXPECT_EQ(back->sack_permitted, contents.sack_permitted);
    EXPECT_EQ(back->ecn, contents.ecn);
    EXPECT_EQ(back->window_scale, contents.window_scale);
  }
}

TEST(secrets, a_cookie_is_for_one_flow_one_syn_and_two_minutes) {
  const Secrets secrets = secrets_of(1);
  const Seq cookie = secrets.cookie(flow_a, {77}, {}, secrets_now);
  const auto is_good = [&](const Flow& flow, Seq seq, Seq value, Instant when) {
    return secrets.check_cookie(flow, seq, value, std::nullopt, when).has_value();
  };
  EXPECT_TRUE(is_good(flow_a, {77}, cookie, secrets_now));
  EXPECT_FALSE(is_good(flow_b, {77}, cookie, secrets_now));
  EXPECT_FALSE(is_good(flow_a, {78}, cookie, secrets_now));
  EXPECT_FALSE(is_good(flow_a, {77}, cookie + 1, secrets_now));
  EXPECT_FALSE(is_good(flow_a, {77}, cookie, secrets_now + seconds(130)));
}

}  // namespace
}  // namespace tailrace::net
