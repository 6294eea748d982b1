#include "coordinator_rig.h"

namespace tailrace::control {
namespace {

class Offsets : public testing::Test, protected ReadyRig {};

TEST_F(Offsets, AreOnlyTakenFromMembersOfALiveGroup) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0) << "nobody is a member";
  EXPECT_EQ(rig.commit("h", "orders", 0, 5, 3, "m"), 22);
  const std::string id(rig.join("g").member_id);
  EXPECT_EQ(rig.commit("g", "orders", 0, 6, 1, id), 27) << "no plan yet";
  rig.sync("g", id, 1);
  EXPECT_EQ(rig.commit("g", "orders", 0, 6, 1, id), 0);
  EXPECT_EQ(rig.commit("g", "orders", 0, 7, 0, id), 22);
  EXPECT_EQ(rig.commit("g", "orders", 0, 7, 1, "who"), 25);
  EXPECT_EQ(rig.commit("g", "orders", 0, 7), 25) << "not a member";
  EXPECT_EQ(rig.committed("g", "orders", 0), "6");
}

TEST_F(Offsets, OfPartitionsThatAreNotThereAreRefused) {
  EXPECT_EQ(rig.commit("g", "nothing", 0, 5), 3);
  EXPECT_EQ(rig.commit("g", "orders", 10, 5), 3);
  EXPECT_EQ(rig.commit("g", "orders", -1, 5), 3);
  EXPECT_EQ(rig.commit("g", "orders", 0, 5, -1, {}, std::string(4097, 'm')), 12);
  EXPECT_EQ(rig.groups(), "");
}

TEST_F(Offsets, AreToldWithAllThatWasCommitted) {
  EXPECT_EQ(rig.commit("g", "orders", 2, 5, -1, {}, "text"), 0);
  kafka::OffsetFetchRequest request;
  request.group_id = "g";
  for (std::int16_t version = 2; version <= 7; ++version) {
    const auto response = rig.ask<kafka::OffsetFetchResponse>(request, version);
    EXPECT_EQ(response.error_code, 0);
    ASSERT_EQ(response.topics.size(), 1U) << version;
    const auto& at = response.topics[0].partitions[0];
    EXPECT_EQ(response.topics[0].name, "orders");
    EXPECT_EQ(at.partition_index, 2);
    EXPECT_EQ(at.committed_offset, 5);
    EXPECT_EQ(at.metadata.value, "text");
    EXPECT_EQ(at.committed_leader_epoch, version >= 5 ? 4 : -1);
  }
}

TEST_F(Offsets, ByTopicIdFromVersionTen) {
  const Uuid id = state.find_topic("orders")->id;
  using Asked = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
  Asked::OffsetCommitRequestPartition at{.partition_index = 1, .committed_offset = 8};
  Asked topics[] = {{.topic_id = id, .partitions = {&at, 1}},
                    {.topic_id = {}, .partitions = {&at, 1}}};
  kafka::OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.topics = topics;
  const auto told = rig.ask<kafka::OffsetCommitResponse>(commit, 10);
  EXPECT_EQ(told.topics[0].topic_id, id);
  EXPECT_EQ(told.topics[0].partitions[0].error_code, 0);
  EXPECT_EQ(told.topics[1].partitions[0].error_code, 100);
  EXPECT_EQ(rig.committed("g", "orders", 1), "8");

  kafka::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = "g";  // Topics null: all.
  kafka::OffsetFetchRequest fetch;
  fetch.groups = {&group, 1};
  const auto all = rig.ask<kafka::OffsetFetchResponse>(fetch, 10);
  ASSERT_EQ(all.groups[0].topics.size(), 1U);
  EXPECT_EQ(all.groups[0].topics[0].topic_id, id);
  EXPECT_EQ(all.groups[0].topics[0].partitions[0].committed_offset, 8);
}

std::int16_t delete_offset(Rig& rig, std::string_view group, std::string_view topic,
                           std::int32_t partition) {
  using Asked = kafka::OffsetDeleteRequest::OffsetDeleteRequestTopic;
  Asked::OffsetDeleteRequestPartition at{partition};
  Asked of{.name = topic, .partitions = {&at, 1}};
  kafka::OffsetDeleteRequest request;
  request.group_id = group;
  request.topics = {&of, 1};
  const auto response = rig.ask<kafka::OffsetDeleteResponse>(request, 0);
  return response.error_code != 0 ? response.error_code
                                  : response.topics[0].partitions[0].error_code;
}

TEST_F(Offsets, CanBeDeletedUnlessAMemberReadsTheTopic) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  EXPECT_EQ(rig.commit("g", "other", 0, 5), 0);
  EXPECT_EQ(delete_offset(rig, "h", "orders", 0), 69);
  rig.join("g");
  EXPECT_EQ(delete_offset(rig, "g", "orders", 0), 86);
  EXPECT_EQ(delete_offset(rig, "g", "other", 0), 0);
  EXPECT_EQ(delete_offset(rig, "g", "other", 1), 0) << "it is not there, as wanted";
  EXPECT_EQ(delete_offset(rig, "g", "other", 10), 3);
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
  EXPECT_EQ(rig.committed("g", "other", 0), "-1");
}

class Retention : public testing::Test, protected ReadyRig {
 protected:
  std::int16_t commit(std::int32_t partition, std::int64_t retention_ms, std::int16_t version) {
    using Asked = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
    Asked::OffsetCommitRequestPartition at{.partition_index = partition, .committed_offset = 5};
    Asked of{.name = "orders", .partitions = {&at, 1}};
    kafka::OffsetCommitRequest request;
    request.group_id = "g";
    request.generation_id_or_member_epoch = -1;
    request.retention_time_ms = retention_ms;
    request.topics = {&of, 1};
    Rig::Sent& sent = rig.send(request, version);
    rig.run();
    return rig.commit_code(sent);
  }
};

TEST_F(Retention, OldClientsSayHowLongTheirOffsetsAreKept) {
  EXPECT_EQ(commit(0, 3'600'000, 2), 0);
  EXPECT_EQ(commit(1, -1, 3), 0) << "as the node says";
  EXPECT_EQ(commit(2, INT64_MAX, 4), 0);
  EXPECT_EQ(commit(3, 3'600'000, 5), 0) << "it has no place for it";
  rig.pass(seconds(2 * 3600));
  rig.run();
  EXPECT_EQ(rig.committed("g", "orders", 0), "-1");
  EXPECT_EQ(rig.committed("g", "orders", 1), "5");
  EXPECT_EQ(rig.committed("g", "orders", 3), "5");
  rig.pass(seconds(8 * 24 * 3600));
  rig.run();
  EXPECT_EQ(rig.committed("g", "orders", 1), "-1");
  EXPECT_EQ(rig.committed("g", "orders", 2), "5");
  EXPECT_EQ(rig.committed("g", "orders", 3), "-1");
}

TEST_F(Retention, TheTimeIsInTheLog) {
  EXPECT_EQ(commit(0, 3'600'000, 2), 0);
  Rig later(logs, state);
  later.now = rig.now;
  later.start();
  EXPECT_EQ(later.committed("g", "orders", 0), "5");
  later.pass(seconds(2 * 3600));
  later.run();
  EXPECT_EQ(later.committed("g", "orders", 0), "-1");
}

}  // namespace
}  // namespace tailrace::control
