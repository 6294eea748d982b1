#include <gtest/gtest.h>

#include "kafka/gen/alter_configs.h"
#include "kafka/gen/incremental_alter_configs.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Lines = std::vector<std::string>;
constexpr std::int8_t a_topic = 2;
constexpr std::int8_t a_broker = 4;
constexpr std::int8_t a_group = 32;
constexpr std::int8_t set = 0, remove_it = 1, append = 2, subtract = 3;

using SetConfig = kafka::AlterConfigsRequest::AlterConfigsResource::AlterableConfig;
using Change = kafka::IncrementalAlterConfigsRequest::AlterConfigsResource::AlterableConfig;

std::string replace(ControlNode& node, std::int8_t type, std::string_view name,
                    std::vector<SetConfig> configs, bool validate_only = false,
                    std::int16_t version = 2) {
  kafka::AlterConfigsRequest request;
  kafka::AlterConfigsRequest::AlterConfigsResource resource{type, name, configs};
  request.resources = std::span(&resource, 1);
  request.validate_only = validate_only;
  const auto response = node.ask<kafka::AlterConfigsResponse>(request, version);
  return told(response.responses[0].error_code, response.responses[0].error_message);
}

std::string change(ControlNode& node, std::int8_t type, std::string_view name,
                   std::vector<Change> configs, bool validate_only = false,
                   std::int16_t version = 1) {
  kafka::IncrementalAlterConfigsRequest request;
  kafka::IncrementalAlterConfigsRequest::AlterConfigsResource resource{type, name, configs};
  request.resources = std::span(&resource, 1);
  request.validate_only = validate_only;
  const auto response = node.ask<kafka::IncrementalAlterConfigsResponse>(request, version);
  EXPECT_EQ(response.responses[0].resource_type, type);
  EXPECT_EQ(response.responses[0].resource_name, name);
  return told(response.responses[0].error_code, response.responses[0].error_message);
}

std::string text_of(const std::vector<bus::ConfigEntry>& configs) {
  std::string text;
  for (const auto& [name, value] : configs) {
    text += (text.empty() ? "" : " ") + name + "=" + value;
  }
  return text;
}
std::string configs_of(const ControlNode& node, std::string_view topic_name) {
  return text_of(node.image().find_topic(topic_name)->configs);
}

TEST(IncrementalAlterConfigs, SetsAndDeletesAndLeavesTheRest) {
  ReadyNode up;
  create(up.node, {topic("a")});
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", set, "5"}, {"segment.ms", set, "7"}}),
            "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "retention.ms=5 segment.ms=7");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", remove_it, nullptr}}, true), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "retention.ms=5 segment.ms=7") << "only checked";
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", remove_it, nullptr}}, false, 0), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "segment.ms=7");
}

TEST(IncrementalAlterConfigs, ListsGrowAndShrinkFromTheValueInForce) {
  ReadyNode up;
  create(up.node, {topic("a")});
  EXPECT_EQ(change(up.node, a_topic, "a", {{"cleanup.policy", append, "compact"}}), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "cleanup.policy=delete,compact");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"cleanup.policy", append, "compact"}}), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "cleanup.policy=delete,compact") << "no item twice";
  EXPECT_EQ(change(up.node, a_topic, "a", {{"cleanup.policy", subtract, "delete"}}), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "cleanup.policy=compact");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", append, "1"}}),
            "40: Can't APPEND to key retention.ms because its type is not LIST.");
}

TEST(IncrementalAlterConfigs, ToRemoveAnUnknownNameIsDoneAlready) {
  ReadyNode up;
  create(up.node, {topic("a")});
  EXPECT_EQ(change(up.node, a_topic, "a", {{"no.such", remove_it, nullptr}}), "ok");
  EXPECT_EQ(change(up.node, a_broker, "1", {{"no.such", remove_it, nullptr}}), "ok");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"no.such", append, "x"}}).substr(0, 2), "40");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"no.such", remove_it, nullptr},
                                           {"retention.ms", set, "5"}}), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "retention.ms=5");
}

TEST(IncrementalAlterConfigs, WhatIsRefusedChangesNothing) {
  ReadyNode up;
  create(up.node, {topic("a")});
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", set, "5"}, {"no.such", set, "7"}}),
            "40: Unknown topic config name: no.such");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", set, "5"}, {"retention.ms", set, "6"}}),
            "42: Error due to duplicate config keys: retention.ms");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", set, nullptr}}),
            "42: Null value not supported for : retention.ms");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", 9, "5"}}),
            "42: Unknown operation type 9 for config retention.ms.");
  EXPECT_EQ(change(up.node, a_topic, "a", {{"retention.ms", set, "-2"}}).substr(0, 36),
            "40: Invalid value -2 for configurati");
  EXPECT_EQ(change(up.node, a_topic, "no", {{"retention.ms", set, "5"}}),
            "3: The topic 'no' does not exist.");
  EXPECT_EQ(change(up.node, 3, "1", {{"x", set, "5"}}), "42: Unexpected resource type 3.");
  EXPECT_EQ(configs_of(up.node, "a"), "");
}

TEST(IncrementalAlterConfigs, BrokersAllOrOne) {
  ReadyNode up;
  EXPECT_EQ(change(up.node, a_broker, "", {{"num.partitions", set, "4"}}), "ok");
  EXPECT_EQ(change(up.node, a_broker, "1", {{"log.retention.ms", set, "9"}}), "ok");
  EXPECT_EQ(text_of(up.node.image().broker_configs), "log.retention.ms=9");
  EXPECT_EQ(text_of(up.node.image().broker_defaults), "num.partitions=4");
  EXPECT_EQ(create_one(up.node, topic("a", -1)), "ok");
  EXPECT_EQ(topics(up.node), "a/4") << "a changed default counts at once";
  EXPECT_EQ(change(up.node, a_broker, "1", {{"node.id", set, "3"}}),
            "42: Cannot update these configs dynamically: Set(node.id)");
  EXPECT_EQ(change(up.node, a_broker, "1", {{"node.id", remove_it, nullptr}}),
            "42: Cannot update these configs dynamically: Set(node.id)");
  EXPECT_EQ(change(up.node, a_broker, "2", {{"num.partitions", set, "3"}}),
            "42: Unexpected broker id, expected 1 or empty string, but received 2");
  EXPECT_EQ(change(up.node, a_broker, "", {{"num.partitions", remove_it, nullptr}}), "ok");
  EXPECT_EQ(text_of(up.node.image().broker_configs), "log.retention.ms=9");
  EXPECT_EQ(text_of(up.node.image().broker_defaults), "");
}

TEST(IncrementalAlterConfigs, EachResourceOnce) {
  ReadyNode up;
  create(up.node, {topic("a"), topic("b")});
  std::vector<Change> changes = {{"retention.ms", set, "5"}};
  std::vector<kafka::IncrementalAlterConfigsRequest::AlterConfigsResource> resources = {
      {a_topic, "a", changes}, {a_topic, "b", changes}, {a_topic, "a", changes}};
  kafka::IncrementalAlterConfigsRequest request;
  request.resources = resources;
  Lines lines;
  for (const auto& r :
       up.node.ask<kafka::IncrementalAlterConfigsResponse>(request, 1).responses) {
    lines.push_back(std::string(r.resource_name) + " " + told(r.error_code, r.error_message));
  }
  EXPECT_EQ(lines, (Lines{"a 42: Each resource must appear at most once.", "b ok",
                          "a 42: Each resource must appear at most once."}));
}

TEST(AlterConfigs, ReplacesAllThatWasSet) {
  ReadyNode up;
  create(up.node, {topic("a")});
  for (std::int16_t version = 0; version <= 2; ++version) {
    EXPECT_EQ(replace(up.node, a_topic, "a", {{"retention.ms", "5"}, {"segment.ms", "7"}}, false,
                      version), "ok");
    EXPECT_EQ(configs_of(up.node, "a"), "retention.ms=5 segment.ms=7");
    EXPECT_EQ(replace(up.node, a_topic, "a", {{"flush.ms", "3"}}, true, version), "ok");
    EXPECT_EQ(replace(up.node, a_topic, "a", {{"segment.ms", "8"}}, false, version), "ok");
    EXPECT_EQ(configs_of(up.node, "a"), "segment.ms=8");
  }
  EXPECT_EQ(replace(up.node, a_topic, "a", {}), "ok");
  EXPECT_EQ(configs_of(up.node, "a"), "");
  EXPECT_EQ(replace(up.node, a_topic, "a", {{"retention.ms", nullptr}}),
            "42: Null value not supported for : retention.ms");
}

TEST(AlterConfigs, ConfigsOfATopicAreBounded) {
  Limits limits;
  limits.config_bytes_max = 100;
  ReadyNode up(limits);
  create(up.node, {topic("a")});
  const std::string text(90, '1');
  const std::string_view value = text;
  EXPECT_EQ(replace(up.node, a_topic, "a", {{"leader.replication.throttled.replicas", value}}),
            "44: All configs together may have 100 bytes.");
}

std::string group_text(const ControlNode& node, const std::string& group) {
  const auto& all = node.image().group_configs;
  return all == nullptr || !all->contains(group) ? "" : text_of(all->at(group));
}

TEST(IncrementalAlterConfigs, OfAGroupWhetherItIsThereOrNot) {
  ReadyNode up;
  EXPECT_EQ(change(up.node, a_group, "g", {{"consumer.session.timeout.ms", set, "50000"},
                                           {"consumer.heartbeat.interval.ms", set, "6000"}}), "ok");
  EXPECT_EQ(group_text(up.node, "g"),
            "consumer.heartbeat.interval.ms=6000 consumer.session.timeout.ms=50000");
  EXPECT_EQ(change(up.node, a_group, "g", {{"consumer.session.timeout.ms", remove_it, nullptr}}),
            "ok");
  EXPECT_EQ(group_text(up.node, "g"), "consumer.heartbeat.interval.ms=6000");
  EXPECT_EQ(change(up.node, a_group, "g", {{"consumer.heartbeat.interval.ms", remove_it, nullptr}}),
            "ok");
  EXPECT_EQ(up.node.image().group_configs, nullptr);
}

TEST(IncrementalAlterConfigs, WhatAGroupCannotHaveChangesNothing) {
  ReadyNode up;
  const auto refused = [&up](std::string_view group, Change one) {
    const std::string line = change(up.node, a_group, group, {one});
    EXPECT_EQ(up.node.image().group_configs, nullptr) << line;
    return line;
  };
  EXPECT_EQ(refused("", {"consumer.session.timeout.ms", set, "50000"}),
            "42: Default group resources are not allowed.");
  EXPECT_EQ(refused("g", {"share.session.timeout.ms", set, "50000"}),
            "40: Unknown group config name: share.session.timeout.ms");
  EXPECT_EQ(refused("g", {"retention.ms", set, "5"}),
            "40: Unknown group config name: retention.ms");
  EXPECT_EQ(refused("g", {"consumer.session.timeout.ms", set, "1"}).substr(0, 3), "40:");
  EXPECT_EQ(refused("g", {"consumer.session.timeout.ms", set, "x"}).substr(0, 3), "40:");
  EXPECT_EQ(refused("g", {"consumer.session.timeout.ms", append, "50000"}).substr(0, 3), "40:");
  EXPECT_EQ(refused("g", {"consumer.session.timeout.ms", set, nullptr}).substr(0, 3), "42:");
  EXPECT_EQ(change(up.node, a_group, "g", {{"consumer.session.timeout.ms", set, "50000"}}, true),
            "ok");
  EXPECT_EQ(up.node.image().group_configs, nullptr) << "only checked";
}

TEST(AlterConfigs, ReplacesThoseOfAGroup) {
  ReadyNode up;
  EXPECT_EQ(replace(up.node, a_group, "g", {{"consumer.session.timeout.ms", "50000"}}), "ok");
  EXPECT_EQ(replace(up.node, a_group, "g", {{"consumer.heartbeat.interval.ms", "6000"}}), "ok");
  EXPECT_EQ(group_text(up.node, "g"), "consumer.heartbeat.interval.ms=6000");
}

TEST(AlterConfigs, AsManyGroupsAsThereMayBe) {
  Limits limits;
  limits.groups_max = 1;
  ReadyNode up(limits);
  const std::vector<SetConfig> some = {{"consumer.session.timeout.ms", "50000"}};
  EXPECT_EQ(replace(up.node, a_group, "a", some), "ok");
  EXPECT_EQ(replace(up.node, a_group, "b", some),
            "44: 1 groups may have configs (groups.groups_max).");
  EXPECT_EQ(replace(up.node, a_group, "a", {{"consumer.session.timeout.ms", "51000"}}), "ok");
  EXPECT_EQ(replace(up.node, a_group, "a", {}), "ok");
  EXPECT_EQ(replace(up.node, a_group, "b", some), "ok");
}

TEST(AlterConfigs, GroupsOfOneRequestCountToo) {
  Limits limits;
  limits.groups_max = 1;
  ReadyNode up(limits);
  std::vector<SetConfig> some = {{"consumer.session.timeout.ms", "50000"}};
  std::vector<kafka::AlterConfigsRequest::AlterConfigsResource> resources = {
      {a_group, "a", some}, {a_group, "b", some}};
  kafka::AlterConfigsRequest request;
  request.resources = resources;
  Lines lines;
  for (const auto& r : up.node.ask<kafka::AlterConfigsResponse>(request, 2).responses) {
    lines.push_back(std::string(r.resource_name) + " " + told(r.error_code, r.error_message));
  }
  EXPECT_EQ(lines, (Lines{"a ok", "b 44: 1 groups may have configs (groups.groups_max)."}));
}

TEST(AlterConfigs, ThoseOfGroupsSurviveARestart) {
  test::FakeDisk disk;
  {
    ControlNode node(disk);
    node.run();
    EXPECT_EQ(replace(node, a_group, "g", {{"consumer.session.timeout.ms", "50000"}}), "ok");
  }
  disk.kill();
  ControlNode node(disk);
  node.run();
  EXPECT_EQ(group_text(node, "g"), "consumer.session.timeout.ms=50000");
}

}  // namespace
}  // namespace tailrace::control
