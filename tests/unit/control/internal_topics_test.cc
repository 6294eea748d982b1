#include "control/internal_topics.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

TEST(InternalTopics, AGroupsPartitionIsThatOfJavasHash) {
  // From Java: "...".hashCode().
  EXPECT_EQ(java_hash(""), 0);
  EXPECT_EQ(java_hash("a"), 97);
  EXPECT_EQ(java_hash("my-group"), -1'906'497'762);
  EXPECT_EQ(java_hash("polygenelubricants"), INT32_MIN);
  EXPECT_EQ(java_hash("grün"), 3'185'949);
  EXPECT_EQ(java_hash("😀"), 1'772'899) << "a pair of surrogates";
  EXPECT_EQ(partition_of_group("a", 50), 97 % 50);
  EXPECT_EQ(partition_of_group("polygenelubricants", 50), 0) << "the number without a positive";
}

TEST(InternalTopics, NamesThatAreTheBrokersOwn) {
  EXPECT_TRUE(is_internal_topic("__consumer_offsets"));
  EXPECT_TRUE(is_internal_topic("__transaction_state"));
  EXPECT_FALSE(is_internal_topic("consumer_offsets"));
}

}  // namespace
}  // namespace tailrace::control
