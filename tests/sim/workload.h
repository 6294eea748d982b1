// Workload: who uses the node in a run, drawn from its seed.
#pragma once

#include <memory>
#include <vector>

#include "client.h"
#include "final_reader.h"

namespace tailrace::sim {

class Workload {
 public:
  Workload(World& world, std::uint64_t seed);

  std::vector<std::unique_ptr<Client>>& clients() { return clients_; }
  // The one that reads everything when all is over; takes part from add_final_reader() on.
  void add_final_reader();
  const FinalReader& final_reader() const { return *final_reader_; }
  // Nobody has work left or open.
  bool settled() const;
  // The first that has.
  std::string waiting_for() const;

 private:
  World& world_;
  Prng prng_;
  std::vector<std::unique_ptr<Client>> clients_;
  FinalReader* final_reader_ = nullptr;
};

}  // namespace tailrace::sim
