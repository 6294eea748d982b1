// Stories of how records are sent.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using kafka::FetchResponse;
using test::build_batch;
using Values = std::vector<std::string>;

class FetchAnswer : public FetchStory {};

TEST_F(FetchAnswer, RecordsEndTheAnswerOfOnePartition) {
  put("a");
  reader().send(make({}), 10);  // As kafka-go reads it.
  node.settle();
  const auto frame = *reader().take_frame();
  const auto answer = test::parse_response<FetchResponse>(frame, 10);
  const Bytes records = only(answer.response).records.value;
  EXPECT_EQ(records.data() + records.size(), answer.frame.data() + answer.frame.size());
}

TEST_F(FetchAnswer, AbortedTransactionsAreNullOrEmpty) {
  put("a");
  EXPECT_TRUE(only(fetch({}).response).aborted_transactions.is_null());
  EXPECT_FALSE(only(fetch({.isolation_level = 1}).response).aborted_transactions.is_null());
}

TEST_F(FetchAnswer, ManySmallBatchesAreCopiedAndLargeOnesAreNot) {
  Values expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back(i % 5 == 0 ? std::string(2000, 'x') : "small" + std::to_string(i));
    put(expected.back());
  }
  EXPECT_EQ(values_of(fetch({}).response), expected);
}

TEST_F(FetchAnswer, TheFewSlicesOfASendCutTheAnswerBetweenBatches) {
  Limits limits = small_limits();
  limits.slices_max = 5;
  Node narrow(limits);
  narrow.images.add_topic("orders", 1, 1);
  narrow.publish();
  Client& client = narrow.connect();
  ProduceMaker produce;
  Client& other = narrow.connect();
  for (int i = 0; i < 8; ++i) {
    // Two partitions' worth of frames keep the batches apart in memory.
    client.call<kafka::ProduceResponse>(
        produce({}, build_batch({{std::to_string(i), std::string(1000, 'x')}})), 9);
  }
  std::int64_t offset = 0;
  for (int round = 0; round < 8 && offset < 8; ++round) {
    const auto answer = other.call<FetchResponse>(make({.offset = offset, .max_wait_ms = 0}), 11);
    const auto records = test::read_records(only(answer.response).records.value);
    ASSERT_FALSE(records.empty());
    EXPECT_EQ(records.front().offset, offset);
    offset = records.back().offset + 1;
  }
  EXPECT_EQ(offset, 8);
}

}  // namespace
}  // namespace tailrace::broker
