#include "net/neighbours.h"

#include <gtest/gtest.h>

namespace tailrace::net {
namespace {

const IpAddress one = IpAddress::v4(10, 0, 0, 1);
const MacAddress mac{{2, 0, 0, 0, 0, 1}};
const MacAddress other_mac{{2, 0, 0, 0, 0, 9}};
constexpr Instant start{seconds(100).ns};

TEST(neighbours, an_unknown_one_is_asked_for_three_times) {
  Neighbours table(16, 1);
  NeighbourRef ref;
  EXPECT_EQ(table.resolve(one, ref, start), nullptr);
  NeighbourQuestion question;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(table.take_question(start + seconds(i), question)) << i;
    EXPECT_EQ(question.address, one);
    EXPECT_TRUE(question.mac.is_zero());
    EXPECT_FALSE(table.take_question(start + seconds(i), question));
  }
  EXPECT_FALSE(table.take_question(start + seconds(3), question));
  EXPECT_EQ(table.take_failures(), 1U);
  EXPECT_EQ(table.next_deadline(), never());
}

TEST(neighbours, an_answer_is_kept) {
  Neighbours table(16, 1);
  NeighbourRef ref;
  EXPECT_EQ(table.resolve(one, ref, start), nullptr);
  EXPECT_TRUE(table.learn({.address = one, .mac = mac, .is_answer = true}, start));
  ASSERT_NE(table.resolve(one, ref, start), nullptr);
  EXPECT_EQ(*table.resolve(one, ref, start), mac);
  NeighbourQuestion question;
  EXPECT_FALSE(table.take_question(start + seconds(5), question));
}

TEST(neighbours, what_was_not_asked_for_makes_no_entry) {
  Neighbours table(16, 1);
  EXPECT_FALSE(table.learn({.address = one, .mac = mac, .is_answer = true}, start));
  NeighbourRef ref;
  EXPECT_EQ(table.resolve(one, ref, start), nullptr);
}

TEST(neighbours, a_quiet_one_is_used_and_asked_again_by_its_own_address) {
  Neighbours table(16, 1);
  NeighbourRef ref = table.refer(one, start);
  table.learn({.address = one, .mac = mac, .is_answer = true}, start);
  const Instant later = start + seconds(31);
  EXPECT_NE(table.resolve(one, ref, later), nullptr);
  NeighbourQuestion question;
  EXPECT_TRUE(table.take_question(later, question));
  EXPECT_EQ(question.mac, mac);
  // TCP's progress is as good as an answer.
  table.confirm(ref, later);
  EXPECT_FALSE(table.take_question(later + seconds(5), question));
  EXPECT_NE(table.resolve(one, ref, later + seconds(5)), nullptr);
}

TEST(neighbours, another_link_address_is_taken_only_where_it_may_be) {
  Neighbours table(16, 1);
  NeighbourRef ref = table.refer(one, start);
  table.learn({.address = one, .mac = mac, .is_answer = true}, start);
  table.learn({.address = one, .mac = other_mac, .may_replace = false}, start);
  EXPECT_EQ(*table.resolve(one, ref, start), mac);
  table.learn({.address = one, .mac = other_mac}, start);
  EXPECT_EQ(*table.resolve(one, ref, start), other_mac);
}

TEST(neighbours, one_frame_waits_for_each) {
  Neighbours table(16, 1);
  const NeighbourRef ref = table.refer(one, start);
  EXPECT_EQ(table.wait_with(ref, 5), Neighbours::no_frame);
  EXPECT_EQ(table.wait_with(ref, 6), 5U);
  EXPECT_EQ(table.take_waiting(), Neighbours::no_frame);
  table.learn({.address = one, .mac = mac}, start);
  EXPECT_EQ(table.take_waiting(), 6U);
  EXPECT_EQ(table.take_waiting(), Neighbours::no_frame);
}

// They differ in the last byte, or the last two.
TEST(neighbours, all_of_a_network_have_room) {
  for (std::uint64_t key = 1; key < 20; ++key) {
    Neighbours table(1024, key * 0x1234567);
    for (std::uint8_t i = 1; i < 255; ++i) {
      const IpAddress address = IpAddress::v4(10, 0, static_cast<std::uint8_t>(i & 3), i);
      EXPECT_TRUE(table.learn(
          {.address = address, .mac = mac, .is_answer = true, .may_add = true}, start));
    }
    int known = 0;
    for (std::uint8_t i = 1; i < 255; ++i) {
      const IpAddress address = IpAddress::v4(10, 0, static_cast<std::uint8_t>(i & 3), i);
      NeighbourRef ref = table.refer(address, start);
      known += table.resolve(address, ref, start) != nullptr ? 1 : 0;
    }
    EXPECT_GE(known, 250) << key;
  }
}

TEST(neighbours, many_strangers_do_not_grow_the_table) {
  Neighbours table(16, 1);
  NeighbourRef known = table.refer(one, start);
  table.learn({.address = one, .mac = mac, .is_answer = true}, start);
  for (int i = 0; i < 10'000; ++i) {
    table.refer(IpAddress::v4(10, 1, static_cast<std::uint8_t>(i >> 8),
                              static_cast<std::uint8_t>(i)), start + milliseconds(i));
    // In use, so it stays: strangers that do not answer go first.
    ASSERT_NE(table.resolve(one, known, start + milliseconds(i)), nullptr);
  }
}

}  // namespace
}  // namespace tailrace::net
