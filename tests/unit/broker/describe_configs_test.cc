// Stories of DescribeConfigs.
#include "base/log.h"
#include "kafka/broker_config.h"
#include "kafka/gen/describe_configs.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using Request = kafka::DescribeConfigsRequest;
using Response = kafka::DescribeConfigsResponse;
using Resource = Request::DescribeConfigsResource;
using Config = Response::DescribeConfigsResult::DescribeConfigsResourceResult;

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;
constexpr std::int8_t group_resource = 32;

class Configs : public testing::Test {
 protected:
  Configs() {
    node.images.base().broker_configs = {{"log.retention.ms", "1000"}};
    node.images.add_topic("orders", 1, 1).configs = {{"segment.bytes", "2097152"}};
    node.publish();
    client = &node.connect();
  }
  test::Parsed<Response> describe(std::int8_t type, std::string_view name,
                                  std::int16_t version = 4) {
    std::vector<Resource> resources = {{.resource_type = type, .resource_name = name}};
    return client->call<Response>(Request{.resources = resources, .include_synonyms = true,
                                          .include_documentation = true}, version);
  }
  static const Config& find(const Response& response, std::string_view name) {
    for (const Config& config : response.results[0].configs) {
      if (config.name == name) return config;
    }
    static const Config none{};
    ADD_FAILURE() << "no config " << name;
    return none;
  }
  Node node;
  Client* client;
};

TEST_F(Configs, WhatIsSetForAllBrokersIsALevelOfItsOwn) {
  node.images.base().broker_defaults = {{"log.retention.ms", "2000"}, {"num.partitions", "3"}};
  node.publish();
  const auto all = describe(broker_resource, "");
  ASSERT_EQ(all->results[0].configs.size(), 2u);
  const Config& shared = find(all.response, "log.retention.ms");
  EXPECT_EQ(shared.value.value, "2000");
  EXPECT_EQ(shared.config_source, 3);
  ASSERT_EQ(shared.synonyms.size(), 1u);

  const auto one = describe(broker_resource, "1");
  const Config& own = find(one.response, "log.retention.ms");
  EXPECT_EQ(own.value.value, "1000");
  EXPECT_EQ(own.config_source, 2);
  ASSERT_EQ(own.synonyms.size(), 3u);
  EXPECT_EQ(own.synonyms[1].value.value, "2000");
  EXPECT_EQ(own.synonyms[1].source, 3);
  EXPECT_EQ(find(one.response, "num.partitions").config_source, 3);
}

TEST_F(Configs, AllOfATopicAreToldWithTheirSource) {
  for (std::int16_t version = 1; version <= 4; ++version) {
    const auto answer = describe(topic_resource, "orders", version);
    ASSERT_EQ(answer->results[0].error_code, 0);
    EXPECT_EQ(answer->results[0].configs.size(), kafka::topic_config_defs().size());
    const Config& own = find(answer.response, "segment.bytes");
    EXPECT_EQ(own.value.value, "2097152");
    EXPECT_EQ(own.config_source, 1);
    const Config& broker = find(answer.response, "retention.ms");
    EXPECT_EQ(broker.value.value, "1000");
    EXPECT_EQ(broker.config_source, 2);
    const Config& left = find(answer.response, "cleanup.policy");
    EXPECT_EQ(left.value.value, "delete");
    EXPECT_EQ(left.config_source, 5);
    EXPECT_FALSE(left.read_only);
    if (version < 3) continue;
    EXPECT_EQ(own.config_type, 3);
    EXPECT_FALSE(own.documentation.is_null());
  }
}

TEST_F(Configs, SynonymsTellWhatWouldComeNext) {
  const auto answer = describe(topic_resource, "orders");
  const Config& own = find(answer.response, "segment.bytes");
  ASSERT_EQ(own.synonyms.size(), 2u);
  EXPECT_EQ(own.synonyms[0].name, "segment.bytes");
  EXPECT_EQ(own.synonyms[1].name, "log.segment.bytes");
  EXPECT_EQ(own.synonyms[1].source, 5);
  const Config& broker = find(answer.response, "retention.ms");
  ASSERT_EQ(broker.synonyms.size(), 2u);
  EXPECT_EQ(broker.synonyms[0].name, "log.retention.ms");
  EXPECT_EQ(broker.synonyms[0].source, 2);
}

TEST_F(Configs, OnlyTheAskedKeysAreTold) {
  std::vector<std::string_view> keys = {"retention.ms", "no.such.config"};
  std::vector<Resource> resources = {{.resource_type = topic_resource,
                                      .resource_name = "orders",
                                      .configuration_keys = std::span<std::string_view>(keys)}};
  const auto answer = client->call<Response>(Request{.resources = resources}, 4);
  ASSERT_EQ(answer->results[0].configs.size(), 1u);
  EXPECT_EQ(answer->results[0].configs[0].name, "retention.ms");
  EXPECT_TRUE(answer->results[0].configs[0].synonyms.empty());
  EXPECT_TRUE(answer->results[0].configs[0].documentation.is_null());
}

TEST_F(Configs, ThisBrokerTellsItsOwn) {
  const auto answer = describe(broker_resource, "1");
  EXPECT_EQ(answer->results[0].configs.size(), kafka::broker_config_defs().size());
  const Config& fixed = find(answer.response, "listeners");
  EXPECT_EQ(fixed.value.value, "PLAINTEXT://0.0.0.0:9092");
  EXPECT_EQ(fixed.config_source, 4);
  EXPECT_TRUE(fixed.read_only);
  EXPECT_EQ(find(answer.response, "log.retention.ms").config_source, 2);
}

TEST_F(Configs, WhatIsNotHereIsAnError) {
  EXPECT_EQ(describe(topic_resource, "nowhere")->results[0].error_code, 3);
  EXPECT_EQ(describe(broker_resource, "2")->results[0].error_code, 42);
  EXPECT_EQ(describe(77, "x")->results[0].error_code, 42);
}

TEST_F(Configs, TheLogIsOneLogger) {
  set_log_level(LogLevel::warn);
  const auto answer = describe(8, "1");
  ASSERT_EQ(answer->results[0].configs.size(), 1u);
  EXPECT_EQ(answer->results[0].configs[0].name, "root");
  EXPECT_EQ(answer->results[0].configs[0].value.value, "WARN");
  EXPECT_EQ(answer->results[0].configs[0].config_source, 6);
  EXPECT_FALSE(answer->results[0].configs[0].read_only);
  set_log_level(LogLevel::info);
  EXPECT_EQ(describe(8, "2")->results[0].error_code, 42);
  EXPECT_EQ(describe(8, "")->results[0].error_code, 42);
}

TEST_F(Configs, ClientMetricsHaveTheirDefaults) {
  const auto answer = describe(16, "any");
  EXPECT_EQ(answer->results[0].error_code, 0);
  ASSERT_EQ(answer->results[0].configs.size(), 3u);
  EXPECT_EQ(find(answer.response, "interval.ms").value.value, "300000");
  EXPECT_EQ(find(answer.response, "metrics").config_source, 5);
  EXPECT_EQ(describe(16, "")->results[0].error_code, 42);
  EXPECT_EQ(describe(99, "x")->results[0].error_code, 42);
}

TEST_F(Configs, OfAGroupWhatIsSetAndWhatTheBrokerSays) {
  bus::GroupConfigs groups;
  groups["g"] = {{"consumer.session.timeout.ms", "50000"}};
  node.images.base().group_configs = std::make_shared<const bus::GroupConfigs>(std::move(groups));
  node.publish();
  for (std::int16_t version = 1; version <= 4; ++version) {
    const auto answer = describe(group_resource, "g", version);
    ASSERT_EQ(answer->results[0].error_code, 0);
    ASSERT_EQ(answer->results[0].configs.size(), 2u);
    const Config& own = find(answer.response, "consumer.session.timeout.ms");
    EXPECT_EQ(own.value.value, "50000");
    EXPECT_EQ(own.config_source, 8) << "DYNAMIC_GROUP_CONFIG";
    EXPECT_FALSE(own.read_only);
    ASSERT_EQ(own.synonyms.size(), 2u);
    EXPECT_EQ(own.synonyms[0].source, 8);
    EXPECT_EQ(own.synonyms[1].name, "group.consumer.session.timeout.ms");
    EXPECT_EQ(own.synonyms[1].value.value, "45000");
    const Config& left = find(answer.response, "consumer.heartbeat.interval.ms");
    EXPECT_EQ(left.value.value, "5000");
    EXPECT_EQ(left.config_source, 5);
  }
}

TEST_F(Configs, OfAGroupThatIsNotThereTheDefaults) {
  const auto answer = describe(group_resource, "nobody");
  EXPECT_EQ(answer->results[0].error_code, 0);
  EXPECT_EQ(find(answer.response, "consumer.session.timeout.ms").config_source, 5);
  const auto unnamed = describe(group_resource, "");
  EXPECT_EQ(unnamed->results[0].error_code, 42);
  EXPECT_EQ(unnamed->results[0].error_message.value, "Group name must not be empty");
}

}  // namespace
}  // namespace tailrace::broker
