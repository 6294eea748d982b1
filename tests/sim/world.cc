#include "world.h"

#include "sim_node.h"

namespace tailrace::sim {

World::World(bool verbose) : trace(verbose) {}
World::~World() = default;

}  // namespace tailrace::sim
