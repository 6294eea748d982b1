#include <gtest/gtest.h>

#include <array>

#include "kafka/gen/unregister_broker.h"
#include "kafka/gen/update_features.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Update = kafka::UpdateFeaturesRequest::FeatureUpdateKey;

std::vector<std::string> update(ControlNode& node, std::int16_t version,
                                std::vector<Update> updates, bool validate_only = false) {
  kafka::UpdateFeaturesRequest request;
  request.feature_updates = updates;
  request.validate_only = validate_only;
  const auto response = node.ask<kafka::UpdateFeaturesResponse>(request, version);
  std::vector<std::string> lines = {told(response.error_code, response.error_message)};
  for (const auto& result : response.results) {
    lines.push_back(std::string(result.feature) + " " +
                    told(result.error_code, result.error_message));
  }
  return lines;
}

using Lines = std::vector<std::string>;

TEST(UpdateFeatures, ToTheLevelThatItHasIsDoneAlready) {
  ReadyNode up;
  for (const auto type : std::array<std::int8_t, 3>{1, 2, 3}) {
    const std::vector<Update> all = {
        {.feature = "group.version", .max_version_level = 1, .upgrade_type = type},
        {.feature = "metadata.version", .max_version_level = 25, .upgrade_type = type},
        {.feature = "transaction.version", .max_version_level = 2, .upgrade_type = type},
        {.feature = "share.version", .max_version_level = 0, .upgrade_type = type}};
    EXPECT_EQ(update(up.node, 2, all), Lines{"ok"});
    EXPECT_EQ(update(up.node, 2, all, true), Lines{"ok"}) << "only checked";
    EXPECT_EQ(update(up.node, 1, all)[4], "share.version ok");
  }
}

TEST(UpdateFeatures, NoFeatureCanBeChanged) {
  ReadyNode up;
  const auto refused = [&up](std::string_view feature, std::int16_t level, std::int8_t type = 1) {
    const std::vector<Update> one = {{feature, level, false, type}};
    EXPECT_EQ(update(up.node, 2, one, true), update(up.node, 2, one));
    return update(up.node, 1, one)[1];
  };
  EXPECT_EQ(refused("no.such", 2),
            "no.such 95: Invalid update version 2 for feature no.such. Local controller 1 does not "
            "support this feature.");
  EXPECT_EQ(refused("transaction.version", 1, 2),
            "transaction.version 95: Invalid update version 1 for feature transaction.version. "
            "Local controller 1 only supports versions 2");
  EXPECT_EQ(refused("group.version", 0, 3).substr(0, 17), "group.version 95:");
  EXPECT_EQ(refused("metadata.version", 26).substr(0, 20), "metadata.version 95:");
  EXPECT_EQ(refused("group.version", -1),
            "group.version 95: Invalid update version -1 for feature group.version. A feature "
            "version cannot be less than 0.");
  EXPECT_EQ(refused("group.version", 1, 9),
            "group.version 95: Invalid update version 1 for feature group.version. The controller "
            "does not support the given upgrade type.");
}

TEST(UpdateFeatures, FromVersionTwoOnAllOrNone) {
  ReadyNode up;
  const std::vector<Update> mixed = {{.feature = "group.version", .max_version_level = 1},
                                     {.feature = "no.such", .max_version_level = 2}};
  const std::string why = "Invalid update version 2 for feature no.such. Local controller 1 does "
                          "not support this feature.";
  for (const auto version : std::array<std::int16_t, 2>{0, 1}) {
    EXPECT_EQ(update(up.node, version, mixed),
              (Lines{"ok", "group.version ok", "no.such 95: " + why}));
  }
  EXPECT_EQ(update(up.node, 2, mixed),
            Lines{"95: The update failed for all features since the following feature had an "
                  "error: " + why});
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
