// Assignors: who of a group reads which partition. Pure functions: the same input gives the same
// plan on every node.
//
// uniform (the default): every member has as many partitions as the others, as far as subscriptions
// allow, and keeps what it has as long as that holds.
// range: the partitions of each topic in order, cut into equal ranges; members that read several
// topics get the same ranges of each, so that what was keyed alike comes to the same member.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"

namespace tailrace::control {

struct TopicPartition {
  Uuid topic;
  std::int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};
// Sorted, each once.
using Assignment = std::vector<TopicPartition>;

struct AssignorMember {
  std::string_view id;
  std::string_view instance_id;   // empty: none
  std::vector<Uuid> topics;       // it reads; each is in AssignorInput::topics
  const Assignment* owned = nullptr;  // of the plan before; null: none
};
struct AssignorInput {
  std::vector<AssignorMember> members;        // by id
  std::map<Uuid, std::int32_t> topics;        // partitions of each
};
// By the order of the members.
using Plan = std::vector<Assignment>;

Plan assign_uniform(const AssignorInput& input);
Plan assign_range(const AssignorInput& input);

// Null: there is none of that name.
using Assignor = Plan (*)(const AssignorInput&);
Assignor find_assignor(std::string_view name);
inline constexpr std::string_view default_assignor = "uniform";

Assignment intersection(const Assignment& a, const Assignment& b);
Assignment difference(const Assignment& a, const Assignment& b);
Assignment sum(const Assignment& a, const Assignment& b);

}  // namespace tailrace::control
