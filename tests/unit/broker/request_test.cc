// Stories of requests whose client has gone.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Orphans : public FetchStory {};

class Writers : public ProduceStory {};

TEST_F(Orphans, AClientThatLeavesWhileItWaitsIsForgotten) {
  reader().send(make({.max_wait_ms = 10'000}), 11);
  node.settle();
  node.hang_up(reader());
  put("a");
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Writers, AClientThatLeavesTakesNothingWithIt) {
  node.disks[0].held = true;
  client().send(make({}, test::build_batch({{"k", "v"}})), 9);
  node.settle();
  node.hang_up(client());
  node.disks[0].held = false;
  node.settle();
  EXPECT_EQ(node.partition(1, 0)->durable_end(), 1);
  EXPECT_EQ(node.unreleased_count(), 0u);
}

}  // namespace
}  // namespace tailrace::broker
