#include <algorithm>
#include <iterator>

#include "control/assignor.h"

namespace tailrace::control {
namespace {

// The plan as it grows. Loads are what is balanced.
struct Draft {
  explicit Draft(const AssignorInput& input_in) : input(input_in) {
    loads.resize(input.members.size());
    for (const auto& [topic, count] : input.topics) {
      owners[topic].resize(static_cast<std::size_t>(count), nobody);
    }
    for (std::size_t i = 0; i < input.members.size(); ++i) {
      for (const Uuid& topic : input.members[i].topics) readers[topic].push_back(i);
    }
  }

  static constexpr std::size_t nobody = SIZE_MAX;
  const AssignorInput& input;
  std::vector<std::size_t> loads;                      // by member
  std::map<Uuid, std::vector<std::size_t>> owners;     // by partition
  std::map<Uuid, std::vector<std::size_t>> readers;

  void keep_owned();
  void give_rest();
  bool level(const Uuid& topic);
  std::size_t least_loaded(const std::vector<std::size_t>& among) const {
    return *std::min_element(among.begin(), among.end(), [this](std::size_t a, std::size_t b) {
      return loads[a] < loads[b];
    });
  }
};

// What a member still reads and what still exists stays, until balance says otherwise.
void Draft::keep_owned() {
  for (std::size_t i = 0; i < input.members.size(); ++i) {
    const AssignorMember& member = input.members[i];
    if (member.owned == nullptr) continue;
    for (const TopicPartition& at : *member.owned) {
      const auto found = owners.find(at.topic);
      if (found == owners.end() || at.partition < 0) continue;
      if (static_cast<std::size_t>(at.partition) >= found->second.size()) continue;
      const bool reads = std::find(member.topics.begin(), member.topics.end(), at.topic) !=
                         member.topics.end();
      std::size_t& owner = found->second[static_cast<std::size_t>(at.partition)];
      if (!reads || owner != nobody) continue;
      owner = i;
      ++loads[i];
    }
  }
}

// Topics with few readers first: who has little choice is served before the others are full.
void Draft::give_rest() {
  std::vector<const Uuid*> order;
  for (const auto& [topic, all] : readers) order.push_back(&topic);
  std::stable_sort(order.begin(), order.end(), [this](const Uuid* a, const Uuid* b) {
    return readers.at(*a).size() < readers.at(*b).size();
  });
  for (const Uuid* topic : order) {
    for (std::size_t& owner : owners.at(*topic)) {
      if (owner != nobody) continue;
      owner = least_loaded(readers.at(*topic));
      ++loads[owner];
    }
  }
}

// Moves partitions of one topic from members with more to those with at least two fewer. Each
// move makes the sum of squares smaller, so this ends.
bool Draft::level(const Uuid& topic) {
  const std::vector<std::size_t>& all = readers.at(topic);
  bool moved = false;
  for (std::size_t& owner : owners.at(topic)) {
    const std::size_t least = least_loaded(all);
    if (owner == nobody || loads[owner] < loads[least] + 2) continue;
    --loads[owner];
    ++loads[least];
    owner = least;
    moved = true;
  }
  return moved;
}

}  // namespace

Plan assign_uniform(const AssignorInput& input) {
  Draft draft(input);
  draft.keep_owned();
  draft.give_rest();
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& [topic, all] : draft.readers) moved = draft.level(topic) || moved;
  }
  Plan plan(input.members.size());
  for (const auto& [topic, owners] : draft.owners) {
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if (owners[i] == Draft::nobody) continue;
      plan[owners[i]].push_back({topic, static_cast<std::int32_t>(i)});
    }
  }
  return plan;
}

// ---------------------------------------------------------------- what all assignors share

Assignor find_assignor(std::string_view name) {
  if (name == "uniform") return assign_uniform;
  if (name == "range") return assign_range;
  return nullptr;
}

Assignment intersection(const Assignment& a, const Assignment& b) {
  Assignment out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Assignment difference(const Assignment& a, const Assignment& b) {
  Assignment out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Assignment sum(const Assignment& a, const Assignment& b) {
  Assignment out;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

}  // namespace tailrace::control
