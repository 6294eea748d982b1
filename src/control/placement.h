// Placement: which nodes get the replicas of new partitions.
#pragma once

#include <span>
#include <vector>

#include "bus/image.h"

namespace tailrace::control {

// `count` partitions on `nodes` (ascending), leaders in turn from position `start` on, the other
// replicas on the nodes after the leader's, shifted by one more after each round, so that the
// followers of one node's leaders are not all on the same other node.
// 1 <= replication_factor <= nodes.size().
std::vector<std::vector<bus::NodeId>> place_partitions(std::span<const bus::NodeId> nodes,
                                                       std::size_t count,
                                                       std::size_t replication_factor,
                                                       std::size_t start);

}  // namespace tailrace::control
