#include "kafka/broker_config.h"

#include <gtest/gtest.h>

namespace tailrace::kafka {
namespace {

TEST(BrokerConfig, IsOrderedByNameWithoutRepeats) {
  const auto& all = broker_config_defs();
  for (std::size_t i = 1; i < all.size(); ++i) {
    EXPECT_LT(all[i - 1].def.name, all[i].def.name);
  }
}

TEST(BrokerConfig, EveryDefaultThatIsThereIsAllowed) {
  for (const BrokerConfigDef& config : broker_config_defs()) {
    std::string why;
    const bool is_empty_text = config.def.default_value.empty();
    EXPECT_TRUE(is_empty_text || check_config(config.def, config.def.default_value, why)) << why;
  }
}

TEST(BrokerConfig, GivesTopicsTheirDefaults) {
  for (const ConfigDef& topic : topic_config_defs()) {
    if (topic.broker_synonym.empty()) continue;
    const BrokerConfigDef* config = find_broker_config(topic.broker_synonym);
    ASSERT_NE(config, nullptr) << topic.broker_synonym;
    EXPECT_EQ(config->def.default_value, topic.default_value);
    EXPECT_FALSE(config->read_only);
  }
}

TEST(BrokerConfig, WhatTheStartFixedIsReadOnly) {
  EXPECT_TRUE(find_broker_config("listeners")->read_only);
  EXPECT_TRUE(find_broker_config("node.id")->read_only);
  EXPECT_FALSE(find_broker_config("num.partitions")->read_only);
  EXPECT_EQ(find_broker_config("num.cats"), nullptr);
}

}  // namespace
}  // namespace tailrace::kafka
