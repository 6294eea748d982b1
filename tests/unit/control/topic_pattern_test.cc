#include "control/topic_pattern.h"

#include <gtest/gtest.h>

#include "control/internal_topics.h"
#include "control/limits.h"

namespace tailrace::control {
namespace {

TEST(TopicPattern, MatchesWholeNamesAndNoInternalTopic) {
  ClusterState state;
  Prng prng(1, "test");
  ASSERT_TRUE(state.apply(NodeRecord{.id = 1}));
  ASSERT_TRUE(state.apply(new_offsets_topic(Limits{}, state, prng)));
  for (const char* name : {"orders", "orders-old", "other"}) {
    TopicRecord topic{.id = random_uuid(prng), .name = name};
    topic.partitions.resize(1, {.leader = 1, .replicas = {1}, .isr = {1}});
    ASSERT_TRUE(state.apply(topic));
  }
  using Names = std::vector<std::string>;
  EXPECT_EQ(matching_topics("orders", state), Names{"orders"});
  EXPECT_EQ(matching_topics("orders.*", state), (Names{"orders", "orders-old"}));
  EXPECT_EQ(matching_topics(".*", state), (Names{"orders", "orders-old", "other"}));
  EXPECT_EQ(matching_topics("(", state), Names{});
}

TEST(NamePattern, MatchesWholeNames) {
  EXPECT_TRUE(NamePattern("a.*").matches("ab"));
  EXPECT_FALSE(NamePattern("a").matches("ab"));
  EXPECT_FALSE(NamePattern("(").is_valid());
  EXPECT_FALSE(NamePattern(std::string(5000, 'a')).is_valid());
}

TEST(TopicPattern, BadAndHugeOnesAreNone) {
  EXPECT_TRUE(is_topic_pattern("a.*"));
  EXPECT_FALSE(is_topic_pattern("("));
  EXPECT_FALSE(is_topic_pattern("(?<x>a)(?=b)")) << "RE2 does not look ahead";
  EXPECT_FALSE(is_topic_pattern(std::string(5000, 'a')));
  EXPECT_FALSE(is_topic_pattern("((a{1000}){1000}){1000}"));
}

}  // namespace
}  // namespace tailrace::control
