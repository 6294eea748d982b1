// Workload: who uses the node in a run, drawn from its seed.
#pragma once

#include <memory>
#include <vector>

#include "client.h"

namespace tailrace::sim {

class Workload {
 public:
  Workload(World& world, std::uint64_t seed, Pace pace);

  std::vector<std::unique_ptr<Client>>& clients() { return clients_; }
  // Those that read everything when all is over; they take part from add_final_readers() on.
  void add_final_readers();
  // Nobody has work left or open.
  bool settled() const;
  // The first that has.
  std::string waiting_for() const;

 private:
  void add_ledger(Pace pace);

  World& world_;
  Prng prng_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::uint32_t owners_ = 0;  // of transactional ids
};

}  // namespace tailrace::sim
