// Groups for the tests of assignors, and what every plan must be.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/prng.h"
#include "control/assignor.h"

namespace tailrace::control {

inline Uuid topic_id(int number) {
  Uuid id;
  id.bytes[15] = static_cast<std::uint8_t>(number);
  return id;
}

// Who reads which topics; topics are numbers.
struct GroupStory {
  struct Member {
    std::string id;
    std::vector<int> topics;
    std::string instance_id;
    Assignment owned;
  };
  std::map<int, std::int32_t> topics;  // partitions of each
  std::vector<Member> members;         // by id

  AssignorInput input() const {
    AssignorInput made;
    for (const auto& [number, count] : topics) made.topics[topic_id(number)] = count;
    for (const Member& member : members) {
      AssignorMember& to = made.members.emplace_back();
      to.id = member.id;
      to.instance_id = member.instance_id;
      for (const int number : member.topics) to.topics.push_back(topic_id(number));
      to.owned = &member.owned;
    }
    return made;
  }
  void keep(const Plan& plan) {
    for (std::size_t i = 0; i < members.size(); ++i) members[i].owned = plan[i];
  }
};

// "1:0,1 2:0" for each member, in a line each.
inline std::string text_of(const Plan& plan) {
  std::string text;
  for (const Assignment& assignment : plan) {
    std::string line;
    Uuid last;
    for (const TopicPartition& at : assignment) {
      if (at.topic != last || line.empty()) {
        line += (line.empty() ? "" : " ") + std::to_string(at.topic.bytes[15]) + ":";
      } else {
        line += ",";
      }
      line += std::to_string(at.partition);
      last = at.topic;
    }
    text += line + "\n";
  }
  return text;
}

// Every partition that somebody reads belongs to exactly one of its readers; lists are sorted.
inline void expect_complete(const GroupStory& story, const Plan& plan) {
  ASSERT_EQ(plan.size(), story.members.size());
  std::set<TopicPartition> seen;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    EXPECT_TRUE(std::is_sorted(plan[i].begin(), plan[i].end()));
    for (const TopicPartition& at : plan[i]) {
      EXPECT_TRUE(seen.insert(at).second) << "two owners";
      const auto& reads = story.members[i].topics;
      EXPECT_NE(std::find(reads.begin(), reads.end(), at.topic.bytes[15]), reads.end());
    }
  }
  std::set<int> read;
  for (const auto& member : story.members) read.insert(member.topics.begin(), member.topics.end());
  std::size_t wanted = 0;
  for (const int number : read) wanted += static_cast<std::size_t>(story.topics.at(number));
  EXPECT_EQ(seen.size(), wanted);
}

// Members come and go, topics grow, subscriptions differ.
inline GroupStory random_story(Prng& prng, bool same_topics) {
  GroupStory story;
  const int topic_count = static_cast<int>(prng.between(1, 5));
  for (int i = 1; i <= topic_count; ++i) {
    story.topics[i] = static_cast<std::int32_t>(prng.between(1, 12));
  }
  const int member_count = static_cast<int>(prng.between(1, 9));
  for (int i = 0; i < member_count; ++i) {
    GroupStory::Member member{.id = "m" + std::to_string(i)};
    for (int number = 1; number <= topic_count; ++number) {
      if (same_topics || prng.between(0, 2) > 0) member.topics.push_back(number);
    }
    story.members.push_back(std::move(member));
  }
  return story;
}

}  // namespace tailrace::control
