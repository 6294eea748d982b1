#include <gtest/gtest.h>

#include <limits>

#include "kafka/gen/alter_client_quotas.h"
#include "kafka/gen/describe_client_quotas.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Alter = kafka::AlterClientQuotasRequest;
using Describe = kafka::DescribeClientQuotasRequest;
using Part = Alter::EntryData::EntityData;
using Op = Alter::EntryData::OpData;
using Component = Describe::ComponentData;

std::string alter(ControlNode& node, std::vector<Part> entity, std::vector<Op> ops,
                  bool validate_only = false, std::int16_t version = 1) {
  Alter::EntryData entry{entity, ops};
  Alter request;
  request.entries = {&entry, 1};
  request.validate_only = validate_only;
  const auto response = node.ask<kafka::AlterClientQuotasResponse>(request, version);
  EXPECT_EQ(response.entries[0].entity.size(), entity.size());
  return told(response.entries[0].error_code, response.entries[0].error_message);
}

// "user=ANONYMOUS client-id=*: producer_byte_rate=10"
std::vector<std::string> describe(ControlNode& node, std::vector<Component> components = {},
                                  bool strict = false, std::int16_t version = 1) {
  Describe request;
  request.components = components;
  request.strict = strict;
  const auto response = node.ask<kafka::DescribeClientQuotasResponse>(request, version);
  if (response.error_code != 0) return {told(response.error_code, response.error_message)};
  std::vector<std::string> lines;
  for (const auto& entry : response.entries.items) {
    std::string line;
    for (const auto& part : entry.entity) {
      line += (line.empty() ? "" : " ") + std::string(part.entity_type) + "=" +
              (part.entity_name.is_null() ? "*" : std::string(part.entity_name.value));
    }
    line += ":";
    for (const auto& value : entry.values) {
      line += " " + std::string(value.key) + "=" + std::to_string(static_cast<int>(value.value));
    }
    lines.push_back(line);
  }
  return lines;
}

using Lines = std::vector<std::string>;
constexpr std::int8_t exact = 0, defaults = 1, any = 2;

class ClientQuotas : public ::testing::Test {
 protected:
  void set_three() {
    EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", 10}}), "ok");
    EXPECT_EQ(alter(up.node, {{"user", "a"}, {"client-id", nullptr}},
                    {{"consumer_byte_rate", 20}, {"request_percentage", 30}}), "ok");
    EXPECT_EQ(alter(up.node, {{"client-id", "c"}}, {{"controller_mutation_rate", 2.5}}), "ok");
  }
  ReadyNode up;
};

TEST_F(ClientQuotas, AreSetChangedAndTakenBack) {
  for (std::int16_t version = 0; version <= 1; ++version) {
    EXPECT_EQ(describe(up.node, {}, false, version), Lines{});
    EXPECT_EQ(alter(up.node, {{"user", nullptr}}, {{"producer_byte_rate", 10}}, true, version),
              "ok");
    EXPECT_EQ(describe(up.node, {}, false, version), Lines{}) << "only checked";
    EXPECT_EQ(alter(up.node, {{"user", nullptr}}, {{"producer_byte_rate", 10},
                                                  {"consumer_byte_rate", 5}}), "ok");
    EXPECT_EQ(alter(up.node, {{"user", nullptr}}, {{"producer_byte_rate", 11}}), "ok");
    EXPECT_EQ(describe(up.node, {}, false, version),
              Lines{"user=*: consumer_byte_rate=5 producer_byte_rate=11"});
    ASSERT_NE(up.node.image().quotas, nullptr);
    EXPECT_EQ(up.node.image().quotas->all.size(), 1U);
    EXPECT_EQ(alter(up.node, {{"user", nullptr}}, {{"producer_byte_rate", 0, true},
                                                  {"consumer_byte_rate", 0, true},
                                                  {"request_percentage", 0, true}}), "ok");
    EXPECT_EQ(describe(up.node, {}, false, version), Lines{});
    EXPECT_EQ(up.node.image().quotas, nullptr) << "cores need not look";
  }
}

TEST_F(ClientQuotas, AFilterNamesWhatMustMatch) {
  set_three();
  const Lines user = {"user=a: producer_byte_rate=10"};
  const Lines pair = {"client-id=* user=a: consumer_byte_rate=20 request_percentage=30"};
  const Lines client = {"client-id=c: controller_mutation_rate=2"};
  EXPECT_EQ(describe(up.node).size(), 3U);
  EXPECT_EQ(describe(up.node, {{"user", exact, "a"}}, true), user);
  EXPECT_EQ(describe(up.node, {{"user", exact, "a"}}), (Lines{pair[0], user[0]}));
  EXPECT_EQ(describe(up.node, {{"user", any, nullptr}, {"client-id", defaults, nullptr}}), pair);
  EXPECT_EQ(describe(up.node, {{"client-id", any, nullptr}}, true), client);
  EXPECT_EQ(describe(up.node, {{"user", defaults, nullptr}}), Lines{});
  EXPECT_EQ(describe(up.node, {{"user", exact, "b"}}), Lines{});
}

TEST_F(ClientQuotas, AFilterThatMakesNoSenseIsRefused) {
  const auto code = [this](std::vector<Component> components) {
    return describe(up.node, std::move(components)).at(0).substr(0, 3);
  };
  EXPECT_EQ(code({{"", any, nullptr}}), "42:");
  EXPECT_EQ(code({{"group", any, nullptr}}), "35:");
  EXPECT_EQ(code({{"user", any, nullptr}, {"user", exact, "a"}}), "42:");
  EXPECT_EQ(code({{"user", exact, nullptr}}), "42:");
  EXPECT_EQ(code({{"user", defaults, "a"}}), "42:");
  EXPECT_EQ(code({{"user", any, "a"}}), "42:");
  EXPECT_EQ(code({{"user", 3, nullptr}}), "42:");
  EXPECT_EQ(code({{"user", any, nullptr}, {"ip", any, nullptr}}), "42:");
}

TEST_F(ClientQuotas, EntitiesAndValuesAreChecked) {
  const std::vector<Op> rate = {{"producer_byte_rate", 10}};
  EXPECT_EQ(alter(up.node, {}, rate), "42: Invalid empty client quota entity");
  EXPECT_EQ(alter(up.node, {{"group", "g"}}, rate),
            "42: Unhandled client quota entity type: group");
  EXPECT_EQ(alter(up.node, {{"user", ""}}, rate), "42: Empty user not supported");
  EXPECT_EQ(alter(up.node, {{"user", "a"}, {"user", "b"}}, rate),
            "42: Invalid client quota entity, duplicate entity entry user");
  EXPECT_EQ(alter(up.node, {{"user", "a"}, {"ip", "1.2.3.4"}}, rate),
            "42: Invalid empty client quota entity");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"no_such_rate", 10}}),
            "42: Invalid configuration key no_such_rate");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"connection_creation_rate", 10}}),
            "42: Invalid configuration key connection_creation_rate");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", 0}}),
            "42: Quota producer_byte_rate must be greater than 0");
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", nan}}),
            "42: Quota producer_byte_rate must be greater than 0");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", 1.5}}),
            "42: producer_byte_rate cannot be a fractional value.");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", 1e30}}),
            "42: Proposed value for producer_byte_rate is too large for a LONG.");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"request_percentage", 0.5}}), "ok");
}

TEST_F(ClientQuotas, AddressesHaveOneOfTheirOwn) {
  const std::vector<Op> rate = {{"connection_creation_rate", 10}};
  EXPECT_EQ(alter(up.node, {{"ip", "127.0.0.1"}}, rate), "ok");
  EXPECT_EQ(alter(up.node, {{"ip", "::1"}}, rate), "ok");
  EXPECT_EQ(alter(up.node, {{"ip", nullptr}}, rate), "ok");
  EXPECT_EQ(alter(up.node, {{"ip", "no.such"}}, rate).substr(0, 3), "42:");
  EXPECT_EQ(alter(up.node, {{"ip", "1.2.3.4"}}, {{"producer_byte_rate", 1}}).substr(0, 3), "42:");
  EXPECT_EQ(describe(up.node, {{"ip", any, nullptr}}).size(), 3U);
  EXPECT_TRUE(up.node.image().quotas->all.empty()) << "not for cores";
}

TEST(ClientQuotaLimits, FurtherEntitiesAreRefused) {
  Limits limits;
  limits.quota_entities_max = 2;
  ReadyNode up(limits);
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", 1}}), "ok");
  EXPECT_EQ(alter(up.node, {{"user", "b"}}, {{"producer_byte_rate", 1}}), "ok");
  EXPECT_EQ(alter(up.node, {{"user", "c"}}, {{"producer_byte_rate", 1}}).substr(0, 3), "44:");
  EXPECT_EQ(alter(up.node, {{"user", "a"}}, {{"producer_byte_rate", 2}}), "ok");
}

TEST(ClientQuotaLife, TheySurviveARestart) {
  test::FakeDisk disk;
  {
    ControlNode node(disk);
    node.run();
    EXPECT_EQ(alter(node, {{"client-id", "c"}}, {{"request_percentage", 12}}), "ok");
  }
  disk.kill();
  ControlNode node(disk);
  node.run();
  EXPECT_EQ(describe(node), Lines{"client-id=c: request_percentage=12"});
  EXPECT_NE(node.image().quotas, nullptr) << "with the first image";
}

}  // namespace
}  // namespace tailrace::control
