// Stories of writing: what is answered is durable, what is not durable is not seen.
#include "control/group_coordinator.h"

#include "coordinator_rig.h"

namespace tailrace::control {
namespace {

class Writing : public testing::Test, protected ReadyRig {};

TEST_F(Writing, ACommitIsAnsweredAndSeenWhenItsRecordIsDurable) {
  rig.held = true;
  auto& sent = rig.send_commit("g", "orders", 0, 5);
  rig.run();
  EXPECT_FALSE(sent.answered);
  EXPECT_EQ(rig.committed("g", "orders", 0), "-1");
  rig.held = false;
  rig.run();
  EXPECT_EQ(rig.commit_code(sent), 0);
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
}

TEST_F(Writing, APlanIsGivenOutWhenItIsDurable) {
  const auto joined = rig.join("g");
  ASSERT_EQ(joined.error_code, 0);
  rig.held = true;
  kafka::SyncGroupRequest request;
  request.group_id = "g";
  request.member_id = joined.member_id;
  request.generation_id = 1;
  auto& sent = rig.send(request, 3);
  rig.run();
  EXPECT_FALSE(sent.answered);
  EXPECT_EQ(rig.beat("g", joined.member_id, 1), 0) << "a heartbeat waits for no disk";
  rig.held = false;
  rig.run();
  EXPECT_EQ(rig.read<kafka::SyncGroupResponse>(sent).error_code, 0);
}

TEST_F(Writing, ALogThatFailsIsToldInTheCodesThatClientsKnow) {
  using kafka::ErrorCode;
  rig.commit("g", "orders", 0, 5);
  const std::pair<ErrorCode, ErrorCode> cases[] = {
      {ErrorCode::unknown_topic_or_partition, ErrorCode::coordinator_not_available},
      {ErrorCode::not_leader_or_follower, ErrorCode::not_coordinator},
      {ErrorCode::fenced_leader_epoch, ErrorCode::not_coordinator},
      {ErrorCode::kafka_storage_error, ErrorCode::not_coordinator},
      {ErrorCode::message_too_large, ErrorCode::invalid_commit_offset_size},
      {ErrorCode::corrupt_message, ErrorCode::unknown_server_error}};
  for (const auto& [log, told] : cases) {
    rig.log_error = log;
    EXPECT_EQ(rig.commit("g", "orders", 0, 6), to_wire(told));
  }
  rig.log_error = ErrorCode::none;
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
  EXPECT_EQ(rig.coordinator.counters().write_failures.load(), 6U);
}

TEST_F(Writing, WhenThePartitionMovesAwayWhoWaitsIsToldAndNothingIsApplied) {
  rig.commit("g", "orders", 0, 5);
  rig.held = true;
  auto& commit = rig.send_commit("g", "orders", 0, 6);
  auto& first = rig.start_join("h", "", 3);
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic(offsets_topic_name)->id}));
  rig.coordinator.adopt(rig.now);
  rig.held = false;
  rig.run();
  EXPECT_EQ(rig.commit_code(commit), to_wire(kafka::ErrorCode::not_coordinator));
  EXPECT_EQ(rig.read<kafka::JoinGroupResponse>(first).error_code,
            to_wire(kafka::ErrorCode::not_coordinator));
  EXPECT_EQ(rig.committed("g", "orders", 0), "error 16");
  EXPECT_EQ(rig.groups(), "");
}

TEST_F(Writing, GroupsAndOffsetsBeyondTheLimitsAreRefused) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(rig.commit("g" + std::to_string(i), "orders", 0, 5), 0);
  }
  EXPECT_EQ(rig.commit("g5", "orders", 0, 5),
            to_wire(kafka::ErrorCode::invalid_commit_offset_size));
  EXPECT_EQ(rig.join("g5").error_code, to_wire(kafka::ErrorCode::group_max_size_reached));
  int refused = 0;
  for (int group = 0; group < 5; ++group) {
    for (int i = 0; i < 10; ++i) {
      refused += rig.commit("g" + std::to_string(group), "other", i, 5) != 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(refused, 5) << "50 in all, 5 were there";
  EXPECT_EQ(rig.commit("g0", "orders", 0, 6), 0) << "what is there may change";
  EXPECT_EQ(rig.coordinator.counters().offsets.load(), 50);
}

TEST_F(Writing, MemoryOfGroupsIsBounded) {
  Limits limits = small_group_limits();
  limits.group_bytes_max = 20'000;
  Rig small(logs, state, limits);
  small.start();
  const std::string text(4000, 'm');
  int kept = 0;
  for (int i = 0; i < 10; ++i) {
    kept += small.commit("g", "orders", i, 5, -1, {}, text) == 0 ? 1 : 0;
  }
  EXPECT_EQ(kept, 4);
  EXPECT_EQ(small.commit("g", "orders", 0, 6, -1, {}, "short"), 0) << "less may come any time";
  limits.group_bytes_max = 1000;
  Rig full(logs, state, limits);
  full.start();
  EXPECT_EQ(full.join("h").error_code, to_wire(kafka::ErrorCode::group_max_size_reached));
}

TEST_F(Writing, OldOffsetsGoAndTheGroupWithTheLast) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  rig.pass(seconds(4 * 86'400));
  EXPECT_EQ(rig.commit("g", "orders", 1, 5), 0);
  rig.pass(seconds(4 * 86'400));
  EXPECT_EQ(rig.committed("g", "orders", 0), "-1");
  EXPECT_EQ(rig.committed("g", "orders", 1), "5");
  rig.pass(seconds(4 * 86'400));
  EXPECT_EQ(rig.groups(), "");
  Rig again(logs, state);
  again.start();
  EXPECT_EQ(again.groups(), "") << "and stay away after a restart";
}

TEST_F(Writing, ManyRecordsAreSeveralBatches) {
  const std::string metadata(4000, 'm');
  const std::string_view text = metadata;
  using Asked = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
  std::vector<Asked::OffsetCommitRequestPartition> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back({.partition_index = i, .committed_offset = i, .committed_metadata = text});
  }
  Asked topics[] = {{.name = "orders", .partitions = all}, {.name = "other", .partitions = all}};
  kafka::OffsetCommitRequest request;
  request.group_id = "g";
  request.topics = topics;
  const auto response = rig.ask<kafka::OffsetCommitResponse>(request, 8);
  for (const auto& topic : response.topics) {
    for (const auto& at : topic.partitions) EXPECT_EQ(at.error_code, 0);
  }
  EXPECT_EQ(logs.record_count(), 20);
  EXPECT_EQ(rig.committed("g", "other", 9), "9");
}

}  // namespace
}  // namespace tailrace::control
