// SpaceWatch: tells the operator once when produce begins to be refused for lack of disk space,
// and once when that has ended. All cores of a node write to one file system, so they share a
// count and the first and the last of them speak.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/time.h"

namespace tailrace::runtime {

class SpaceWatch {
 public:
  // `refusing_cores` is shared by all cores of the node and outlives the object.
  explicit SpaceWatch(std::atomic<int>& refusing_cores) : refusing_cores_(refusing_cores) {}

  struct Sight {
    bool refuses = false;
    std::uint64_t free_bytes = 0;
    std::uint64_t free_bytes_min = 0;
  };
  // Once per turn.
  void look(const Sight& sight, Instant now);

 private:
  // Space comes and goes by the batch at the edge: an end counts once it has lasted.
  static constexpr Duration end_after = seconds(5);

  std::atomic<int>& refusing_cores_;
  bool told_ = false;
  Instant refused_at_{};
};

}  // namespace tailrace::runtime
