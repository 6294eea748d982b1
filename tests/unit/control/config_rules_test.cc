#include "control/config_rules.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

TEST(ConfigRules, ListItemsAreAddedOnceAndTakenOut) {
  EXPECT_EQ(list_with("", "a"), "a");
  EXPECT_EQ(list_with("a, b", "b,c"), "a,b,c");
  EXPECT_EQ(list_without("a,b , c", "b"), "a,c");
  EXPECT_EQ(list_without("a", "a,b"), "");
}

TEST(ConfigRules, BatchesAreBoundedByTheLogForTopicsAndBrokers) {
  Limits limits;
  limits.batch_bytes_max = 1000;
  EXPECT_FALSE(check_topic_config(limits, "max.message.bytes", "1000").refused());
  EXPECT_EQ(check_topic_config(limits, "max.message.bytes", "1001").code,
            ErrorCode::invalid_config);
  EXPECT_EQ(check_broker_config(limits, "message.max.bytes", "1001").code,
            ErrorCode::invalid_config);
  EXPECT_FALSE(check_topic_config(limits, "segment.bytes", "2000000").refused());
}

TEST(ConfigRules, BrokerConfigsThatAreFixedWhileRunning) {
  const Limits limits;
  EXPECT_EQ(check_broker_config(limits, "broker.id", "2").code, ErrorCode::invalid_request);
  EXPECT_EQ(check_broker_config(limits, "broker.idd", "2").code, ErrorCode::invalid_config);
  EXPECT_FALSE(check_broker_config(limits, "num.partitions", "2").refused());
  EXPECT_EQ(check_broker_config(limits, "num.partitions", "0").code, ErrorCode::invalid_config);
}

TEST(ConfigRules, AllConfigsTogetherAreBounded) {
  Limits limits;
  limits.config_bytes_max = 10;
  EXPECT_FALSE(check_config_bytes(limits, {{"12345", "67890"}}).refused());
  EXPECT_TRUE(check_config_bytes(limits, {{"12345", "678901"}}).refused());
}

TEST(ConfigRules, AGroupsConfigsFitTheNodesLimitsAndEachOther) {
  const Limits limits;
  const auto check = [&limits](std::string_view session, std::string_view interval) {
    ConfigMap configs;
    if (!session.empty()) configs["consumer.session.timeout.ms"] = session;
    if (!interval.empty()) configs["consumer.heartbeat.interval.ms"] = interval;
    const Refusal refusal = check_group_configs(limits, configs);
    EXPECT_TRUE(!refusal.refused() || refusal.code == ErrorCode::invalid_config);
    return refusal.message;
  };
  EXPECT_EQ(check("", ""), "");
  EXPECT_EQ(check("45000", "5000"), "");
  EXPECT_EQ(check("60000", "15000"), "");
  EXPECT_EQ(check("44999", ""), "consumer.session.timeout.ms must be greater than or equal to "
                                "group.consumer.min.session.timeout.ms");
  EXPECT_EQ(check("60001", ""), "consumer.session.timeout.ms must be less than or equal to "
                                "group.consumer.max.session.timeout.ms");
  EXPECT_EQ(check("", "4999"), "consumer.heartbeat.interval.ms must be greater than or equal to "
                               "group.consumer.min.heartbeat.interval.ms");
  EXPECT_EQ(check("", "15001"), "consumer.heartbeat.interval.ms must be less than or equal to "
                                "group.consumer.max.heartbeat.interval.ms");
}

TEST(ConfigRules, ASessionIsLongerThanTheTimeBetweenHeartbeats) {
  Limits limits;
  limits.consumer_session_timeout = seconds(10);
  limits.consumer_session_timeout_min = seconds(5);
  const ConfigMap slow = {{"consumer.heartbeat.interval.ms", "10000"}};
  EXPECT_EQ(check_group_configs(limits, slow).message,
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms");
  const ConfigMap shorter = {{"consumer.session.timeout.ms", "5000"}};
  EXPECT_TRUE(check_group_configs(limits, shorter).refused()) << "the interval of the node";
}

TEST(ConfigRules, UnknownConfigsOfGroupsAreRefusedByName) {
  EXPECT_FALSE(check_group_config("consumer.session.timeout.ms", "50000").refused());
  EXPECT_EQ(check_group_config("consumer.session.timeout.ms", "soon").code,
            ErrorCode::invalid_config);
  const Refusal refusal = check_group_config("share.auto.offset.reset", "earliest");
  EXPECT_EQ(refusal.code, ErrorCode::invalid_config);
  EXPECT_EQ(refusal.message, "Unknown group config name: share.auto.offset.reset");
}

TEST(ConfigRules, WhatIsInForceForAGroup) {
  const Limits limits;
  EXPECT_EQ(group_times(limits, {}).session_timeout, seconds(45));
  const GroupTimes times = group_times(limits, {{"consumer.session.timeout.ms", "50000"},
                                                {"consumer.heartbeat.interval.ms", "broken"}});
  EXPECT_EQ(times.session_timeout, seconds(50));
  EXPECT_EQ(times.heartbeat_interval, seconds(5));
}

}  // namespace
}  // namespace tailrace::control
