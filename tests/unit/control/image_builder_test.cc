#include "control/image_builder.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

class ImageBuilderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(state.apply(ClusterRecord{"cluster"}));
    ASSERT_TRUE(state.apply(NodeRecord{1, "r", {{"h", 9092}}}));
    make("a", {1});
    make("b", {2});
  }
  void make(std::string_view name, std::vector<bus::NodeId> replicas) {
    TopicRecord record{random_uuid(prng), std::string(name), false, {}, {}};
    record.partitions.resize(5, PartitionRecord{replicas[0], 0, 1, replicas, replicas});
    ASSERT_TRUE(state.apply(record));
  }
  const bus::MetadataImage* publish() {
    messages.clear();
    builder.publish(state, 1, messages);
    return builder.newest();
  }
  Prng prng{1};
  ClusterState state;
  ImageBuilder builder{1, 3, 3};
  std::vector<bus::Outgoing> messages;
};

TEST_F(ImageBuilderTest, EveryCoreGetsTheImageAndOwnersAreOfThisNodesReplicas) {
  const bus::MetadataImage* image = publish();
  ASSERT_EQ(messages.size(), 3U);
  for (bus::CoreId core = 0; core < 3; ++core) {
    EXPECT_EQ(messages[core].to, core);
    EXPECT_EQ(messages[core].message.object, image);
    EXPECT_EQ(messages[core].message.word, 1U);
  }
  const bus::TopicImage* a = image->find_topic("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(image->find_topic(a->id), a);
  for (const bus::PartitionImage& partition : a->partitions) {
    EXPECT_EQ(partition.owner, bus::owner_core(a->id, partition.index, 3));
  }
  EXPECT_EQ(image->find_topic("b")->partitions[1].leader, 2);
  EXPECT_EQ(image->cluster_id, "cluster");
  EXPECT_EQ(image->controller_id, 1);
  ASSERT_EQ(image->nodes.size(), 1U);
  EXPECT_EQ(image->nodes[0].endpoints[0].port, 9092);
}

TEST_F(ImageBuilderTest, TopicsThatDidNotChangeAreShared) {
  const bus::MetadataImage* first = publish();
  ASSERT_TRUE(state.apply(TopicConfigRecord{state.find_topic("a")->id, {{"x", "y"}}}));
  const bus::MetadataImage* second = publish();
  EXPECT_EQ(second->version, 2U);
  EXPECT_NE(first->find_topic("a"), second->find_topic("a"));
  EXPECT_EQ(first->find_topic("b"), second->find_topic("b"));
  EXPECT_TRUE(first->find_topic("a")->configs.empty());
}

TEST_F(ImageBuilderTest, AnImageLivesUntilEveryCoreHasMovedOn) {
  publish();
  publish();
  EXPECT_EQ(builder.image_count(), 2U);
  builder.on_adopted(0, 2);
  builder.on_adopted(1, 2);
  EXPECT_EQ(builder.image_count(), 2U);
  builder.on_adopted(2, 1);
  EXPECT_EQ(builder.image_count(), 2U);
  builder.on_adopted(2, 2);
  EXPECT_EQ(builder.image_count(), 1U);
}

TEST_F(ImageBuilderTest, TooManyImagesInUseStopThePublishing) {
  publish();
  publish();
  EXPECT_TRUE(builder.can_publish());
  publish();
  EXPECT_FALSE(builder.can_publish());
  for (bus::CoreId core = 0; core < 3; ++core) builder.on_adopted(core, 2);
  EXPECT_TRUE(builder.can_publish());
}

TEST_F(ImageBuilderTest, ADeletedTopicLivesAsLongAsAnImageShowsIt) {
  const bus::MetadataImage* first = publish();
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic("a")->id}));
  const bus::MetadataImage* second = publish();
  EXPECT_EQ(second->find_topic("a"), nullptr);
  EXPECT_EQ(first->find_topic("a")->partitions.size(), 5U);
}

TEST_F(ImageBuilderTest, ConfigsOfGroupsAreSharedUntilTheyChange) {
  EXPECT_EQ(publish()->group_configs, nullptr);
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"a", "1"}}}));
  const auto first = publish()->group_configs;
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->at("g")[0].value, "1");
  for (bus::CoreId core = 0; core < 3; ++core) builder.on_adopted(core, 2);
  EXPECT_EQ(publish()->group_configs, first);
  for (bus::CoreId core = 0; core < 3; ++core) builder.on_adopted(core, 3);
  ASSERT_TRUE(state.apply(GroupConfigRecord{"g", {{"a", std::nullopt}}}));
  EXPECT_EQ(publish()->group_configs, nullptr);
  EXPECT_EQ(first->at("g")[0].value, "1");
}

}  // namespace
}  // namespace tailrace::control
