#include <gtest/gtest.h>

#include "kafka/gen/unregister_broker.h"
#include "kafka/gen/update_features.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

std::vector<std::string> update(ControlNode& node, std::int16_t version, std::int8_t type = 1) {
  kafka::UpdateFeaturesRequest::FeatureUpdateKey key{.feature = "no.such", .max_version_level = 2,
                                                     .upgrade_type = type};
  kafka::UpdateFeaturesRequest request;
  request.feature_updates = {&key, 1};
  const auto response = node.ask<kafka::UpdateFeaturesResponse>(request, version);
  std::vector<std::string> lines = {told(response.error_code, response.error_message)};
  for (const auto& result : response.results) {
    lines.push_back(std::string(result.feature) + " " +
                    told(result.error_code, result.error_message));
  }
  return lines;
}

TEST(UpdateFeatures, NoFeatureCanBeChanged) {
  ReadyNode up;
  const std::string why = "95: Invalid update version 2 for feature no.such. Local controller 1 "
                          "does not support this feature.";
  EXPECT_EQ(update(up.node, 0), (std::vector<std::string>{"ok", "no.such " + why}));
  EXPECT_EQ(update(up.node, 1), (std::vector<std::string>{"ok", "no.such " + why}));
  EXPECT_EQ(update(up.node, 2).size(), 1U) << "all or none";
  EXPECT_EQ(update(up.node, 2)[0].substr(0, 3), "95:");
  EXPECT_EQ(update(up.node, 1, 9)[1].substr(0, 11), "no.such 95:");
}

TEST(UnregisterBroker, ThisOneStaysAndOthersAreNotThere) {
  ReadyNode up;
  const auto ask = [&up](std::int32_t id) {
    const auto response =
        up.node.ask<kafka::UnregisterBrokerResponse>(kafka::UnregisterBrokerRequest{id}, 0);
    return told(response.error_code, response.error_message);
  };
  EXPECT_EQ(ask(7), "102: Broker ID 7 is not currently registered");
  EXPECT_EQ(ask(1).substr(0, 3), "42:");
}

}  // namespace
}  // namespace tailrace::control
