// Stories of a coordinator that reads what one before it has written.
#include "coordinator_rig.h"

namespace tailrace::control {
namespace {

class Loading : public testing::Test, protected ReadyRig {};

TEST_F(Loading, AfterARestartGroupsAndOffsetsAreThere) {
  const auto joined = rig.join("g");
  const std::string id(joined.member_id);
  ASSERT_EQ(rig.sync("g", id, 1).error_code, 0);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rig.commit("g", "orders", i % 3, i, 1, id), 0);
  EXPECT_EQ(rig.commit("simple", "orders", 0, 77), 0);

  Rig again(logs, state);
  again.read_bytes_max = 100;  // A few batches at a time.
  again.start();
  EXPECT_EQ(again.groups(), "g/Stable simple/Empty");
  EXPECT_EQ(again.committed("g", "orders", 0), "9");
  EXPECT_EQ(again.committed("g", "orders", 1), "7");
  EXPECT_EQ(again.committed("simple", "orders", 0), "77");
  EXPECT_EQ(again.beat("g", id, 1), 0) << "its member has noticed nothing";
  EXPECT_EQ(as_text(again.sync("g", id, 1).assignment), "plan");
  again.pass(seconds(11));
  EXPECT_EQ(again.groups(), "g/Empty simple/Empty") << "sessions begin anew, and end";
}

TEST_F(Loading, UntilItIsReadNobodyIsToldAnythingWrong) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  Rig again(logs, state);
  again.held = true;
  again.start();
  EXPECT_TRUE(again.coordinator.is_loading());
  EXPECT_EQ(again.committed("g", "orders", 0), "error 14");
  EXPECT_EQ(again.commit_code(again.send_commit("g", "orders", 0, 6)), 14);
  EXPECT_EQ(again.join("g").error_code, 14);
  EXPECT_EQ(again.groups(), "error 14");
  EXPECT_EQ(again.beat("g", "somebody", 3), 0) << "not put out before it is known";
  again.held = false;
  again.run();
  EXPECT_EQ(again.committed("g", "orders", 0), "5");
}

TEST_F(Loading, APartitionThatCannotBeReadIsTriedAgain) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  Rig again(logs, state);
  again.log_error = kafka::ErrorCode::kafka_storage_error;
  again.start();
  EXPECT_EQ(again.committed("g", "orders", 0), "error 14");
  again.log_error = kafka::ErrorCode::none;
  again.pass(seconds(2));
  EXPECT_EQ(again.committed("g", "orders", 0), "5");
}

TEST_F(Loading, WhatWasDeletedStaysDeleted) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  EXPECT_EQ(rig.commit("h", "orders", 0, 5), 0);
  EXPECT_EQ(rig.delete_group("g"), 0);
  Rig again(logs, state);
  again.start();
  EXPECT_EQ(again.groups(), "h/Empty");
  EXPECT_EQ(again.committed("g", "orders", 0), "-1");
}

TEST_F(Loading, OffsetsGoWithTheirTopic) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  EXPECT_EQ(rig.commit("g", "other", 0, 6), 0);
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic("orders")->id}));
  rig.coordinator.adopt(rig.now);
  rig.run();
  EXPECT_EQ(rig.committed("g", "orders", 0), "-1");
  EXPECT_EQ(rig.committed("g", "other", 0), "6");
  // Also when it went while nobody watched.
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic("other")->id}));
  Rig again(logs, state);
  again.start();
  EXPECT_EQ(again.committed("g", "other", 0), "-1");
}

TEST_F(Loading, RecordsOfOthersAreSkippedAndCompressedOnesRead) {
  record::BatchBuilder builder(4096);
  builder.start();
  const ByteString key = encode_offset_key("g", "orders", 0);
  const ByteString value = encode_offset_value({.offset = 5, .commit_ms = rig.now.wall_ms});
  const std::string_view strange("\0\7strange", 9);
  ASSERT_TRUE(builder.add({rig.now.wall_ms, strange, strange}));
  ASSERT_TRUE(builder.add({rig.now.wall_ms, nullptr, strange}));
  ASSERT_TRUE(builder.add({rig.now.wall_ms, Bytes(key), Bytes(value)}));
  logs.append(partition_of_group("g", 3), *builder.finish(record::Codec::zstd));
  Rig again(logs, state);
  again.start();
  EXPECT_EQ(again.groups(), "g/Empty");
  EXPECT_EQ(again.committed("g", "orders", 0), "5");
}

TEST_F(Loading, ADamagedBatchIsNotPassedOver) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  logs.batches[partition_of_group("g", 3)].back().back() ^= std::byte{1};
  Rig again(logs, state);
  again.start();
  EXPECT_EQ(again.committed("g", "orders", 0), "error 14");
}

}  // namespace
}  // namespace tailrace::control
