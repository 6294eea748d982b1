#include <gtest/gtest.h>

#include "kafka/gen/alter_partition_reassignments.h"
#include "kafka/gen/list_partition_reassignments.h"
#include "leadership.h"

namespace tailrace::control {
namespace {

using Request = kafka::AlterPartitionReassignmentsRequest;
using Response = kafka::AlterPartitionReassignmentsResponse;
using Replicas = kafka::NullableArray<std::int32_t>;

template <class Node>
std::string move(Node& node, std::string_view topic, std::int32_t index,
                 std::optional<std::vector<std::int32_t>> replicas, bool may_resize = true,
                 std::int16_t version = 1) {
  Request::ReassignableTopic::ReassignablePartition partition{.partition_index = index};
  if (replicas) partition.replicas = std::span(*replicas);
  Request::ReassignableTopic asked{topic, {&partition, 1}};
  Request request{.allow_replication_factor_change = may_resize};
  request.topics = {&asked, 1};
  const auto response = node.template ask<Response>(request, version);
  EXPECT_EQ(response.error_code, 0);
  EXPECT_EQ(response.responses[0].name, topic);
  const auto& result = response.responses[0].partitions[0];
  EXPECT_EQ(result.partition_index, index);
  return told(result.error_code, result.error_message);
}

TEST(Reassignments, OnOneNodeAPartitionStaysWhereItIs) {
  ReadyNode up;
  create(up.node, {topic("a", 2)});
  EXPECT_EQ(move(up.node, "a", 0, {{1}}), "ok");
  EXPECT_EQ(move(up.node, "a", 0, {{1}}, true, 0), "ok");
  EXPECT_EQ(move(up.node, "a", 0, std::nullopt),
            "85: No partition reassignment is in progress.");
  EXPECT_EQ(move(up.node, "a", 0, {{2}}).substr(0, 3), "39:") << "no such broker";
  EXPECT_EQ(move(up.node, "a", 0, {{1, 1}}).substr(0, 3), "39:");
  EXPECT_EQ(move(up.node, "a", 0, {{-1}}).substr(0, 3), "39:");
  EXPECT_EQ(move(up.node, "a", 0, std::vector<std::int32_t>{}).substr(0, 3), "39:");
  EXPECT_EQ(move(up.node, "a", 2, {{1}}), "3: Unable to find partition a:2.");
  EXPECT_EQ(move(up.node, "b", 0, {{1}}), "3: Unable to find a topic named b.");
}

TEST(Reassignments, NoneIsEverUnderWay) {
  ReadyNode up;
  create(up.node, {topic("a", 2)});
  using List = kafka::ListPartitionReassignmentsRequest;
  const auto all = up.node.ask<kafka::ListPartitionReassignmentsResponse>(List{}, 0);
  EXPECT_EQ(all.error_code, 0);
  EXPECT_TRUE(all.topics.empty());
  std::int32_t index = 0;
  List::ListPartitionReassignmentsTopics asked{"a", {&index, 1}};
  List request;
  request.topics = std::span(&asked, 1);
  EXPECT_TRUE(up.node.ask<kafka::ListPartitionReassignmentsResponse>(request, 0).topics.empty());
}

TEST(Reassignments, WhatNeedsNoCopyIsDoneAtOnce) {
  ThreeNodes three;
  three.add("a", 1, {{1, 4, 1, {1, 2, 3}, {1, 2}}});
  EXPECT_EQ(move(three, "a", 0, {{2, 1}}, false),
            "38: The replication factor is changed from 3 to 2");
  EXPECT_EQ(move(three, "a", 0, {{3, 1, 2}}).substr(0, 3), "39:") << "3 is not in sync";
  EXPECT_EQ(move(three, "a", 0, {{2, 1}}), "ok");
  EXPECT_EQ(three.partition("a", 0), "leader 1 epoch 4 of 2,1 in sync 1,2");
  EXPECT_EQ(move(three, "a", 0, {{2}}), "ok");
  EXPECT_EQ(three.partition("a", 0), "leader 2 epoch 5 of 2 in sync 2") << "another leader";
  EXPECT_EQ(move(three, "a", 0, {{2, 3}}).substr(0, 3), "39:");
}

}  // namespace
}  // namespace tailrace::control
