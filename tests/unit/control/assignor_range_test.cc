// The promises of the range assignor: complete, ranges, the same ones of topics that are alike.
#include "control/assignor.h"

#include "assignor_input.h"

namespace tailrace::control {
namespace {

TEST(RangeAssignor, EachTopicIsCutIntoRanges) {
  GroupStory story{.topics = {{1, 5}}, .members = {{"a", {1}}, {"b", {1}}}};
  EXPECT_EQ(text_of(assign_range(story.input())), "1:0,1,2\n1:3,4\n");
}

TEST(RangeAssignor, TopicsOfTheSameReadersAreCutAlike) {
  GroupStory story{.topics = {{1, 4}, {2, 4}}, .members = {{"a", {1, 2}}, {"b", {1, 2}}}};
  EXPECT_EQ(text_of(assign_range(story.input())), "1:0,1 2:0,1\n1:2,3 2:2,3\n");
}

TEST(RangeAssignor, MoreReadersThanPartitions) {
  GroupStory story{.topics = {{1, 2}}, .members = {{"a", {1}}, {"b", {1}}, {"c", {1}}}};
  EXPECT_EQ(text_of(assign_range(story.input())), "1:0\n1:1\n\n");
}

TEST(RangeAssignor, StaticMembersAreOrderedByTheirInstance) {
  GroupStory story{.topics = {{1, 3}},
                   .members = {{"a", {1}}, {"b", {1}, "two"}, {"c", {1}, "one"}}};
  EXPECT_EQ(text_of(assign_range(story.input())), "1:2\n1:1\n1:0\n");
  story.members = {{"a", {1}}, {"b", {1}, "one"}, {"c", {1}, "two"}};
  EXPECT_EQ(text_of(assign_range(story.input())), "1:2\n1:0\n1:1\n");
}

TEST(RangeAssignor, RandomGroupsAreCompleteAndInRanges) {
  Prng prng(1, "range");
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    const GroupStory story = random_story(prng, prng.between(0, 1) == 0);
    const Plan plan = assign_range(story.input());
    expect_complete(story, plan);
    for (const Assignment& assignment : plan) {
      for (std::size_t i = 1; i < assignment.size(); ++i) {
        if (assignment[i].topic != assignment[i - 1].topic) continue;
        EXPECT_EQ(assignment[i].partition, assignment[i - 1].partition + 1);
      }
    }
  }
}

}  // namespace
}  // namespace tailrace::control
