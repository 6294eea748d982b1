#include "control/group_records.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

ByteString from_hex(std::string_view hex) {
  ByteString made;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    made.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return made;
}

ByteString bytes(std::string_view text) {
  const Bytes view = as_bytes(text);
  return {view.begin(), view.end()};
}

// The bytes are those of Kafka's own schemas, written by hand.
TEST(GroupRecords, KeysAreKafkas) {
  EXPECT_EQ(encode_offset_key("grp", "t1", 5), from_hex("0001" "0003677270" "00027431" "00000005"));
  EXPECT_EQ(encode_group_key("grp"), from_hex("0002" "0003677270"));
  const ByteString offset = encode_offset_key("grp", "t1", 5);
  const Result<RecordKey> key = parse_record_key(offset);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->kind, RecordKey::Kind::offset);
  EXPECT_EQ(key->group, "grp");
  EXPECT_EQ(key->topic, "t1");
  EXPECT_EQ(key->partition, 5);
  EXPECT_EQ(parse_record_key(encode_group_key("grp"))->kind, RecordKey::Kind::group);
  EXPECT_EQ(parse_record_key(from_hex("0003" "0003677270"))->kind,
            RecordKey::Kind::consumer_group);
  EXPECT_EQ(parse_record_key(from_hex("0bad" "0003677270"))->kind, RecordKey::Kind::other)
      << "a record of a protocol to come is not ours to understand";
}

TEST(GroupRecords, OffsetsAreKafkasVersionThree) {
  const OffsetRecord record{.offset = 258, .leader_epoch = 7, .metadata = "m", .commit_ms = 1};
  const ByteString made = encode_offset_value(record);
  EXPECT_EQ(made, from_hex("0003" "0000000000000102" "00000007" "00016d" "0000000000000001"));
  EXPECT_EQ(*parse_offset_value(made), record);
}

// Version 3 has no place for the time.
TEST(GroupRecords, OffsetsWithATimeOfTheirOwnAreKafkasVersionOne) {
  const OffsetRecord record{.offset = 258, .metadata = "m", .commit_ms = 1, .expire_ms = 515};
  const ByteString made = encode_offset_value(record);
  EXPECT_EQ(made, from_hex("0001" "0000000000000102" "00016d" "0000000000000001"
                           "0000000000000203"));
  EXPECT_EQ(*parse_offset_value(made), record);
}

TEST(GroupRecords, OtherVersionsOfOffsetsAreRead) {
  const OffsetRecord plain{.offset = 258, .leader_epoch = -1, .metadata = "m", .commit_ms = 1};
  EXPECT_EQ(*parse_offset_value(from_hex("0000" "0000000000000102" "00016d" "0000000000000001")),
            plain);
  EXPECT_EQ(*parse_offset_value(from_hex("0001" "0000000000000102" "00016d" "0000000000000001"
                                         "ffffffffffffffff")),
            plain) << "without a time of its own";
  EXPECT_EQ(parse_offset_value(from_hex("0004" "0000000000000102" "00000007" "026d"
                                        "0000000000000001" "00"))->leader_epoch,
            7);
  EXPECT_EQ(parse_offset_value(from_hex("0005")).error().code, Errc::unsupported);
}

TEST(GroupRecords, GroupsAreKafkasVersionThree) {
  GroupRecord record;
  record.protocol_type = "consumer";
  record.generation = 2;
  record.protocol = "range";
  record.leader = "a";
  record.state_ms = 9;
  record.members = {{.id = "a", .instance_id = "i", .client_id = "c", .client_host = "/h",
                     .rebalance_timeout_ms = 16, .session_timeout_ms = 17,
                     .subscription = bytes("S"), .assignment = bytes("A")}};
  const ByteString made = encode_group_value(record);
  EXPECT_EQ(made, from_hex("0003" "0008636f6e73756d6572" "00000002" "000572616e6765" "000161"
                           "0000000000000009" "00000001" "000161" "000169" "000163" "00022f68"
                           "00000010" "00000011" "0000000153" "0000000141"));
  EXPECT_EQ(*parse_group_value(made), record);
  GroupRecord empty;
  empty.protocol_type = "consumer";
  empty.generation = 3;
  EXPECT_EQ(*parse_group_value(encode_group_value(empty)), empty);
}

TEST(GroupRecords, VersionZeroOfAGroupHasOneTimeout) {
  const Result<GroupRecord> record = parse_group_value(
      from_hex("0000" "0001" "63" "00000002" "ffff" "ffff" "00000001" "000161" "000163" "00022f68"
               "00000011" "0000000153" "0000000141"));
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->members.at(0).rebalance_timeout_ms, 17);
  EXPECT_FALSE(record->protocol.has_value());
}

TEST(GroupRecords, AnyCutIsAnError) {
  GroupRecord record;
  record.members.resize(2);
  const ByteString group = encode_group_value(record);
  for (std::size_t size = 0; size < group.size(); ++size) {
    EXPECT_FALSE(parse_group_value(Bytes(group).first(size)).has_value()) << size;
  }
  const ByteString key = encode_offset_key("g", "t", 1);
  for (std::size_t size = 0; size < key.size(); ++size) {
    EXPECT_FALSE(parse_record_key(Bytes(key).first(size)).has_value()) << size;
  }
}

}  // namespace
}  // namespace tailrace::control
