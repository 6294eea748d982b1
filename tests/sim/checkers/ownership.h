// OwnershipChecker: what members of a consumer-protocol group believe to own. Promise (one_owner):
// a partition belongs to one member at a time.
//
// A member owns until it gives up, or until a session has passed since it sent the last heartbeat
// that was answered: then the coordinator may have put it out, and it stops by its own clock.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "verdicts.h"

namespace tailrace::sim {

// Of members, by every coordinator of the simulation.
inline constexpr Duration consumer_session = milliseconds(300);

class OwnershipChecker {
 public:
  using Place = std::pair<std::string, std::int32_t>;  // group, partition

  explicit OwnershipChecker(Verdicts& verdicts) : verdicts_(verdicts) {}

  // All that `member` owns now, and until when at least.
  void owns(const std::string& group, const std::string& member,
            const std::vector<std::int32_t>& partitions, Instant now, Instant until) {
    gives_up(group, member);
    for (const std::int32_t partition : partitions) {
      const auto [at, is_new] = owners_.try_emplace(Place{group, partition}, Owner{member, until});
      if (is_new) continue;
      if (at->second.until > now) {
        verdicts_.broken("one_owner", "{} of group {}: {} and {}", partition, group,
                         at->second.member, member);
      }
      at->second = {member, until};
    }
  }
  void gives_up(const std::string& group, const std::string& member) {
    std::erase_if(owners_, [&](const auto& one) {
      return one.first.first == group && one.second.member == member;
    });
  }

 private:
  struct Owner {
    std::string member;
    Instant until;
  };
  Verdicts& verdicts_;
  std::map<Place, Owner> owners_;
};

}  // namespace tailrace::sim
