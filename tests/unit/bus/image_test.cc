#include "bus/image.h"

#include <gtest/gtest.h>

#include <set>

namespace tailrace::bus {
namespace {

TEST(OwnerCore, SpreadsNeighbouringPartitions) {
  Prng prng(1, "image");
  const Uuid topic = random_uuid(prng);
  std::set<CoreId> owners;
  for (int i = 0; i < 4; ++i) owners.insert(owner_core(topic, i, 4));
  EXPECT_EQ(owners.size(), 4u);
  EXPECT_EQ(owner_core(topic, 3, 1), 0);
}

}  // namespace
}  // namespace tailrace::bus
