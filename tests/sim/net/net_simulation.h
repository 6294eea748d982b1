// Two of our stacks and a bad network between them, all of it drawn from one seed: what the
// network does, what options each end has, how fast the applications are. The promises are those
// of TCP (every byte once, in order, and the end of it) and those that bytes alone don't show:
// no time-out where SACK suffices, nothing sent twice without need, not more ACKs than need be, no
// silence while there is something to say.
#pragma once

#include <cstdint>
#include <string>

#include "net_host.h"

namespace tailrace::sim {

struct NetPlan {
  std::uint64_t seed = 0;
  LinkFaults link;
  HostPlan hosts[2];
  bool is_clean = false;           // the network loses, changes and moves nothing
  bool may_time_out = false;       // so bad that giving up is allowed
  bool lowers_mtu = false;         // on the way
  std::uint32_t lower_mtu = 0;
};

struct NetOutcome {
  std::string failure;             // empty: all promises were kept
  bool timed_out = false;
  bool is_short_of_memory = false; // a received frame was thrown away for want of it
  std::uint64_t frames = 0;
  std::uint64_t lost = 0;
  std::uint64_t bytes = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t retransmits = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t acks = 0;
  std::uint64_t undos = 0;
  std::uint64_t segments = 0;
  std::int64_t virtual_ns = 0;
  std::uint64_t trace = 0;         // the same for the same seed
};

NetPlan draw_plan(std::uint64_t seed);
// `verbose`: every frame and turn to standard output.
NetOutcome run_plan(const NetPlan& plan, bool verbose = false);
std::string describe(const NetPlan& plan);

// What must hold over many schedules, each of which may have bad luck.
struct NetTotals {
  std::uint64_t runs = 0;
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t timed_out = 0;
  std::int64_t virtual_ns = 0;
  // Of schedules with SACK and little loss.
  std::uint64_t sack_lost = 0;
  std::uint64_t sack_timeouts = 0;
  // Of those that lose without reordering.
  std::uint64_t plain_lost = 0;
  std::uint64_t plain_retransmits = 0;

  void add(const NetPlan& plan, const NetOutcome& outcome);
  void add(const NetTotals& other);
  // Empty when they hold, or are too few to tell.
  std::string failure() const;
};

}  // namespace tailrace::sim
