#include <gtest/gtest.h>

#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Lines = std::vector<std::string>;
using GrowTopic = kafka::CreatePartitionsRequest::CreatePartitionsTopic;
using GrowAssignment = GrowTopic::CreatePartitionsAssignment;

std::vector<std::string> grow(ControlNode& node, std::vector<GrowTopic> topics,
                              bool validate_only = false, std::int16_t version = 3) {
  kafka::CreatePartitionsRequest request;
  request.topics = topics;
  request.validate_only = validate_only;
  std::vector<std::string> lines;
  for (const auto& topic : node.ask<kafka::CreatePartitionsResponse>(request, version).results) {
    lines.push_back(std::string(topic.name) + " " + told(topic.error_code, topic.error_message));
  }
  return lines;
}

GrowTopic to_count(std::string_view name, std::int32_t count) {
  GrowTopic topic;
  topic.name = name;
  topic.count = count;
  return topic;
}

TEST(DeleteTopics, ByNameOneResultForEachAndTheNamesakeIsAnother) {
  ReadyNode up;
  create(up.node, {topic("a"), topic("b", 2)});
  const Uuid first = up.node.image().find_topic("a")->id;
  EXPECT_EQ(remove(up.node, {"a", "nothing", "a"}),
            (Lines{"a 42: Duplicate topic name.",
                   "nothing 3: This server does not host this topic-partition.",
                   "a 42: Duplicate topic name."}));
  EXPECT_EQ(remove(up.node, {"a"}), Lines{"a ok"});
  EXPECT_EQ(topics(up.node), "b/2");
  EXPECT_EQ(create_one(up.node, topic("a")), "ok");
  EXPECT_NE(up.node.image().find_topic("a")->id, first);
}

TEST(DeleteTopics, ByNameOrId) {
  ReadyNode up;
  create(up.node, {topic("a"), topic("b"), topic("c")});
  const Uuid a = up.node.image().find_topic("a")->id;
  const Uuid b = up.node.image().find_topic("b")->id;
  Uuid unknown = a;
  unknown.bytes[0] ^= 1;
  kafka::DeleteTopicsRequest request;
  std::vector<kafka::DeleteTopicsRequest::DeleteTopicState> states = {
      {nullptr, a}, {"b", b}, {nullptr, Uuid{}}, {nullptr, unknown}, {"c", Uuid{}}, {"a", Uuid{}}};
  request.topics = states;
  const auto response = up.node.ask<kafka::DeleteTopicsResponse>(request, 6);
  Lines lines;
  for (const auto& topic : response.responses) {
    lines.push_back(told(topic.error_code, topic.error_message));
  }
  EXPECT_EQ(lines, (Lines{"ok", "42: You may not specify both topic name and topic id.",
                          "42: Neither topic name nor id were specified.",
                          "100: This server does not host this topic ID.", "ok",
                          "42: The provided topic name maps to an ID that was already supplied."}));
  EXPECT_EQ(response.responses[0].name.value, "a") << "told although it was named by id";
  EXPECT_EQ(response.responses[0].topic_id, a);
  EXPECT_FALSE(response.responses[4].topic_id.is_zero());
  EXPECT_EQ(topics(up.node), "b/1");
}

TEST(CreatePartitions, OnlyMoreThanThereAre) {
  ReadyNode up;
  create(up.node, {topic("a", 3)});
  EXPECT_EQ(grow(up.node, {to_count("a", 3)}), Lines{"a 37: Topic already has 3 partition(s)."});
  EXPECT_EQ(grow(up.node, {to_count("a", 2)}),
            Lines{"a 37: The topic a currently has 3 partition(s); 2 would not be an increase."});
  EXPECT_EQ(grow(up.node, {to_count("no", 2)}),
            Lines{"no 3: This server does not host this topic-partition."});
  EXPECT_EQ(grow(up.node, {to_count("a", 5)}, true), Lines{"a ok"});
  EXPECT_EQ(topics(up.node), "a/3") << "only checked";
  const bus::CoreId owner = up.node.image().find_topic("a")->partitions[2].owner;
  EXPECT_EQ(grow(up.node, {to_count("a", 5)}), Lines{"a ok"});
  EXPECT_EQ(topics(up.node), "a/5");
  EXPECT_EQ(up.node.image().find_topic("a")->partitions[2].owner, owner);
  EXPECT_EQ(up.node.image().find_topic("a")->partitions[4].index, 4);
}

TEST(CreatePartitions, AssignmentsLimitsAndRepeats) {
  Limits limits;
  limits.partitions_max = 4;
  ReadyNode up(limits);
  create(up.node, {topic("a"), topic("b")});
  std::vector<std::int32_t> here = {1};
  std::vector<std::int32_t> both = {1, 1};
  std::vector<GrowAssignment> one = {{here}};
  std::vector<GrowAssignment> bad = {{both}};
  GrowTopic wanted = to_count("a", 3);
  wanted.assignments = std::span(one);
  EXPECT_EQ(grow(up.node, {wanted}),
            Lines{"a 39: Attempted to add 2 additional partition(s), but only 1 assignment(s) were "
                  "specified."});
  wanted.count = 2;
  wanted.assignments = std::span(bad);
  EXPECT_EQ(grow(up.node, {wanted}),
            Lines{"a 39: The manual partition assignment includes the broker 1 more than once."});
  wanted.assignments = std::span(one);
  EXPECT_EQ(grow(up.node, {wanted}), Lines{"a ok"});
  EXPECT_EQ(grow(up.node, {to_count("b", 3), to_count("a", 3), to_count("a", 4)}),
            (Lines{"b 37: Unable to add 2 partition(s): there are 3 already, and this node takes 4 "
                   "(limits.partitions_max).",
                   "a 42: Duplicate topic name.", "a 42: Duplicate topic name."}));
  EXPECT_EQ(topics(up.node), "a/2 b/1");
}

TEST(CreatePartitions, EveryVersionIsAnswered) {
  ReadyNode up;
  create(up.node, {topic("a")});
  for (std::int16_t version = 0; version <= 3; ++version) {
    EXPECT_EQ(grow(up.node, {to_count("a", version + 2)}, false, version), Lines{"a ok"});
  }
}

TEST(CreatePartitions, TheOffsetsTopicKeepsItsNumber) {
  ReadyNode ready;
  ASSERT_EQ(create_one(ready.node, topic("__consumer_offsets", 2)), "ok");
  kafka::CreatePartitionsRequest::CreatePartitionsTopic wanted{.name = "__consumer_offsets",
                                                               .count = 3};
  kafka::CreatePartitionsRequest request;
  request.topics = {&wanted, 1};
  const auto response = ready.node.ask<kafka::CreatePartitionsResponse>(request, 3);
  EXPECT_EQ(response.results[0].error_code, 37);
}

}  // namespace
}  // namespace tailrace::control
