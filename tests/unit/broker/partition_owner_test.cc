// Stories of the logs a core owns: in step with the image.
#include "broker/partition_owner.h"

#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using test::build_batch;

class Owner : public ProduceStory {};

TEST_F(Owner, MakesAndRemovesLogsWithTheImage) {
  EXPECT_NE(node.partition(1, 0), nullptr);
  node.images.add_topic("fresh", 2, 3);
  node.publish();
  EXPECT_NE(node.partition(2, 2), nullptr);
  node.images.remove_topic("orders");
  node.publish();
  EXPECT_EQ(node.partition(1, 0), nullptr);
  EXPECT_NE(node.partition(2, 2), nullptr);
  EXPECT_EQ(node.adopted, (std::vector<std::uint64_t>{1, 2, 3}));
}

TEST_F(Owner, ATopicThatIsMadeAnewHasANewLog) {
  produce(build_batch({{"k", "old"}}));
  node.images.remove_topic("orders");
  node.images.add_topic("orders", 7, 1);
  node.publish();
  EXPECT_EQ(only(produce(build_batch({{"k", "new"}})).response).base_offset, 0);
}

TEST_F(Owner, PartitionsAreAdded) {
  auto& topic = node.images.change_topic("orders");
  topic.partitions.push_back(topic.partitions[0]);
  topic.partitions.back().index = 2;
  node.publish();
  EXPECT_EQ(only(produce(build_batch({{"k", "v"}}), 9, {.partition = 2}).response).error_code, 0);
}

TEST_F(Owner, AnotherIncarnationIsAnotherLog) {
  produce(build_batch({{"k", "v"}}));
  node.images.change_topic("orders").partitions[0].incarnation = 1;
  node.publish();
  EXPECT_EQ(only(produce(build_batch({{"k", "v"}})).response).base_offset, 0);
}

TEST_F(Owner, OnlyReplicasOfThisNodeAreKept) {
  node.images.change_topic("orders").partitions[1].replicas = {2, 3};
  node.publish();
  EXPECT_NE(node.partition(1, 0), nullptr);
  EXPECT_EQ(node.partition(1, 1), nullptr);
}

TEST_F(Owner, ChangedDefaultsReachTopicsThatDidNotChange) {
  node.images.base().broker_configs = {{"message.max.bytes", "100"}};
  node.publish();
  const auto batch = build_batch({{"k", std::string(200, 'x')}});
  EXPECT_EQ(only(produce(batch).response).error_code, 10);
}

TEST_F(Owner, ALogThatCannotBeMadeIsAnErrorUntilItCan) {
  log::Limits log_limits = small_log_limits();
  log_limits.partitions_max = 2;
  Node small(small_limits(), log_limits);
  small.images.add_topic("full", 1, 2);
  small.images.add_topic("later", 2, 1);
  small.publish();
  Client& one = small.connect();
  ProduceMaker ask;
  const auto batch = build_batch({{"k", "v"}});
  const auto to_later = [&] {
    const auto& request = ask({.topic = "later"}, batch);
    return only(one.call<kafka::ProduceResponse>(request, 9).response).error_code;
  };
  EXPECT_EQ(to_later(), 56);
  small.images.remove_topic("full");
  small.publish();
  small.advance(seconds(1));
  EXPECT_EQ(to_later(), 0);
}

// A node that comes up finds logs of topics that were deleted meanwhile.
TEST_F(Owner, LogsOfUnknownTopicsAreRemovedAtTheFirstImage) {
  Node fresh;
  ASSERT_TRUE(fresh.log().create({topic_id(9), 0, 0}, {}, fresh.now));
  fresh.images.add_topic("orders", 1, 1);
  fresh.publish();
  EXPECT_EQ(fresh.partition(9, 0), nullptr);
  EXPECT_NE(fresh.partition(1, 0), nullptr);
}

}  // namespace
}  // namespace tailrace::broker
