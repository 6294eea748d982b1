#include <algorithm>
#include <tuple>

#include "control/assignor.h"

namespace tailrace::control {

// Readers in one order for all topics: static members by their instance, which outlives their
// member id, then the others by id. The first ones get the partitions that do not divide.
Plan assign_range(const AssignorInput& input) {
  std::map<Uuid, std::vector<std::size_t>> readers;
  for (std::size_t i = 0; i < input.members.size(); ++i) {
    for (const Uuid& topic : input.members[i].topics) readers[topic].push_back(i);
  }
  const auto rank = [&input](std::size_t i) {
    const AssignorMember& member = input.members[i];
    return std::tuple(member.instance_id.empty(), member.instance_id, member.id);
  };
  Plan plan(input.members.size());
  for (auto& [topic, all] : readers) {
    std::sort(all.begin(), all.end(), [&](std::size_t a, std::size_t b) {
      return rank(a) < rank(b);
    });
    const std::int32_t count = input.topics.at(topic);
    const auto share = count / static_cast<std::int32_t>(all.size());
    const auto rest = count % static_cast<std::int32_t>(all.size());
    std::int32_t next = 0;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(all.size()); ++i) {
      const std::int32_t end = next + share + (i < rest ? 1 : 0);
      for (; next < end; ++next) plan[all[static_cast<std::size_t>(i)]].push_back({topic, next});
    }
  }
  return plan;
}

}  // namespace tailrace::control
