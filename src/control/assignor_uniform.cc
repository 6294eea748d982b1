#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "control/assignor.h"

namespace tailrace::control {
namespace {

constexpr std::size_t nobody = SIZE_MAX;

// Members that read the same topics, by how many partitions they have. Mostly there is one pool;
// a member is in one for each set of readers that it belongs to.
struct Pool {
  std::set<std::pair<std::size_t, std::size_t>> order;  // load, member
  std::size_t least() const { return order.begin()->second; }
};

// The plan as it grows. Loads are what is balanced.
class Draft {
 public:
  explicit Draft(const AssignorInput& input);

  void keep_owned();
  void give_rest();
  void level();

  std::map<Uuid, std::vector<std::size_t>> owners;  // by partition

 private:
  void make_pools();
  void change_load(std::size_t member, bool more);
  bool level(const Uuid& topic);

  const AssignorInput& input_;
  std::map<Uuid, std::vector<std::size_t>> readers_;
  std::vector<std::size_t> loads_;                  // by member
  std::vector<Pool> pools_;
  std::map<Uuid, std::size_t> pool_of_;             // by topic
  std::vector<std::vector<std::size_t>> pools_of_;  // by member
};

Draft::Draft(const AssignorInput& input) : input_(input) {
  loads_.resize(input.members.size());
  pools_of_.resize(input.members.size());
  for (const auto& [topic, count] : input.topics) {
    owners[topic].resize(static_cast<std::size_t>(count), nobody);
  }
  for (std::size_t i = 0; i < input.members.size(); ++i) {
    for (const Uuid& topic : input.members[i].topics) readers_[topic].push_back(i);
  }
}

// What a member still reads and what still exists stays, until balance says otherwise.
void Draft::keep_owned() {
  for (std::size_t i = 0; i < input_.members.size(); ++i) {
    const AssignorMember& member = input_.members[i];
    if (member.owned == nullptr) continue;
    const std::set<Uuid> topics(member.topics.begin(), member.topics.end());
    for (const TopicPartition& at : *member.owned) {
      const auto found = owners.find(at.topic);
      if (found == owners.end() || at.partition < 0) continue;
      if (static_cast<std::size_t>(at.partition) >= found->second.size()) continue;
      std::size_t& owner = found->second[static_cast<std::size_t>(at.partition)];
      if (!topics.contains(at.topic) || owner != nobody) continue;
      owner = i;
      ++loads_[i];
    }
  }
  make_pools();
}

void Draft::make_pools() {
  std::map<std::vector<std::size_t>, std::size_t> known;
  for (const auto& [topic, all] : readers_) {
    const auto [at, is_new] = known.emplace(all, pools_.size());
    pool_of_[topic] = at->second;
    if (!is_new) continue;
    Pool& pool = pools_.emplace_back();
    for (const std::size_t member : all) {
      pool.order.emplace(loads_[member], member);
      pools_of_[member].push_back(at->second);
    }
  }
}

void Draft::change_load(std::size_t member, bool more) {
  const std::size_t load = more ? loads_[member] + 1 : loads_[member] - 1;
  for (const std::size_t pool : pools_of_[member]) {
    auto node = pools_[pool].order.extract({loads_[member], member});
    node.value() = {load, member};
    pools_[pool].order.insert(std::move(node));
  }
  loads_[member] = load;
}

// Topics with few readers first: who has little choice is served before the others are full.
void Draft::give_rest() {
  std::vector<const Uuid*> order;
  for (const auto& [topic, all] : readers_) order.push_back(&topic);
  std::stable_sort(order.begin(), order.end(), [this](const Uuid* a, const Uuid* b) {
    return readers_.at(*a).size() < readers_.at(*b).size();
  });
  for (const Uuid* topic : order) {
    const Pool& pool = pools_[pool_of_.at(*topic)];
    for (std::size_t& owner : owners.at(*topic)) {
      if (owner != nobody) continue;
      owner = pool.least();
      change_load(owner, true);
    }
  }
}

void Draft::level() {
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& [topic, all] : readers_) moved = level(topic) || moved;
  }
}

// Moves partitions of one topic from members with more to those with at least two fewer. Each
// move makes the sum of squares smaller, so this ends.
bool Draft::level(const Uuid& topic) {
  const Pool& pool = pools_[pool_of_.at(topic)];
  bool moved = false;
  for (std::size_t& owner : owners.at(topic)) {
    const std::size_t least = pool.least();
    if (owner == nobody || loads_[owner] < loads_[least] + 2) continue;
    change_load(owner, false);
    change_load(least, true);
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
  draft.level();
  Plan plan(input.members.size());
  for (const auto& [topic, owners] : draft.owners) {
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if (owners[i] == nobody) continue;
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
