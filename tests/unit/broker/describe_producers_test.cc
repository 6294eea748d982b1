#include "kafka/gen/describe_producers.h"

#include "tests/unit/broker/transaction_story.h"

namespace tailrace::broker {
namespace {

using kafka::DescribeProducersRequest;
using kafka::DescribeProducersResponse;

class DescribeProducers : public TransactionStory {
 protected:
  DescribeProducers() : TransactionStory(2), client(node.connect(0)) {}
  auto describe(std::vector<std::int32_t> partitions, std::string_view name = "orders") {
    DescribeProducersRequest::TopicRequest topic{.name = name, .partition_indexes = partitions};
    return client.call<DescribeProducersResponse>(
        DescribeProducersRequest{.topics = {&topic, 1}}, 0);
  }
  Client& client;
};

TEST_F(DescribeProducers, TellsWhoWritesAndWhatIsOpen) {
  for (const std::int32_t partition : {0, 1}) {  // On either core.
    send(client, {.epoch = 2, .partition = partition});
    answer(kafka::ErrorCode::none);
    EXPECT_EQ(take_error(client), 0);
    send(client, {.producer = bob, .partition = partition});
    answer(kafka::ErrorCode::none);
    EXPECT_EQ(take_error(client), 0);
    EXPECT_EQ(end(alice, true, partition, 2), 0);
  }
  const auto answer = describe({0, 1, 7});
  ASSERT_EQ(answer->topics.size(), 1u);
  ASSERT_EQ(answer->topics[0].partitions.size(), 3u);
  for (const std::size_t i : {0u, 1u}) {
    const auto& partition = answer->topics[0].partitions[i];
    EXPECT_EQ(partition.error_code, 0);
    ASSERT_EQ(partition.active_producers.size(), 2u);
    const auto& first = partition.active_producers[0];
    EXPECT_EQ(first.producer_id, alice);
    EXPECT_EQ(first.producer_epoch, 2);
    EXPECT_EQ(first.last_sequence, 0);
    EXPECT_EQ(first.last_timestamp, node.now.wall_ms);
    EXPECT_EQ(first.coordinator_epoch, 0);
    EXPECT_EQ(first.current_txn_start_offset, -1);
    const auto& second = partition.active_producers[1];
    EXPECT_EQ(second.producer_id, bob);
    EXPECT_EQ(second.coordinator_epoch, -1);
    EXPECT_EQ(second.current_txn_start_offset, 1);
  }
  EXPECT_EQ(answer->topics[0].partitions[2].error_code, 3);
}

TEST_F(DescribeProducers, NobodyIsAnEmptyList) {
  EXPECT_TRUE(describe({0})->topics[0].partitions[0].active_producers.empty());
  EXPECT_EQ(describe({0}, "absent")->topics[0].partitions[0].error_code, 3);
}

}  // namespace
}  // namespace tailrace::broker
