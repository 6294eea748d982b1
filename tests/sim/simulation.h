// Simulation: one run. Everything that happens follows from the seed.
//
//   busy (work and faults) -> quiet (no faults; what is open ends) -> one more end of the node and
//   a start -> everything is read and checked -> over links: all clients hang up, and nothing stays
//   open or lent
#pragma once

#include <cstdint>
#include <string>

#include "faults.h"
#include "links/links.h"
#include "sim_node.h"
#include "workload.h"
#include "world.h"

namespace tailrace::sim {

struct RunResult {
  std::vector<Verdict> broken;   // empty: all promises were kept
  std::uint64_t hash = 0;        // of everything that happened
  std::uint64_t records = 0;     // sent
  std::uint32_t starts = 0;      // of the node
  std::uint64_t transactions = 0;
  Duration lasted;               // in the run's own time
  bool over_links = false;
  bool refused = false;          // it would not start on a damaged WAL, which is right
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, Plant plant, bool verbose, Pace pace = Pace::quick,
             LinkChoice links = LinkChoice::drawn);
  RunResult run();

 private:
  // Steps until `over` holds; false when that took longer than `patience`.
  template <class Over>
  bool run_until(Over over, Duration patience);
  void turn();
  void start_node();
  void tend_node();
  void strike(const Event& event);
  void end_and_start();
  void check_links();
  Duration draw_busy(Pace pace);
  Duration draw_ms(std::uint64_t low, std::uint64_t high);
  std::vector<Verdict> weigh() const;

  World world_;
  Prng prng_;
  Duration busy_;
  FaultPlan plan_;
  Workload workload_;
  std::size_t next_event_ = SIZE_MAX;  // in the plan; none before the node is up
  Instant start_at_{};           // of the node, when it is not running
  bool start_planned_ = false;
  Instant cut_at_ = never();     // of a start under way
  std::uint64_t faults_at_start_ = 0;
  bool refused_rightly_ = false;
  bool clients_are_gone_ = false;  // they take no more turns
  RunResult result_;
};

}  // namespace tailrace::sim
