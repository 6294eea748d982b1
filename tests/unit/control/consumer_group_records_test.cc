// Records of the consumer protocol: in Kafka's bytes, and read back as they were.
#include "control/consumer_group_records.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

using Kind = RecordKey::Kind;

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[static_cast<int>(byte) >> 4];
    text += digits[static_cast<int>(byte) & 15];
  }
  return text;
}

TEST(ConsumerGroupRecords, KeysAreKafkas) {
  EXPECT_EQ(hex(encode_consumer_key(Kind::consumer_group, "g")), "0003000167");
  EXPECT_EQ(hex(encode_consumer_key(Kind::consumer_member, "g", "m")), "000500016700016d");
  EXPECT_EQ(hex(encode_consumer_key(Kind::target_epoch, "g")), "0006000167");
  EXPECT_EQ(hex(encode_consumer_key(Kind::target, "g", "m")), "000700016700016d");
  EXPECT_EQ(hex(encode_consumer_key(Kind::current_assignment, "g", "m")), "000800016700016d");
  const ByteString key = encode_consumer_key(Kind::current_assignment, "g", "m");
  const auto read = parse_record_key(key);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, Kind::current_assignment);
  EXPECT_EQ(read->group, "g");
  EXPECT_EQ(read->member, "m");
  EXPECT_FALSE(parse_record_key(Bytes(key).first(6)));
}

TEST(ConsumerGroupRecords, ValuesAreKafkas) {
  EXPECT_EQ(hex(encode_value(ConsumerGroupRecord{3, 0})), "00000000000300");
  EXPECT_EQ(hex(encode_value(ConsumerGroupRecord{3, 5})), "0000000000030100080000000000000005");
  EXPECT_EQ(hex(encode_target_epoch(3)), "00000000000300");
  const Assignment two = {{Uuid{}, 1}, {Uuid{}, 2}};
  const std::string of_two = "02" + std::string(32, '0') + "03" + "0000000100000002" + "00";
  EXPECT_EQ(hex(encode_target(two)), "0000" + of_two + "00");
  EXPECT_EQ(hex(encode_value(CurrentAssignmentRecord{3, 2, MemberState::unrevoked, two, {}})),
            "0000" "00000003" "00000002" "01" + of_two + "01" "00");
  const ConsumerMemberRecord plain{.client_id = "c", .topics = {"t"}, .rebalance_timeout_ms = 5};
  EXPECT_EQ(hex(encode_value(plain)),
            "0000" "00" "00" "0263" "01" "020274" "00" "00000005" "00" "00");
}

TEST(ConsumerGroupRecords, ValuesReadBackAsTheyWere) {
  const Assignment some = {{Uuid{{1}}, 0}, {Uuid{{1}}, 4}, {Uuid{{2}}, 0}};
  ConsumerMemberRecord member{.instance_id = "i", .rack_id = "r", .client_id = "c",
                              .client_host = "h", .topics = {"a", "b"}, .regex = "x.*",
                              .rebalance_timeout_ms = 7, .assignor = "range"};
  EXPECT_EQ(*parse_consumer_member(encode_value(member)), member);
  member.classic = ClassicMember{9, {{"range", ByteString(3)}, {"other", {}}}};
  EXPECT_EQ(*parse_consumer_member(encode_value(member)), member);
  const CurrentAssignmentRecord current{3, 2, MemberState::unreleased, some, some};
  EXPECT_EQ(*parse_current_assignment(encode_value(current)), current);
  EXPECT_EQ(*parse_target(encode_target(some)), some);
  EXPECT_EQ(*parse_target_epoch(encode_target_epoch(8)), 8);
}

TEST(ConsumerGroupRecords, CutAndUnknownOnesAreErrors) {
  const Assignment some = {{Uuid{{1}}, 0}};
  const ByteString whole =
      encode_value(CurrentAssignmentRecord{3, 2, MemberState::stable, some, some});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_current_assignment(Bytes(whole).first(size))) << size;
  }
  ByteString newer = whole;
  newer[1] = std::byte{1};
  EXPECT_EQ(parse_current_assignment(newer).error().code, Errc::unsupported);
  ByteString state = whole;
  state[10] = std::byte{9};
  EXPECT_EQ(parse_current_assignment(state).error().code, Errc::unsupported);
}

}  // namespace
}  // namespace tailrace::control
