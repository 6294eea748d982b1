#include "control/placement.h"

#include "base/assert.h"

namespace tailrace::control {

std::vector<std::vector<bus::NodeId>> place_partitions(std::span<const bus::NodeId> nodes,
                                                       std::size_t count,
                                                       std::size_t replication_factor,
                                                       std::size_t start) {
  TR_ASSERT(replication_factor >= 1);
  TR_ASSERT(replication_factor <= nodes.size());
  std::vector<std::vector<bus::NodeId>> placed(count);
  const std::size_t others = nodes.size() - 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t leader = (start + i) % nodes.size();
    const std::size_t shift = (start + i) / nodes.size();
    placed[i].push_back(nodes[leader]);
    for (std::size_t r = 0; r + 1 < replication_factor; ++r) {
      placed[i].push_back(nodes[(leader + 1 + (shift + r) % others) % nodes.size()]);
    }
  }
  return placed;
}

}  // namespace tailrace::control
