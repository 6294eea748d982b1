#include <gtest/gtest.h>

#include "kafka/gen/elect_leaders.h"
#include "leadership.h"

namespace tailrace::control {
namespace {

using Request = kafka::ElectLeadersRequest;
using Response = kafka::ElectLeadersResponse;
using Lines = std::vector<std::string>;

Lines lines_of(const Response& response) {
  Lines lines;
  if (response.error_code != 0) lines.push_back("all " + std::to_string(response.error_code));
  for (const auto& topic : response.replica_election_results) {
    for (const auto& partition : topic.partition_result) {
      lines.push_back(std::string(topic.topic) + "-" + std::to_string(partition.partition_id) +
                      " " + std::to_string(partition.error_code));
    }
  }
  return lines;
}

template <class Node>
Lines elect(Node& node, std::int8_t type, std::string_view topic, std::vector<std::int32_t> indexes,
            std::int16_t version = 2) {
  Request::TopicPartitions asked{topic, indexes};
  Request request{.election_type = type};
  request.topic_partitions = std::span(&asked, 1);
  return lines_of(node.template ask<Response>(request, version));
}

TEST(ElectLeaders, OnOneNodeNoneIsNeeded) {
  ReadyNode up;
  create(up.node, {topic("a", 2)});
  for (std::int16_t version = 0; version <= 2; ++version) {
    EXPECT_EQ(elect(up.node, 0, "a", {0, 1}, version), (Lines{"a-0 84", "a-1 84"}));
  }
  EXPECT_EQ(elect(up.node, 1, "a", {0}), (Lines{"a-0 84"}));
  EXPECT_EQ(elect(up.node, 0, "a", {2, -1}), (Lines{"a-2 3", "a--1 3"}));
  EXPECT_EQ(elect(up.node, 0, "b", {0}), (Lines{"b-0 3"}));
  EXPECT_EQ(elect(up.node, 7, "a", {0}), (Lines{"all 42", "a-0 42"}));
  EXPECT_EQ(lines_of(up.node.ask<Response>(Request{}, 2)), Lines{}) << "all: nothing to tell";
}

TEST(ElectLeaders, ThePreferredLeaderIsTheFirstReplica) {
  ThreeNodes three;
  three.add("a", 1, {{2, 4, 1, {1, 2}, {1, 2}}, {2, 4, 1, {1, 2}, {2}}, {1, 0, 1, {1, 2}, {1}}});
  EXPECT_EQ(elect(three, 0, "a", {0, 1, 2}), (Lines{"a-0 0", "a-1 80", "a-2 84"}));
  EXPECT_EQ(three.partition("a", 0), "leader 1 epoch 5 of 1,2 in sync 1,2");
  EXPECT_EQ(three.partition("a", 1), "leader 2 epoch 4 of 1,2 in sync 2") << "not in sync";
  EXPECT_EQ(lines_of(three.ask<Response>(Request{}, 2)), Lines{"a-1 80"});
}

TEST(ElectLeaders, UncleanIsForThoseWithoutALeader) {
  ThreeNodes three;
  three.add("a", 1, {{-1, 4, 1, {9, 2, 3}, {9}}, {3, 4, 1, {2, 3}, {3}}, {-1, 1, 1, {8}, {8}}});
  EXPECT_EQ(elect(three, 1, "a", {0, 1, 2}), (Lines{"a-0 0", "a-1 84", "a-2 83"}));
  EXPECT_EQ(three.partition("a", 0), "leader 2 epoch 5 of 9,2,3 in sync 2");
}

}  // namespace
}  // namespace tailrace::control
