#include "control/placement.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace tailrace::control {
namespace {

TEST(Placement, OneNodeGetsAll) {
  const bus::NodeId nodes[] = {7};
  const auto placed = place_partitions(nodes, 3, 1, 5);
  EXPECT_EQ(placed, (std::vector<std::vector<bus::NodeId>>{{7}, {7}, {7}}));
}

TEST(Placement, LeadersAndReplicasAreSpreadAndDistinct) {
  const bus::NodeId nodes[] = {1, 2, 3, 4};
  std::map<bus::NodeId, int> leaders;
  std::map<bus::NodeId, int> replicas;
  std::set<std::pair<bus::NodeId, bus::NodeId>> pairs;
  for (const auto& partition : place_partitions(nodes, 24, 3, 2)) {
    ASSERT_EQ(partition.size(), 3U);
    EXPECT_EQ(std::set<bus::NodeId>(partition.begin(), partition.end()).size(), 3U);
    ++leaders[partition[0]];
    for (const bus::NodeId id : partition) ++replicas[id];
    pairs.insert({partition[0], partition[1]});
  }
  for (const bus::NodeId id : nodes) {
    EXPECT_EQ(leaders[id], 6);
    EXPECT_EQ(replicas[id], 18);
  }
  EXPECT_EQ(pairs.size(), 12U) << "a node's followers are not all on one other node";
}

}  // namespace
}  // namespace tailrace::control
