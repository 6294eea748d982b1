#include "world.h"

#include "links/links.h"
#include "sim_node.h"

namespace tailrace::sim {

World::World(bool verbose) : trace(verbose) {}
World::~World() = default;

}  // namespace tailrace::sim
