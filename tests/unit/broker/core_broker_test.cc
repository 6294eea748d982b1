// Stories of a core's start and stop.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

TEST(Start, ConnectionsWaitForTheFirstImage) {
  Node node;
  Client& client = node.connect();
  client.send(hello, 3);
  node.settle();
  EXPECT_FALSE(client.take_frame());
  EXPECT_FALSE(node.brokers[0]->has_image());
  node.publish();
  EXPECT_TRUE(client.take_frame());
  EXPECT_EQ(node.adopted, std::vector<std::uint64_t>{1});
}

TEST(Stop, ConnectionsAreClosedAndTheLogIsPutInOrder) {
  Node node;
  node.images.add_topic("orders", 1, 1);
  node.publish();
  Client& client = node.connect();
  ProduceMaker produce;
  client.call<kafka::ProduceResponse>(produce({}, test::build_batch({{"k", "v"}})), 9);
  EXPECT_FALSE(node.brokers[0]->stopped());
  node.brokers[0]->begin_stop(node.now);
  node.settle();
  EXPECT_TRUE(client.is_closed);
  EXPECT_TRUE(node.connect().is_aborted);
  EXPECT_TRUE(node.brokers[0]->stopped());
}

// A close waits for the peer to take what was sent; a stop does not wait for ever.
TEST(Stop, WhoeverDoesNotAnswerIsResetAfterAWhile) {
  Node node;
  node.publish();
  Client& client = node.connect();
  client.is_silent = true;
  node.brokers[0]->begin_stop(node.now);
  node.settle();
  EXPECT_TRUE(client.is_closed);
  EXPECT_FALSE(node.brokers[0]->stopped());
  const Instant deadline = node.brokers[0]->next_deadline();
  ASSERT_NE(deadline, never());
  node.advance(Duration{(deadline - node.now.instant).ns - 1});
  EXPECT_FALSE(client.is_aborted);
  node.advance(Duration{1});
  EXPECT_TRUE(client.is_aborted);
  EXPECT_TRUE(node.brokers[0]->stopped());
}

}  // namespace
}  // namespace tailrace::broker
