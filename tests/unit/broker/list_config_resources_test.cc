// Stories of ListConfigResources.
#include "kafka/gen/list_config_resources.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Resources : public ClusterStory {
 protected:
  std::string list(std::vector<std::int8_t> types, std::int16_t version = 1) {
    const auto answer = client->call<kafka::ListConfigResourcesResponse>(
        kafka::ListConfigResourcesRequest{.resource_types = types}, version);
    std::string text = answer->error_code == 0 ? "" : "!" + std::to_string(answer->error_code);
    for (const auto& found : answer->config_resources) {
      text += (text.empty() ? "" : " ") + std::to_string(found.resource_type) + ":" +
              std::string(found.resource_name);
    }
    return text;
  }
};

TEST_F(Resources, ByTheirTypes) {
  EXPECT_EQ(list({2}), "2:orders 2:payments");
  EXPECT_EQ(list({4}), "4:1");
  EXPECT_EQ(list({8}), "8:1");
  EXPECT_EQ(list({16}), "") << "no subscription of client metrics";
  EXPECT_EQ(list({32}), "") << "no group has configs of its own";
  EXPECT_EQ(list({}), "2:orders 2:payments 4:1 8:1") << "none named: all";
}

TEST_F(Resources, AnUnknownTypeIsOfAnotherVersion) {
  EXPECT_EQ(list({2, 77}), "!35");
  EXPECT_EQ(list({0}), "!35");
}

TEST_F(Resources, VersionZeroAsksForClientMetrics) { EXPECT_EQ(list({}, 0), ""); }

TEST_F(Resources, GroupsForWhichSomethingIsSet) {
  bus::GroupConfigs groups;
  groups["b"] = groups["a"] = {{"consumer.session.timeout.ms", "50000"}};
  node.images.base().group_configs = std::make_shared<const bus::GroupConfigs>(std::move(groups));
  node.publish();
  EXPECT_EQ(list({32}), "32:a 32:b");
  EXPECT_EQ(list({}), "2:orders 2:payments 4:1 8:1 32:a 32:b");
  EXPECT_EQ(list({2, 16}), "2:orders 2:payments");
}

}  // namespace
}  // namespace tailrace::broker
