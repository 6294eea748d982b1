// Stories of groups of the consumer protocol through the coordinator: what is answered is durable,
// and the two kinds of group become each other.
#include "coordinator_rig.h"
#include "kafka/gen/consumer_group_describe.h"
#include "kafka/gen/consumer_group_heartbeat.h"

namespace tailrace::control {
namespace {

using Beat = kafka::ConsumerGroupHeartbeatRequest;
using BeatResponse = kafka::ConsumerGroupHeartbeatResponse;

class ConsumerRequests : public testing::Test, protected ReadyRig {
 protected:
  struct Told {
    std::int16_t error = 0;
    std::string member_id;
    std::int32_t epoch = 0;
    std::size_t partitions = 0;
    bool has_assignment = false;
    std::string message;
    std::int32_t interval_ms = 0;
  };
  Told told(const Rig::Sent& sent) {
    const auto response = rig.read<BeatResponse>(sent);
    Told made{response.error_code, std::string(response.member_id.value), response.member_epoch};
    made.message = response.error_message.value;
    made.interval_ms = response.heartbeat_interval_ms;
    made.has_assignment = response.assignment.has_value();
    if (!response.assignment) return made;
    for (const auto& topic : response.assignment->topic_partitions) {
      made.partitions += topic.partitions.size();
    }
    return made;
  }
  Rig::Sent& send_join(std::string_view id, std::string_view group = "g") {
    std::string_view topic = "orders";
    Beat request{.group_id = group, .member_id = id, .rebalance_timeout_ms = 60'000};
    request.subscribed_topic_names = std::span(&topic, 1);
    request.topic_partitions = std::span<Beat::TopicPartitions>();
    return rig.send(request, 1);
  }
  Told join(std::string_view id, std::string_view group = "g") {
    Rig::Sent& sent = send_join(id, group);
    rig.run();
    return told(sent);
  }
  Told beat(std::string_view id, std::int32_t epoch, std::vector<std::int32_t> owned = {},
            std::string_view group = "g") {
    Beat request{.group_id = group, .member_id = id, .member_epoch = epoch};
    Beat::TopicPartitions topic{.topic_id = state.find_topic("orders")->id, .partitions = owned};
    request.topic_partitions = std::span(&topic, owned.empty() ? 0 : 1);
    Rig::Sent& sent = rig.send(request, 1);
    rig.run();
    return told(sent);
  }
  // state epoch/assignment-epoch members, of ConsumerGroupDescribe.
  std::string described(std::string_view group = "g", Rig* other = nullptr) {
    kafka::ConsumerGroupDescribeRequest request;
    request.group_ids = {&group, 1};
    const auto response =
        (other == nullptr ? rig : *other).ask<kafka::ConsumerGroupDescribeResponse>(request, 1);
    const auto& told = response.groups[0];
    if (told.error_code != 0) return "error " + std::to_string(told.error_code);
    std::string line = std::string(told.group_state) + " " + std::to_string(told.group_epoch) +
                       "/" + std::to_string(told.assignment_epoch);
    for (const auto& member : told.members) {
      std::size_t count = 0;
      for (const auto& topic : member.assignment.topic_partitions) {
        EXPECT_EQ(topic.topic_name, "orders");
        count += topic.partitions.size();
      }
      line += " " + std::string(member.member_id) + "@" + std::to_string(member.member_epoch) +
              ":" + std::to_string(count) + (member.member_type == 0 ? "c" : "");
    }
    return line;
  }
};

TEST_F(ConsumerRequests, AMemberJoinsHeartbeatsAndLeaves) {
  const Told joined = join("a");
  EXPECT_EQ(joined.error, 0);
  EXPECT_EQ(joined.member_id, "a");
  EXPECT_EQ(joined.epoch, 1);
  EXPECT_EQ(joined.partitions, 10U);
  const std::int64_t records = logs.record_count();
  const Told again = beat("a", 1);
  EXPECT_EQ(again.epoch, 1);
  EXPECT_FALSE(again.has_assignment) << "it is no news";
  EXPECT_EQ(logs.record_count(), records) << "a heartbeat without news writes nothing";
  EXPECT_EQ(rig.groups(), "g/Stable");
  EXPECT_EQ(described(), "Stable 1/1 a@1:10");
  EXPECT_EQ(beat("a", -1).epoch, -1);
  EXPECT_EQ(rig.groups(), "g/Empty");
  EXPECT_EQ(beat("a", 1).error, to_wire(kafka::ErrorCode::unknown_member_id));
}

TEST_F(ConsumerRequests, OfVersionZeroTheIdIsMadeHere) {
  std::string_view topic = "orders";
  Beat request{.group_id = "g", .rebalance_timeout_ms = 60'000};
  request.subscribed_topic_names = std::span(&topic, 1);
  request.topic_partitions = std::span<Beat::TopicPartitions>();
  const auto response = rig.ask<BeatResponse>(request, 0);
  EXPECT_EQ(response.error_code, 0);
  EXPECT_EQ(response.member_id.value.size(), 22U);
  EXPECT_EQ(response.heartbeat_interval_ms, 5000);
}

TEST_F(ConsumerRequests, AnAnswerWaitsForItsRecords) {
  rig.held = true;
  Rig::Sent& first = send_join("a");
  Beat request{.group_id = "g", .member_id = "a", .member_epoch = 1};
  Rig::Sent& second = rig.send(request, 1);
  rig.run();
  EXPECT_FALSE(first.answered);
  EXPECT_FALSE(second.answered) << "it would tell of what is not durable";
  rig.held = false;
  rig.run();
  EXPECT_EQ(told(first).epoch, 1);
  EXPECT_EQ(told(second).epoch, 1);
}

TEST_F(ConsumerRequests, WhatCannotBeWrittenIsForgotten) {
  join("a");
  rig.log_error = kafka::ErrorCode::kafka_storage_error;
  EXPECT_EQ(join("b").error, to_wire(kafka::ErrorCode::not_coordinator));
  rig.log_error = kafka::ErrorCode::none;
  EXPECT_EQ(beat("a", 1).error, to_wire(kafka::ErrorCode::coordinator_load_in_progress));
  rig.pass(seconds(2));
  EXPECT_EQ(described(), "Stable 1/1 a@1:10") << "read from the log again";
  EXPECT_EQ(join("b").epoch, 2);
}

TEST_F(ConsumerRequests, ALaterCoordinatorGoesOnWithTheEpochs) {
  join("a");
  join("b");
  beat("a", 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  const std::string before = described();
  Rig later(logs, state);
  later.start();
  EXPECT_EQ(described("g", &later), before);
}

TEST_F(ConsumerRequests, BadRequestsAreTold) {
  using kafka::ErrorCode;
  EXPECT_EQ(join("").error, to_wire(ErrorCode::invalid_request));
  EXPECT_EQ(join("a", "").error, to_wire(ErrorCode::invalid_request));
  EXPECT_EQ(beat("a", 0).error, to_wire(ErrorCode::invalid_request));
  EXPECT_EQ(beat("a", -3).error, to_wire(ErrorCode::invalid_request));
  EXPECT_EQ(beat("a", -2).error, to_wire(ErrorCode::invalid_request)) << "no instance";
  EXPECT_EQ(beat("a", 1).error, to_wire(ErrorCode::unknown_member_id));
  Beat request{.group_id = "g", .member_id = "a", .rebalance_timeout_ms = 1};
  request.topic_partitions = std::span<Beat::TopicPartitions>();
  request.subscribed_topic_regex = "(";
  EXPECT_EQ(rig.ask<BeatResponse>(request, 1).error_code,
            to_wire(ErrorCode::invalid_regular_expression));
  request.subscribed_topic_regex = "ord.*";
  request.server_assignor = "mine";
  EXPECT_EQ(rig.ask<BeatResponse>(request, 1).error_code, to_wire(ErrorCode::unsupported_assignor));
  request.server_assignor = "range";
  EXPECT_EQ(rig.ask<BeatResponse>(request, 1).error_code, 0);
  EXPECT_EQ(rig.groups(), "g/Stable");
}

TEST_F(ConsumerRequests, CommitsAndFetchesCarryTheMembersEpoch) {
  using kafka::ErrorCode;
  join("a");
  EXPECT_EQ(rig.commit("g", "orders", 0, 5, 1, "a"), 0);
  EXPECT_EQ(rig.commit("g", "orders", 0, 6, 0, "a"), to_wire(ErrorCode::stale_member_epoch));
  EXPECT_EQ(rig.commit("g", "orders", 0, 6, 1, "b"), to_wire(ErrorCode::unknown_member_id));
  EXPECT_EQ(rig.commit("g", "orders", 0, 6), to_wire(ErrorCode::unknown_member_id));
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
  kafka::OffsetFetchRequest request;
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup one{.group_id = "g", .member_id = "a"};
  request.groups = {&one, 1};
  for (const std::int32_t epoch : {1, 0}) {
    one.member_epoch = epoch;
    const auto response = rig.ask<kafka::OffsetFetchResponse>(request, 9);
    EXPECT_EQ(response.groups[0].error_code,
              epoch == 1 ? 0 : to_wire(ErrorCode::stale_member_epoch));
  }
}

TEST_F(ConsumerRequests, OperatorsSeeTheKindOfGroup) {
  using kafka::ErrorCode;
  join("a");
  rig.join("old");
  kafka::ListGroupsRequest list;
  std::string_view type = "Consumer";
  list.types_filter = {&type, 1};
  const auto listed = rig.ask<kafka::ListGroupsResponse>(list, 5);
  ASSERT_EQ(listed.groups.size(), 1U);
  EXPECT_EQ(listed.groups[0].group_id, "g");
  EXPECT_EQ(listed.groups[0].group_type, "consumer");
  EXPECT_EQ(listed.groups[0].protocol_type, "consumer");
  EXPECT_EQ(described("old"), "error 69");
  EXPECT_EQ(described("none"), "error 69");
  kafka::DescribeGroupsRequest request;
  std::string_view name = "g";
  request.groups = {&name, 1};
  EXPECT_EQ(rig.ask<kafka::DescribeGroupsResponse>(request, 6).groups[0].error_code,
            to_wire(ErrorCode::group_id_not_found));
  const auto older = rig.ask<kafka::DescribeGroupsResponse>(request, 5);
  EXPECT_EQ(older.groups[0].error_code, 0);
  EXPECT_EQ(older.groups[0].group_state, "Dead");
}

TEST_F(ConsumerRequests, AGroupIsDeletedWhenNobodyIsInIt) {
  using kafka::ErrorCode;
  join("a");
  rig.commit("g", "orders", 0, 5, 1, "a");
  EXPECT_EQ(rig.delete_group("g"), to_wire(ErrorCode::non_empty_group));
  beat("a", -1);
  EXPECT_EQ(rig.delete_group("g"), 0);
  EXPECT_EQ(rig.groups(), "");
  Rig later(logs, state);
  later.start();
  EXPECT_EQ(later.groups(), "");
}

TEST_F(ConsumerRequests, AnEmptyGroupBecomesWhatComes) {
  const auto joined = rig.join("g");
  rig.sync("g", joined.member_id, 1);
  rig.commit("g", "orders", 0, 5, 1, joined.member_id);
  EXPECT_EQ(rig.leave("g", joined.member_id), 0);
  EXPECT_EQ(join("a").epoch, 1) << "of the classic protocol before";
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
  beat("a", -1);
  EXPECT_EQ(rig.join("g").error_code, 0) << "and back";
  EXPECT_EQ(described(), "error 69");
  Rig later(logs, state);
  later.start();
  EXPECT_EQ(later.committed("g", "orders", 0), "5");
}

// What a leader of the classic protocol gives: all partitions of orders.
std::string plan_of(std::vector<char> partitions) {
  std::string plan("\0\1\0\0\0\1\0\6orders\0\0\0", 17);
  plan += static_cast<char>(partitions.size());
  for (const char partition : partitions) plan += std::string("\0\0\0", 3) + partition;
  return plan + std::string("\377\377\377\377", 4);
}

TEST_F(ConsumerRequests, ALiveGroupMovesToTheConsumerProtocolAndBack) {
  using kafka::ErrorCode;
  const auto old = rig.join("g");
  rig.sync("g", old.member_id, 1, plan_of({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const std::string id(old.member_id);
  // A member of the new kind joins: the group is turned, the old one keeps all it has for now.
  EXPECT_EQ(join("n").epoch, 2);
  EXPECT_EQ(described(), "Reconciling 2/2 " + id + "@1:10c n@2:0");
  EXPECT_EQ(rig.beat("g", id, 1), to_wire(ErrorCode::rebalance_in_progress));
  // It is eager: it gave up all before it joins again, and syncs for its half.
  Rig::Sent& rejoins = rig.send_join("g", id);
  rig.run();
  const auto again = rig.read<kafka::JoinGroupResponse>(rejoins);
  EXPECT_EQ(again.error_code, 0);
  EXPECT_EQ(again.generation_id, 2);
  EXPECT_EQ(again.protocol_name.value, "range");
  EXPECT_TRUE(again.members.empty()) << "the plan is made by the coordinator";
  const auto synced = rig.sync("g", id, 2);
  EXPECT_EQ(synced.error_code, 0);
  EXPECT_EQ(synced.assignment.size(), plan_of({1, 2, 3, 4, 5}).size());
  EXPECT_EQ(rig.beat("g", id, 2), 0);
  EXPECT_EQ(beat("n", 2).partitions, 5U);
  EXPECT_EQ(rig.commit("g", "orders", 0, 5, 2, id), 0);
  EXPECT_EQ(rig.commit("g", "orders", 0, 6, 1, id), to_wire(ErrorCode::illegal_generation));
  Rig later(logs, state);
  later.start();
  EXPECT_EQ(described("g", &later), "Stable 2/2 " + id + "@2:5c n@2:5");
  // The last of the new kind leaves: the group is of the classic protocol again.
  EXPECT_EQ(beat("n", -1).epoch, -1);
  EXPECT_EQ(described(), "error 69");
  EXPECT_EQ(rig.groups(), "g/PreparingRebalance");
  EXPECT_EQ(rig.beat("g", id, 2), to_wire(ErrorCode::rebalance_in_progress));
  EXPECT_EQ(rig.join("g", id).generation_id, 3);
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
}

TEST_F(ConsumerRequests, ATopicThatAClassicMemberNamesTwiceIsReadOnce) {
  kafka::JoinGroupRequest request;
  request.group_id = "g";
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 60'000;
  request.protocol_type = "consumer";
  const std::string_view reads("\0\1\0\0\0\2\0\6orders\0\6orders\0\0\0\0\0\0\0\0", 30);
  kafka::JoinGroupRequest::JoinGroupRequestProtocol protocol{"range", as_bytes(reads)};
  request.protocols = {&protocol, 1};
  Rig::Sent& sent = rig.send(request, 3);
  rig.pass({});
  const std::string id(rig.read<kafka::JoinGroupResponse>(sent).member_id);
  rig.sync("g", id, 1, plan_of({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(join("n").epoch, 2);
  EXPECT_EQ(described(), "Reconciling 2/2 " + id + "@1:10c n@2:0");
}

TEST_F(ConsumerRequests, ATopicsNameThatIsTooLongIsRefused) {
  const std::string name(250, 'x');
  std::string_view topic = name;
  Beat request{.group_id = "g", .member_id = "a", .rebalance_timeout_ms = 60'000};
  request.subscribed_topic_names = std::span(&topic, 1);
  request.topic_partitions = std::span<Beat::TopicPartitions>();
  EXPECT_EQ(told(rig.send(request, 1)).error, 42);
}

TEST_F(ConsumerRequests, AGroupOfAnotherKindOfClientCannotMove) {
  kafka::JoinGroupRequest request;
  request.group_id = "g";
  request.session_timeout_ms = 10'000;
  request.protocol_type = "connect";
  kafka::JoinGroupRequest::JoinGroupRequestProtocol protocol{"p", as_bytes(std::string_view("x"))};
  request.protocols = {&protocol, 1};
  rig.send(request, 3);
  rig.pass({});
  EXPECT_EQ(join("a").error, to_wire(kafka::ErrorCode::group_id_not_found));
  EXPECT_EQ(join("b", "h").error, 0);
  request.group_id = "h";
  EXPECT_EQ(rig.ask<kafka::JoinGroupResponse>(request, 3).error_code,
            to_wire(kafka::ErrorCode::inconsistent_group_protocol));
}

TEST_F(ConsumerRequests, MembersOfEitherKindLeaveByLeaveGroup) {
  join("a");
  EXPECT_EQ(rig.leave("g", "nobody"), to_wire(kafka::ErrorCode::unknown_member_id));
  EXPECT_EQ(rig.leave("g", "a"), 0);
  EXPECT_EQ(rig.groups(), "g/Empty");
}

TEST_F(ConsumerRequests, AGroupHasTimesOfItsOwnFromTheNextHeartbeatOn) {
  join("a");
  join("a", "other");
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"consumer.session.timeout.ms", "60000"},
                                                  {"consumer.heartbeat.interval.ms", "9000"}}}));
  rig.coordinator.adopt(rig.now);
  EXPECT_EQ(beat("a", 1).interval_ms, 9000);
  EXPECT_EQ(beat("a", 1, {}, "other").interval_ms, 5000);
  const Told refused = beat("nobody", 1);
  EXPECT_EQ(refused.error, to_wire(kafka::ErrorCode::unknown_member_id));
  EXPECT_EQ(refused.interval_ms, 9000) << "whoever comes again comes when the group says";
  rig.pass(seconds(50));
  rig.run();
  EXPECT_EQ(described().substr(0, 6), "Stable") << "silent for less than a minute";
  EXPECT_EQ(described("other").substr(0, 5), "Empty");
  rig.pass(seconds(11));
  rig.run();
  EXPECT_EQ(described().substr(0, 5), "Empty");
}

TEST_F(ConsumerRequests, TimesThatWereSetBeforeTheGroupCameOrWasReadAreItsOwn) {
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"consumer.session.timeout.ms", "60000"}}}));
  join("a");
  rig.pass(seconds(50));
  rig.run();
  EXPECT_EQ(described().substr(0, 6), "Stable");
  Rig later(logs, state);
  later.start();
  later.pass(seconds(50));
  later.run();
  EXPECT_EQ(described("g", &later).substr(0, 6), "Stable");
  later.pass(seconds(11));
  later.run();
  EXPECT_EQ(described("g", &later).substr(0, 5), "Empty");
}

}  // namespace
}  // namespace tailrace::control
