// Stories of Fetch on one core: what is read, what waits, what is refused.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using kafka::FetchRequest;
using kafka::FetchResponse;
using test::build_batch;
using Values = std::vector<std::string>;

class Fetch : public FetchStory {};

TEST_F(Fetch, EveryVersionReadsWhatWasWritten) {
  put("a");
  put("b");
  for (std::int16_t version = 4; version <= 18; ++version) {
    const auto answer = fetch({}, version);
    ASSERT_TRUE(answer.ok) << version;
    EXPECT_EQ(values_of(answer.response), (Values{"a", "b"})) << version;
    EXPECT_EQ(only(answer.response).high_watermark, 2) << version;
    EXPECT_EQ(only(answer.response).last_stable_offset, 2) << version;
  }
}

TEST_F(Fetch, TheLeaderEpochIsInTheBatches) {
  put("a");
  const auto answer = fetch({});
  EXPECT_EQ(record::parse_batch(only(answer.response).records.value)->header.leader_epoch, 3);
}

TEST_F(Fetch, AnOffsetInsideABatchGivesTheWholeBatch) {
  ProduceMaker produce;
  writer().call<kafka::ProduceResponse>(
      produce({}, build_batch({{"k", "a"}, {"k", "b"}, {"k", "c"}})), 9);
  EXPECT_EQ(values_of(fetch({.offset = 2}).response), (Values{"a", "b", "c"}));
}

TEST_F(Fetch, AtTheEndItWaitsForData) {
  put("a");
  reader().send(make({.offset = 1, .max_wait_ms = 1000}), 11);
  node.settle();
  EXPECT_FALSE(reader().take_frame());
  put("b");
  auto frame = reader().take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(values_of(test::parse_response<FetchResponse>(*frame, 11).response), Values{"b"});
}

TEST_F(Fetch, WhatIsNotDurableIsNotSeen) {
  put("a");
  node.disks[0].held = true;
  ProduceMaker produce;
  writer().send(produce({}, build_batch({{"k", "b"}})), 9);
  node.settle();
  const auto answer = fetch({.max_wait_ms = 0});
  EXPECT_EQ(values_of(answer.response), Values{"a"});
  EXPECT_EQ(only(answer.response).high_watermark, 1);
}

TEST_F(Fetch, WithoutDataItIsAnsweredAfterMaxWait) {
  reader().send(make({.max_wait_ms = 300}), 11);
  node.settle();
  node.advance(milliseconds(299));
  EXPECT_FALSE(reader().take_frame());
  node.advance(milliseconds(1));
  auto frame = reader().take_frame();
  ASSERT_TRUE(frame);
  const auto answer = test::parse_response<FetchResponse>(*frame, 11);
  EXPECT_EQ(only(answer.response).error_code, 0);
  EXPECT_EQ(only(answer.response).high_watermark, 0);
  EXPECT_FALSE(only(answer.response).records.is_null());
}

TEST_F(Fetch, OutsideTheLogIsOutOfRange) {
  put("a");
  EXPECT_EQ(only(fetch({.offset = 2}).response).error_code, 1);
  EXPECT_EQ(only(fetch({.offset = -1}).response).error_code, 1);
  EXPECT_EQ(only(fetch({.offset = 2}).response).high_watermark, -1);
}

TEST_F(Fetch, UnknownNamesIdsAndPartitions) {
  EXPECT_EQ(only(fetch({.topic = "nowhere"}, 12).response).error_code, 3);
  EXPECT_EQ(only(fetch({.topic_number = 9}, 13).response).error_code, 100);
  EXPECT_EQ(only(fetch({.partition = 8}, 13).response).error_code, 3);
}

TEST_F(Fetch, TheClientsLeaderEpochIsChecked) {
  put("a");
  EXPECT_EQ(only(fetch({.leader_epoch = 3}).response).error_code, 0);
  EXPECT_EQ(only(fetch({.leader_epoch = 2}).response).error_code, 74);
  EXPECT_EQ(only(fetch({.leader_epoch = 0}).response).error_code, 74);  // librdkafka sends 0.
  EXPECT_EQ(only(fetch({.leader_epoch = 4}).response).error_code, 75);
}

TEST_F(Fetch, TheFirstBatchComesEvenAboveTheLimits) {
  put(std::string(5000, 'x'));
  put("second");
  const auto answer = fetch({.max_bytes = 100, .partition_max_bytes = 100});
  EXPECT_EQ(values_of(answer.response), Values{std::string(5000, 'x')});
}

TEST_F(Fetch, LaterPartitionsGetWhatIsLeft) {
  for (int p = 0; p < 3; ++p) put(std::string(1000, static_cast<char>('a' + p)), p);
  std::vector<FetchRequest::FetchTopic::FetchPartition> partitions;
  for (int p = 0; p < 3; ++p) {
    partitions.push_back({.partition = p, .fetch_offset = 0, .partition_max_bytes = 100'000});
  }
  FetchRequest::FetchTopic topic{.topic = "orders", .partitions = partitions};
  const FetchRequest request{.max_wait_ms = 100, .min_bytes = 1, .max_bytes = 2500,
                             .topics = {&topic, 1}};
  const auto answer = reader().call<FetchResponse>(request, 11);
  ASSERT_EQ(answer->responses[0].partitions.size(), 3u);
  EXPECT_FALSE(answer->responses[0].partitions[0].records.value.empty());
  EXPECT_FALSE(answer->responses[0].partitions[1].records.value.empty());
  EXPECT_TRUE(answer->responses[0].partitions[2].records.value.empty());
  EXPECT_EQ(answer->responses[0].partitions[2].high_watermark, 1);
}

TEST_F(Fetch, ADeletedTopicEndsTheWait) {
  reader().send(make({.max_wait_ms = 10'000}), 11);
  node.settle();
  node.images.remove_topic("orders");
  node.publish();
  auto frame = reader().take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(only(test::parse_response<FetchResponse>(*frame, 11).response).error_code, 3);
}

TEST_F(Fetch, ASlowReaderHoldsOnlyItself) {
  Limits limits = small_limits();
  limits.pinned_bytes_max = 64U << 10;
  Node tight(limits);
  tight.images.add_topic("orders", 1, 1);
  tight.publish();
  Client& writer = tight.connect();
  ProduceMaker produce;
  for (int i = 0; i < 4; ++i) {
    writer.call<kafka::ProduceResponse>(
        produce({}, build_batch({{"k", std::string(25'000, 'x')}})), 9);
  }
  Client& slow = tight.connect();
  slow.holds_sends = true;
  for (int i = 0; i < 3; ++i) slow.send(make({}), 11);
  tight.settle();
  EXPECT_TRUE(slow.take_frame());
  EXPECT_TRUE(slow.take_frame());
  EXPECT_FALSE(slow.take_frame());  // Two answers are pinned: enough.
  EXPECT_TRUE(slow.is_paused);
  Client& quick = tight.connect();
  EXPECT_FALSE(values_of(quick.call<FetchResponse>(make({}), 11).response).empty());
  tight.finish_sends(slow);
  EXPECT_TRUE(slow.take_frame());
  EXPECT_FALSE(slow.is_paused);
}

TEST_F(Fetch, RequestsBehindAWaitingOneAreKeptTimeAfterTime) {
  for (std::int64_t offset = 0; offset < 3; ++offset) {
    for (int i = 0; i < 2; ++i) reader().send(make({.offset = offset, .max_wait_ms = 1000}), 11);
    node.settle();
    ASSERT_FALSE(reader().take_frame());
    put("a");
    EXPECT_TRUE(reader().take_frame());
    EXPECT_TRUE(reader().take_frame());
    EXPECT_FALSE(reader().is_closed);
  }
}

}  // namespace
}  // namespace tailrace::broker
