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

}  // namespace
}  // namespace tailrace::control
