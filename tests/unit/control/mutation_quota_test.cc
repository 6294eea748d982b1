#include "control/mutation_quota.h"

#include <gtest/gtest.h>

#include "kafka/gen/alter_client_quotas.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

TEST(MutationQuota, ElevenSecondsWorthThenADebtThatIsPaidBack) {
  ClusterState state;
  ASSERT_TRUE(state.apply(
      ClientQuotaRecord{{{"client-id", std::nullopt}}, "controller_mutation_rate", 2}));
  MutationQuota quota(state);
  quota.set_time({1'000'000'000});
  EXPECT_EQ(quota.wait_ms("c"), 0U);
  quota.take("c", 22);
  EXPECT_EQ(quota.wait_ms("c"), 0U);
  quota.take("c", 5);
  EXPECT_EQ(quota.wait_ms("c"), 2500U);
  EXPECT_EQ(quota.wait_ms("d"), 0U) << "another client";
  quota.set_time({3'500'000'000});
  EXPECT_EQ(quota.wait_ms("c"), 0U);
  ASSERT_TRUE(state.apply(
      ClientQuotaRecord{{{"client-id", std::nullopt}}, "controller_mutation_rate", {}}));
  quota.take("c", 1000);
  EXPECT_EQ(quota.wait_ms("c"), 0U) << "none is set";
}

// Story: 1 partition a second, so that eleven may be made at once.
class Mutations : public ::testing::Test {
 protected:
  Mutations() {
    kafka::AlterClientQuotasRequest::EntryData::EntityData client{"client-id", nullptr};
    kafka::AlterClientQuotasRequest::EntryData::OpData rate{"controller_mutation_rate", 1};
    kafka::AlterClientQuotasRequest::EntryData entry{{&client, 1}, {&rate, 1}};
    kafka::AlterClientQuotasRequest request;
    request.entries = {&entry, 1};
    up.node.ask<kafka::AlterClientQuotasResponse>(request, 1);
  }
  // The code for a topic of so many partitions, and the time to wait.
  std::pair<std::int16_t, std::int32_t> make(std::string_view name, std::int32_t partitions,
                                             std::int16_t version = 7, bool only_check = false) {
    CreateTopic wanted = topic(name, partitions);
    kafka::CreateTopicsRequest request;
    request.topics = {&wanted, 1};
    request.validate_only = only_check;
    const auto sent = up.node.send(request, version);
    up.node.run();
    const auto response = up.node.response<kafka::CreateTopicsResponse>(*sent);
    EXPECT_EQ(sent->request.throttle_ms, static_cast<std::uint32_t>(response.throttle_time_ms))
        << "the core mutes the connection for it";
    return {response.topics[0].error_code, response.throttle_time_ms};
  }
  using Made = std::pair<std::int16_t, std::int32_t>;
  ReadyNode up;
};

TEST_F(Mutations, NewClientsAreRefusedWhileTheyHaveADebt) {
  EXPECT_EQ(make("a", 15), Made(0, 0));
  EXPECT_EQ(make("b", 1), Made(89, 4000));
  EXPECT_EQ(make("b", 1, 7, true), Made(0, 0)) << "only checked";
  EXPECT_EQ(topics(up.node), "a/15");
  up.node.now.instant = up.node.now.instant + seconds(4);
  EXPECT_EQ(make("b", 1), Made(0, 0));
}

TEST_F(Mutations, OldClientsAreServedAndMadeToWait) {
  EXPECT_EQ(make("a", 15, 5), Made(0, 4000));
  EXPECT_EQ(make("b", 1, 5), Made(0, 5000));
  EXPECT_EQ(topics(up.node), "a/15 b/1");
}

TEST_F(Mutations, DeletingAndGrowingCountAsWell) {
  EXPECT_EQ(make("a", 11), Made(0, 0));
  kafka::CreatePartitionsRequest::CreatePartitionsTopic wanted{.name = "a", .count = 12};
  kafka::CreatePartitionsRequest request;
  request.topics = {&wanted, 1};
  const auto grown = up.node.ask<kafka::CreatePartitionsResponse>(request, 3);
  EXPECT_EQ(grown.results[0].error_code, 0);
  EXPECT_EQ(remove(up.node, {"a"}),
            std::vector<std::string>{"a 89: The throttling quota has been exceeded."});
  up.node.now.instant = up.node.now.instant + seconds(1);
  EXPECT_EQ(remove(up.node, {"a"}), std::vector<std::string>{"a ok"});
  EXPECT_EQ(make("b", 1), Made(89, 12000));
}

}  // namespace
}  // namespace tailrace::control
