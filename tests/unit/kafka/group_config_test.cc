#include "kafka/group_config.h"

#include <gtest/gtest.h>

#include "kafka/broker_config.h"

namespace tailrace::kafka {
namespace {

TEST(GroupConfig, EachHasABrokerConfigWithTheSameDefault) {
  for (const ConfigDef& def : group_config_defs()) {
    std::string why;
    EXPECT_TRUE(check_config(def, def.default_value, why)) << why;
    const BrokerConfigDef* broker = find_broker_config(def.broker_synonym);
    ASSERT_NE(broker, nullptr) << def.broker_synonym;
    EXPECT_EQ(broker->def.default_value, def.default_value);
  }
}

TEST(GroupConfig, IsOrderedByName) {
  const auto defs = group_config_defs();
  for (std::size_t i = 1; i < defs.size(); ++i) EXPECT_LT(defs[i - 1].name, defs[i].name);
}

TEST(GroupConfig, IsFoundByName) {
  EXPECT_EQ(find_group_config("consumer.session.timeout.ms")->default_value, "45000");
  EXPECT_EQ(find_group_config("share.session.timeout.ms"), nullptr);
  EXPECT_EQ(find_group_config("session.timeout.ms"), nullptr);
}

TEST(GroupConfig, AValueIsAPositiveNumber) {
  std::string why;
  const ConfigDef& def = *find_group_config("consumer.session.timeout.ms");
  for (const char* bad : {"0", "-1", "", "cat", "2147483648", "45000.5"}) {
    EXPECT_FALSE(check_config(def, bad, why)) << bad;
  }
}

}  // namespace
}  // namespace tailrace::kafka
