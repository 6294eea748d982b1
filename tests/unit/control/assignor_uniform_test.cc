// The promises of the uniform assignor: complete, balanced, and nothing moves without need.
#include "control/assignor.h"

#include "assignor_input.h"

namespace tailrace::control {
namespace {

std::size_t moved(const GroupStory& before, const Plan& after) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    count += difference(before.members[i].owned, after[i]).size();
  }
  return count;
}

TEST(UniformAssignor, PartitionsAreSharedEvenly) {
  GroupStory story{.topics = {{1, 3}, {2, 3}}, .members = {{"a", {1, 2}}, {"b", {1, 2}}}};
  const Plan plan = assign_uniform(story.input());
  expect_complete(story, plan);
  EXPECT_EQ(plan[0].size(), 3U);
  EXPECT_EQ(plan[1].size(), 3U);
}

TEST(UniformAssignor, ANewMemberGetsItsShareAndTheOthersKeepTheRest) {
  GroupStory story{.topics = {{1, 9}}, .members = {{"a", {1}}, {"b", {1}}}};
  story.keep(assign_uniform(story.input()));
  story.members.push_back({"c", {1}});
  const Plan plan = assign_uniform(story.input());
  expect_complete(story, plan);
  for (const Assignment& assignment : plan) EXPECT_EQ(assignment.size(), 3U);
  EXPECT_EQ(moved(story, plan), 3U) << "only what the new one gets";
}

TEST(UniformAssignor, WhatALeaverHadIsSharedAndTheOthersKeepWhatTheyHave) {
  GroupStory story{.topics = {{1, 9}}, .members = {{"a", {1}}, {"b", {1}}, {"c", {1}}}};
  story.keep(assign_uniform(story.input()));
  story.members.erase(story.members.begin() + 1);
  const Plan plan = assign_uniform(story.input());
  expect_complete(story, plan);
  EXPECT_EQ(moved(story, plan), 0U);
}

TEST(UniformAssignor, MembersThatReadDifferentTopicsAreLevelledAsFarAsTheyCan) {
  GroupStory story{.topics = {{1, 4}, {2, 2}}, .members = {{"a", {1}}, {"b", {1, 2}}, {"c", {2}}}};
  const Plan plan = assign_uniform(story.input());
  expect_complete(story, plan);
  for (const Assignment& assignment : plan) EXPECT_EQ(assignment.size(), 2U);
}

TEST(UniformAssignor, WhatIsNotReadOrNotThereAnyMoreIsNotKept) {
  GroupStory story{.topics = {{1, 2}, {2, 2}}, .members = {{"a", {1}}, {"b", {1, 2}}}};
  story.members[0].owned = {{topic_id(1), 0}, {topic_id(1), 7}, {topic_id(2), 0},
                            {topic_id(9), 0}};
  const Plan plan = assign_uniform(story.input());
  expect_complete(story, plan);
  EXPECT_EQ(text_of(plan), "1:0,1\n2:0,1\n");
}

TEST(UniformAssignor, EmptyGroupsAndEmptySubscriptions) {
  EXPECT_TRUE(assign_uniform(AssignorInput{}).empty());
  GroupStory story{.topics = {}, .members = {{"a", {}}}};
  EXPECT_EQ(text_of(assign_uniform(story.input())), "\n");
}

TEST(UniformAssignor, RandomGroupsOfOneSubscriptionAreBalancedAndMoveLittle) {
  Prng prng(1, "uniform");
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    GroupStory story = random_story(prng, true);
    story.keep(assign_uniform(story.input()));
    const std::size_t before = story.members.size();
    if (prng.between(0, 1) == 0) {
      story.members.push_back({"n", story.members[0].topics});
    } else if (before > 1) {
      story.members.erase(story.members.begin());
    }
    const Plan plan = assign_uniform(story.input());
    expect_complete(story, plan);
    const auto [least, most] = std::minmax_element(
        plan.begin(), plan.end(),
        [](const Assignment& a, const Assignment& b) { return a.size() < b.size(); });
    EXPECT_LE(most->size(), least->size() + 1);
    const std::size_t needed = story.members.size() > before ? plan.back().size() : 0;
    EXPECT_EQ(moved(story, plan), needed);
    story.keep(plan);
    EXPECT_EQ(assign_uniform(story.input()), plan) << "once more moves nothing";
  }
}

TEST(UniformAssignor, RandomGroupsOfManySubscriptionsCannotBeImprovedByOneMove) {
  Prng prng(2, "uniform");
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    GroupStory story = random_story(prng, false);
    const Plan plan = assign_uniform(story.input());
    expect_complete(story, plan);
    for (std::size_t i = 0; i < plan.size(); ++i) {
      for (const TopicPartition& at : plan[i]) {
        for (std::size_t k = 0; k < plan.size(); ++k) {
          const auto& reads = story.members[k].topics;
          if (std::find(reads.begin(), reads.end(), at.topic.bytes[15]) == reads.end()) continue;
          EXPECT_LE(plan[i].size(), plan[k].size() + 1);
        }
      }
    }
    story.keep(plan);
    EXPECT_EQ(assign_uniform(story.input()), plan);
  }
}

TEST(Assignors, AreFoundByTheirNames) {
  EXPECT_EQ(find_assignor("uniform"), &assign_uniform);
  EXPECT_EQ(find_assignor("range"), &assign_range);
  EXPECT_EQ(find_assignor("cooperative-sticky"), nullptr);
}

}  // namespace
}  // namespace tailrace::control
