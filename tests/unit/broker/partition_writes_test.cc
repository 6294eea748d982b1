// Stories of appends that wait, stall, fail or come twice.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using test::build_batch;

class Writes : public ProduceStory {};

TEST_F(Writes, ADuplicateIsASuccessAtItsFirstOffset) {
  const test::BatchOptions first{.producer_id = 7, .producer_epoch = 0, .base_sequence = 0};
  const test::BatchOptions second{.producer_id = 7, .producer_epoch = 0, .base_sequence = 1};
  EXPECT_EQ(only(produce(build_batch({{"k", "a"}}, first)).response).base_offset, 0);
  EXPECT_EQ(only(produce(build_batch({{"k", "b"}}, second)).response).base_offset, 1);
  const auto again = produce(build_batch({{"k", "a"}}, first));
  EXPECT_EQ(only(again.response).error_code, 0);
  EXPECT_EQ(only(again.response).base_offset, 0);
  EXPECT_EQ(node.partition(1, 0)->staged_end(), 2);
  const test::BatchOptions gap{.producer_id = 7, .producer_epoch = 0, .base_sequence = 9};
  EXPECT_EQ(only(produce(build_batch({{"k", "c"}}, gap)).response).error_code, 45);
}

TEST_F(Writes, ADuplicateOfWhatIsNotDurableWaitsToo) {
  node.disks[0].held = true;
  const test::BatchOptions first{.producer_id = 7, .producer_epoch = 0, .base_sequence = 0};
  client().send(make({}, build_batch({{"k", "a"}}, first)), 9);
  node.settle();
  Client& other = node.connect();
  other.send(make({}, build_batch({{"k", "a"}}, first)), 9);
  node.settle();
  EXPECT_FALSE(other.take_frame());
  node.disks[0].held = false;
  node.settle();
  EXPECT_TRUE(other.take_frame());
  EXPECT_TRUE(client().take_frame());
}

TEST_F(Writes, AFullLogStopsTheConnectionButLosesNothing) {
  node.disks[0].held = true;
  const std::string big(20'000, 'x');
  int sent = 0;
  for (; sent < 60; ++sent) {
    if (client().is_paused) break;
    client().send(make({.acks = 1}, build_batch({{"k", big}})), 9);
    node.settle();
  }
  ASSERT_TRUE(client().is_paused);
  Client& other = node.connect();  // Meanwhile others go on.
  EXPECT_EQ(only(other.call<kafka::FetchResponse>(FetchMaker()({.max_wait_ms = 0}), 11).response)
                .error_code, 0);
  node.disks[0].held = false;
  node.settle();
  for (int i = 0; i < sent; ++i) ASSERT_TRUE(client().take_frame()) << i;
  EXPECT_EQ(node.partition(1, 0)->durable_end(), sent);
  EXPECT_FALSE(client().is_paused);
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Writes, AStuckRequestKeepsItsPlace) {
  Limits limits = small_limits();
  limits.requests_in_flight_max = 64;
  limits.request_memory_bytes = 4U << 20;
  Node wide(limits);
  wide.images.add_topic("orders", 1, 1);
  wide.publish();
  wide.disks[0].held = true;
  Client& one = wide.connect();
  const std::string big(20'000, 'x');
  int sent = 0;
  for (; sent < 50; ++sent) {
    one.send(make({.acks = 1}, build_batch({{std::to_string(sent), big}})), 9);
    wide.settle();
  }
  EXPECT_GT(wide.brokers[0]->counters().append_stalls.load(), 0u);
  wide.disks[0].held = false;
  for (int i = 0; i < 20; ++i) wide.settle();
  for (int i = 0; i < sent; ++i) {
    auto frame = one.take_frame();
    ASSERT_TRUE(frame) << i;
    const auto answer = test::parse_response<kafka::ProduceResponse>(*frame, 9);
    EXPECT_EQ(only(answer.response).error_code, 0);
    EXPECT_EQ(only(answer.response).base_offset, i);
  }
}

TEST_F(Writes, AFailedDiskIsAStorageErrorAndReadsGoOn) {
  produce(build_batch({{"k", "kept"}}));
  node.disks[0].fault = [](const DiskOp& op) {
    return op.disk_class == DiskClass::wal ? EIO : 0;
  };
  EXPECT_EQ(only(produce(build_batch({{"k", "lost"}})).response).error_code, 56);
  EXPECT_EQ(only(produce(build_batch({{"k", "lost"}})).response).error_code, 56);
  FetchMaker fetch;
  const auto read = client().call<kafka::FetchResponse>(fetch({.max_wait_ms = 0}), 11);
  EXPECT_EQ(values_of(read.response), std::vector<std::string>{"kept"});
}

}  // namespace
}  // namespace tailrace::broker
