#include "control/topic_rules.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

TEST(TopicRules, Names) {
  for (const std::string_view good : {"a", "A.b_c-9", "...", "__consumer_offsets"}) {
    EXPECT_FALSE(check_topic_name(good).refused()) << good;
  }
  for (const std::string_view bad : {"", ".", "..", "a/b", "a b", "\xc3\xa9", "a:b",
                                     "__cluster_metadata"}) {
    EXPECT_EQ(check_topic_name(bad).code, kafka::ErrorCode::invalid_topic) << bad;
  }
  EXPECT_TRUE(check_topic_name(std::string_view("a\0b", 3)).refused());
}

TEST(TopicRules, ReplicasMustBeDistinctKnownAndAsManyAsElsewhere) {
  ClusterState state;
  for (const bus::NodeId id : {1, 2}) ASSERT_TRUE(state.apply(NodeRecord{id, "", {}}));
  const auto check = [&state](std::vector<std::int32_t> nodes, std::size_t expected) {
    return check_replicas(state, nodes, expected).refused();
  };
  EXPECT_FALSE(check({1, 2}, 2));
  EXPECT_FALSE(check({2}, 0));
  EXPECT_TRUE(check({}, 0));
  EXPECT_TRUE(check({1, 1}, 2));
  EXPECT_TRUE(check({3}, 1));
  EXPECT_TRUE(check({1}, 2));
}

TEST(TopicRules, TheFirstReplicaLeadsANewPartition) {
  const PartitionRecord partition = new_partition({2, 1});
  EXPECT_EQ(partition.leader, 2);
  EXPECT_EQ(partition.leader_epoch, 0);
  EXPECT_EQ(partition.isr, (std::vector<bus::NodeId>{2, 1}));
}

}  // namespace
}  // namespace tailrace::control
