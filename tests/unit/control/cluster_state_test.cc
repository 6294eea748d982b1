#include "control/cluster_state.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace tailrace::control {
namespace {

class ClusterStateTest : public ::testing::Test {
 protected:
  Uuid make(std::string_view name, std::size_t partitions = 1) {
    const Uuid id = random_uuid(prng);
    TopicRecord record{id, std::string(name), false, {}, {}};
    record.partitions.resize(partitions, PartitionRecord{1, 0, 1, {1}, {1}});
    EXPECT_TRUE(state.apply(record));
    return id;
  }
  Prng prng{1};
  ClusterState state;
};

TEST_F(ClusterStateTest, TopicsComeGrowAndGo) {
  const Uuid a = make("a", 2);
  make("b");
  ASSERT_TRUE(state.apply(PartitionsAddedRecord{a, {PartitionRecord{1, 0, 1, {1}, {1}}}}));
  EXPECT_EQ(state.partition_count(), 4U);
  EXPECT_EQ(state.find_topic(a)->partitions.size(), 3U);
  ASSERT_TRUE(state.apply(TopicDeletedRecord{a}));
  EXPECT_EQ(state.find_topic(a), nullptr);
  EXPECT_EQ(state.find_topic("a"), nullptr);
  EXPECT_EQ(state.partition_count(), 1U);
}

TEST_F(ClusterStateTest, DotsAndUnderscoresCollide) {
  const Uuid id = make("a.b_c");
  EXPECT_EQ(state.find_collision("a_b.c")->name, "a.b_c");
  EXPECT_EQ(state.find_collision("a.b_c"), nullptr) << "itself";
  EXPECT_EQ(state.find_collision("abc"), nullptr);
  ASSERT_TRUE(state.apply(TopicDeletedRecord{id}));
  EXPECT_EQ(state.find_collision("a_b.c"), nullptr);
}

TEST_F(ClusterStateTest, ABrokersOwnConfigBeatsTheOneOfAll) {
  ASSERT_TRUE(state.apply(BrokerConfigRecord{-1, {{"x", "all"}, {"y", "all"}}}));
  ASSERT_TRUE(state.apply(BrokerConfigRecord{1, {{"x", "own"}}}));
  EXPECT_EQ(*state.broker_config(1, "x"), "own");
  EXPECT_EQ(*state.broker_config(1, "y"), "all");
  EXPECT_EQ(*state.broker_config(2, "x"), "all");
  ASSERT_TRUE(state.apply(BrokerConfigRecord{1, {{"x", std::nullopt}}}));
  EXPECT_EQ(*state.broker_config(1, "x"), "all");
  EXPECT_EQ(state.broker_config(1, "z"), nullptr);
}

TEST_F(ClusterStateTest, QuotasComeAndGo) {
  const QuotaEntity entity = {{"user", "u"}};
  EXPECT_EQ(state.quota_revision(), 0U);
  ASSERT_TRUE(state.apply(ClientQuotaRecord{entity, "a", 1}));
  ASSERT_TRUE(state.apply(ClientQuotaRecord{entity, "b", 2}));
  EXPECT_EQ(state.quotas().at(entity).size(), 2U);
  ASSERT_TRUE(state.apply(ClientQuotaRecord{entity, "a", std::nullopt}));
  ASSERT_TRUE(state.apply(ClientQuotaRecord{entity, "b", std::nullopt}));
  EXPECT_TRUE(state.quotas().empty());
  EXPECT_EQ(state.quota_revision(), 4U);
}

TEST_F(ClusterStateTest, ConfigsOfGroupsComeAndGo) {
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"a", "1"}, {"b", "2"}}}));
  EXPECT_EQ(state.group_configs("g"), (ConfigMap{{"a", "1"}, {"b", "2"}}));
  EXPECT_TRUE(state.group_configs("h").empty());
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"a", std::nullopt}}}));
  EXPECT_EQ(state.group_configs("g"), (ConfigMap{{"b", "2"}}));
  EXPECT_EQ(state.snapshot().size(), state.snapshot_bytes());
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"b", std::nullopt}}}));
  ASSERT_TRUE(state.apply(GroupConfigRecord{"h", {{"b", std::nullopt}}}));
  EXPECT_TRUE(state.group_configs().empty());
  EXPECT_EQ(state.snapshot().size(), state.snapshot_bytes());
  EXPECT_EQ(state.group_revision(), 4U);
}

TEST_F(ClusterStateTest, APartitionChangesItsLeader) {
  const Uuid a = make("a", 2);
  ASSERT_TRUE(state.apply(PartitionChangedRecord{a, 1, {2, 7, 1, {2, 1}, {2}}}));
  EXPECT_EQ(state.find_topic(a)->partitions[1].leader, 2);
  EXPECT_EQ(state.find_topic(a)->partitions[0].leader, 1);
  EXPECT_FALSE(state.apply(PartitionChangedRecord{a, 2, {2, 7, 1, {2}, {2}}}));
  EXPECT_FALSE(state.apply(PartitionChangedRecord{random_uuid(prng), 0, {2, 7, 1, {2}, {2}}}));
}

TEST_F(ClusterStateTest, RecordsThatContradictTheStateAreRefused) {
  const Uuid a = make("a");
  const Uuid other = random_uuid(prng);
  EXPECT_FALSE(state.apply(TopicRecord{other, "a", false, {}, {}})) << "the name is taken";
  EXPECT_FALSE(state.apply(TopicRecord{a, "b", false, {}, {}})) << "the id is taken";
  EXPECT_FALSE(state.apply(TopicDeletedRecord{other}));
  EXPECT_FALSE(state.apply(TopicConfigRecord{other, {}}));
  EXPECT_FALSE(state.apply(PartitionsAddedRecord{other, {}}));
  ASSERT_TRUE(state.apply(ProducerIdsRecord{10}));
  EXPECT_FALSE(state.apply(ProducerIdsRecord{9})) << "ids are never given away again";
}

TEST_F(ClusterStateTest, ASnapshotMakesTheSameState) {
  ASSERT_TRUE(state.apply(ClusterRecord{"cluster"}));
  ASSERT_TRUE(state.apply(NodeRecord{1, "r", {{"h", 1}}}));
  const Uuid a = make("a", 3);
  const Uuid b = make("b");
  ASSERT_TRUE(state.apply(TopicConfigRecord{a, {{"k", "v"}, {"l", "w"}}}));
  ASSERT_TRUE(state.apply(TopicConfigRecord{a, {{"k", std::nullopt}}}));
  ASSERT_TRUE(state.apply(BrokerConfigRecord{-1, {{"x", "all"}}}));
  ASSERT_TRUE(state.apply(ProducerIdsRecord{3000}));
  ASSERT_TRUE(state.apply(ClientQuotaRecord{{{"user", std::nullopt}}, "a", 1.5}));
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"x", "1"}}}));
  ASSERT_TRUE(state.apply(GroupConfigRecord{"h", {{"y", "2"}}}));
  ASSERT_TRUE(state.apply(TopicDeletedRecord{b}));
  const std::vector<std::byte> snapshot = state.snapshot();
  EXPECT_EQ(snapshot.size(), state.snapshot_bytes());
  ClusterState again;
  ASSERT_TRUE(again.restore(snapshot));
  EXPECT_EQ(again.snapshot(), snapshot);
  EXPECT_EQ(again.cluster_id(), "cluster");
  EXPECT_EQ(again.partition_count(), 3U);
  EXPECT_EQ(again.producer_id_next(), 3000);
  EXPECT_EQ(again.quotas(), state.quotas());
  EXPECT_EQ(again.group_configs(), state.group_configs());
  EXPECT_EQ(again.find_topic(a)->configs, (ConfigMap{{"l", "w"}}));
}

}  // namespace
}  // namespace tailrace::control
