#include <gtest/gtest.h>

#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Lines = std::vector<std::string>;

TEST(CreateTopics, MakesATopicThatEveryCoreKnowsWhenTheAnswerComes) {
  ReadyNode up;
  kafka::CreateTopicsRequest request;
  std::vector<CreateTopic> topics = {topic("orders", 3)};
  request.topics = topics;
  const auto sent = up.node.send(request, 7);
  up.node.run();
  const auto response = up.node.response<kafka::CreateTopicsResponse>(*sent);
  ASSERT_EQ(response.topics.size(), 1U);
  const auto& made = response.topics[0];
  EXPECT_EQ(made.error_code, 0);
  EXPECT_EQ(made.num_partitions, 3);
  EXPECT_EQ(made.replication_factor, 1);
  ASSERT_NE(up.node.image_at_reply, nullptr);
  const bus::TopicImage* image = up.node.image_at_reply->find_topic("orders");
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->id, made.topic_id);
  ASSERT_EQ(image->partitions.size(), 3U);
  for (std::int32_t p = 0; p < 3; ++p) {
    const bus::PartitionImage& partition = image->partitions[p];
    EXPECT_EQ(partition.index, p);
    EXPECT_EQ(partition.leader, 1);
    EXPECT_EQ(partition.isr, std::vector<bus::NodeId>{1});
    EXPECT_EQ(partition.owner, bus::owner_core(image->id, p, 2));
  }
}

TEST(CreateTopics, TellsAllConfigsAndWhereTheyComeFrom) {
  ReadyNode up;
  std::vector<CreateConfig> configs = {{"retention.ms", "1000"}};
  std::vector<CreateTopic> topics = {topic("a")};
  topics[0].configs = configs;
  kafka::CreateTopicsRequest request;
  request.topics = topics;
  const auto response = up.node.ask<kafka::CreateTopicsResponse>(request, 5);
  ASSERT_EQ(response.topics.size(), 1U);
  std::string set;
  std::size_t defaults = 0;
  for (const auto& config : response.topics[0].configs.items) {
    if (config.config_source == 5) ++defaults;
    if (config.config_source == 1) {
      set += std::string(config.name) + "=" + std::string(config.value.value);
    }
  }
  EXPECT_EQ(set, "retention.ms=1000");
  EXPECT_GT(defaults, 20U);
  EXPECT_EQ(up.node.image().find_topic("a")->configs.size(), 1U);
}

TEST(CreateTopics, NamesAreCheckedInKafkasWords) {
  ReadyNode up;
  EXPECT_EQ(create_one(up.node, topic("")),
            "17: Topic name is invalid: the empty string is not allowed");
  EXPECT_EQ(create_one(up.node, topic(".")),
            "17: Topic name is invalid: '.' or '..' is not allowed");
  EXPECT_EQ(create_one(up.node, topic("a b")),
            "17: Topic name is invalid: 'a b' contains one or more characters other than ASCII "
            "alphanumerics, '.', '_' and '-'");
  EXPECT_EQ(create_one(up.node, topic(std::string(249, 'x'))), "ok");
  EXPECT_EQ(create_one(up.node, topic(std::string(250, 'x'))).substr(0, 40),
            "17: Topic name is invalid: the length of");
}

TEST(CreateTopics, ExistingCollidingAndRepeatedNamesAreRefusedOneResultEach) {
  ReadyNode up;
  EXPECT_EQ(create(up.node, {topic("a.b")}), Lines{"a.b ok"});
  const Lines wanted = {
      "a.b 36: Topic 'a.b' already exists.",
      "a_b 17: Topic 'a_b' collides with existing topic: a.b",
      "twice 42: Duplicate topic name.",
      "fine ok",
      "twice 42: Duplicate topic name.",
      "x.y ok",
      "x_y 17: Topic 'x_y' collides with existing topic: x.y",
  };
  EXPECT_EQ(create(up.node, {topic("a.b"), topic("a_b"), topic("twice"), topic("fine"),
                             topic("twice"), topic("x.y"), topic("x_y")}),
            wanted);
  EXPECT_EQ(topics(up.node), "a.b/1 fine/1 x.y/1");
}

TEST(CreateTopics, PartitionsAndReplicas) {
  ReadyNode up;
  EXPECT_EQ(create_one(up.node, topic("a", -1, -1)), "ok");
  EXPECT_EQ(create_one(up.node, topic("b", 0)),
            "37: Number of partitions was set to an invalid non-positive value.");
  EXPECT_EQ(create_one(up.node, topic("b", 1, 0)),
            "38: Replication factor was set to an invalid non-positive value.");
  EXPECT_EQ(create_one(up.node, topic("b", 1, 2)),
            "38: Unable to replicate the partition 2 time(s): The target replication factor of 2 "
            "cannot be reached because only 1 broker(s) are registered.");
  EXPECT_EQ(topics(up.node), "a/1");
}

TEST(CreateTopics, ManualAssignments) {
  ReadyNode up;
  std::vector<std::int32_t> here = {1};
  std::vector<std::int32_t> nowhere = {9};
  const auto with = [](std::vector<CreateAssignment>& assignments, std::int32_t partitions = -1) {
    CreateTopic made = topic("m", partitions, -1);
    made.assignments = assignments;
    return made;
  };
  std::vector<CreateAssignment> gap = {{0, here}, {2, here}};
  EXPECT_EQ(create_one(up.node, with(gap)),
            "39: partitions should be a consecutive 0-based integer sequence");
  std::vector<CreateAssignment> twice = {{0, here}, {0, here}};
  EXPECT_EQ(create_one(up.node, with(twice)),
            "39: Found multiple manual partition assignments for partition 0");
  std::vector<CreateAssignment> unknown = {{0, nowhere}};
  EXPECT_EQ(create_one(up.node, with(unknown)),
            "39: The manual partition assignment includes broker 9, but no such broker is "
            "registered.");
  std::vector<CreateAssignment> good = {{1, here}, {0, here}};
  EXPECT_EQ(create_one(up.node, with(good, 2)),
            "42: A manual partition assignment was specified, but numPartitions was not set to "
            "-1.");
  EXPECT_EQ(create_one(up.node, with(good)), "ok");
  EXPECT_EQ(topics(up.node), "m/2");
}

TEST(CreateTopics, ConfigsAreChecked) {
  Limits limits;
  limits.batch_bytes_max = 2'000'000;
  ReadyNode up(limits);
  const auto with = [&up](std::string_view name, kafka::NullableString value) {
    std::vector<CreateConfig> configs = {{name, value}};
    CreateTopic made = topic("c");
    made.configs = configs;
    return create_one(up.node, made);
  };
  EXPECT_EQ(with("no.such", "1"), "40: Unknown topic config name: no.such");
  EXPECT_EQ(with("retention.ms", nullptr),
            "40: Null value not supported for topic configs: retention.ms");
  EXPECT_EQ(with("retention.ms", "soon").substr(0, 45),
            "40: Invalid value soon for configuration rete");
  EXPECT_EQ(with("max.message.bytes", "2000001"),
            "40: Invalid value 2000001 for configuration max.message.bytes: Value must be no more "
            "than 2000000, the largest batch this node's log can take (storage.frame_bytes_max)");
  EXPECT_EQ(with("max.message.bytes", "2000000"), "ok");
}

TEST(CreateTopics, ThePartitionLimitHoldsAlsoWithinOneRequest) {
  Limits limits;
  limits.partitions_max = 10;
  ReadyNode up(limits);
  const Lines lines = create(up.node, {topic("a", 6), topic("b", 6), topic("c", 4)});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "a ok");
  EXPECT_EQ(lines[1], "b 37: Unable to add 6 partition(s): there are 6 already, and this node "
                      "takes 10 (limits.partitions_max).");
  EXPECT_EQ(lines[2], "c ok");
}

TEST(CreateTopics, ValidateOnlyMakesNothing) {
  ReadyNode up;
  const std::uint64_t before = up.node.plane().counters().commits.load();
  EXPECT_EQ(create(up.node, {topic("a", 3), topic("b", 0)}, true),
            (Lines{"a ok",
                   "b 37: Number of partitions was set to an invalid non-positive value."}));
  EXPECT_EQ(topics(up.node), "");
  EXPECT_EQ(up.node.plane().counters().commits.load(), before);
}

TEST(CreateTopics, EveryVersionIsAnswered) {
  ReadyNode up;
  for (std::int16_t version = 2; version <= 7; ++version) {
    const std::string name = "v" + std::to_string(version);
    EXPECT_EQ(create(up.node, {topic(name)}, false, version), Lines{name + " ok"});
  }
}

TEST(CreateTopics, TheBrokersOwnTopicsAreInternalHoweverTheyAreMade) {
  ReadyNode ready;
  EXPECT_EQ(create_one(ready.node, topic("__consumer_offsets", 2)), "ok");
  EXPECT_TRUE(ready.node.image().find_topic("__consumer_offsets")->is_internal);
}

}  // namespace
}  // namespace tailrace::control
