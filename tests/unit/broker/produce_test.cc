// Stories of Produce: one core, a log on a disk in memory.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using test::build_batch;

class Produce : public ProduceStory {};

TEST_F(Produce, EveryVersionIsAnswered) {
  std::int64_t offset = 0;
  for (std::int16_t version = 3; version <= 13; ++version) {
    const auto answer = produce(build_batch({{"k", "a"}, {"k", "b"}}), version);
    ASSERT_TRUE(answer.ok) << version;
    EXPECT_EQ(only(answer.response).error_code, 0) << version;
    EXPECT_EQ(only(answer.response).base_offset, offset) << version;
    offset += 2;
  }
}

TEST_F(Produce, TheAnswerWaitsForTheDisk) {
  node.disks[0].held = true;
  client().send(make({}, build_batch({{"k", "v"}})), 9);
  node.settle();
  EXPECT_FALSE(client().take_frame());
  EXPECT_EQ(node.partition(1, 0)->staged_end(), 1);
  node.disks[0].held = false;
  node.settle();
  EXPECT_TRUE(client().take_frame());
}

// Without other replicas Kafka does not wait, so clients may give any timeout.
TEST_F(Produce, ATimeoutOfZeroStillWaitsForTheDisk) {
  for (const std::int16_t acks : {std::int16_t{1}, std::int16_t{-1}}) {
    for (const std::int32_t timeout_ms : {0, -1, 1}) {
      node.disks[0].held = true;
      client().send(make({.acks = acks, .timeout_ms = timeout_ms}, build_batch({{"k", "v"}})), 9);
      node.settle();
      node.advance(milliseconds(100));
      EXPECT_FALSE(client().take_frame());
      node.disks[0].held = false;
      node.settle();
      auto frame = client().take_frame();
      ASSERT_TRUE(frame);
      const auto answer = test::parse_response<kafka::ProduceResponse>(*frame, 9);
      EXPECT_EQ(only(answer.response).error_code, 0);
    }
  }
}

TEST_F(Produce, PipelinedRequestsShareAGroupCommitAndAreAnsweredInOrder) {
  node.disks[0].held = true;
  test::Buffer bytes;
  for (std::int32_t i = 1; i <= 3; ++i) {
    const auto batch = build_batch({{"k", std::to_string(i)}});
    const auto frame = test::build_request(make({.partition = i % 2}, batch), 9, i);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  client().send_bytes(bytes);
  node.settle();
  EXPECT_EQ(node.partition(1, 0)->staged_end() + node.partition(1, 1)->staged_end(), 3);
  node.disks[0].held = false;
  node.settle();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client().take_frame());  // It checks the order.
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Produce, AcksZeroHasNoAnswerAtAll) {
  client().send_bytes(test::build_request(make({.acks = 0}, build_batch({{"k", "v"}})), 9, 99));
  node.settle();
  EXPECT_EQ(node.partition(1, 0)->durable_end(), 1);
  EXPECT_TRUE(client().received.empty());
  const auto answer = produce(build_batch({{"k", "w"}}));  // Nor does it spoil the order.
  EXPECT_EQ(only(answer.response).base_offset, 1);
}

TEST_F(Produce, AcksZeroWithAnErrorClosesTheConnection) {
  client().send(make({.topic = "nowhere", .acks = 0}, build_batch({{"k", "v"}})), 9);
  node.settle();
  EXPECT_TRUE(client().is_closed);
  EXPECT_TRUE(client().received.empty());
}

TEST_F(Produce, OtherAcksAreRefused) {
  const auto answer = produce(build_batch({{"k", "v"}}), 9, {.acks = 2});
  EXPECT_EQ(only(answer.response).error_code, 21);
  EXPECT_EQ(node.partition(1, 0)->staged_end(), 0);
}

TEST_F(Produce, UnknownNamesAndIdsHaveCodesOfTheirOwn) {
  const auto batch = build_batch({{"k", "v"}});
  EXPECT_EQ(only(produce(batch, 9, {.topic = "nowhere"}).response).error_code, 3);
  EXPECT_EQ(only(produce(batch, 9, {.partition = 7}).response).error_code, 3);
  EXPECT_EQ(only(produce(batch, 9, {.partition = -1}).response).error_code, 3);
  EXPECT_EQ(only(produce(batch, 13, {.topic_number = 9}).response).error_code, 100);
}

TEST_F(Produce, ALeaderElsewhereIsNotUs) {
  node.images.change_topic("orders").partitions[0].leader = 2;
  node.publish();
  EXPECT_EQ(only(produce(build_batch({{"k", "v"}})).response).error_code, 6);
}

TEST_F(Produce, WhatIsWrongWithABatchIsSaid) {
  EXPECT_EQ(only(produce({}).response).error_code, 87);
  auto batch = build_batch({{"k", "v"}});
  EXPECT_EQ(only(produce(Bytes(batch).first(30)).response).error_code, 2);
  EXPECT_EQ(only(produce(Bytes(batch).first(batch.size() - 1)).response).error_code, 2);
  auto two = batch;
  two.insert(two.end(), batch.begin(), batch.end());
  EXPECT_EQ(only(produce(two).response).error_code, 87);
  auto old_format = batch;
  old_format[16] = std::byte{1};
  EXPECT_EQ(only(produce(old_format).response).error_code, 87);
  auto damaged = batch;
  damaged.back() ^= std::byte{1};
  EXPECT_EQ(only(produce(damaged).response).error_code, 2);
  const auto control = build_batch({{"k", "v"}}, {.attributes = record::control_bit});
  EXPECT_EQ(only(produce(control).response).error_code, 87);
  EXPECT_EQ(node.partition(1, 0)->staged_end(), 0);
}

TEST_F(Produce, ABadRecordIsNamed) {
  const auto batch =
      build_batch({{"k", "a", 1'700'000'000'000}, {"k", "b", 1'800'000'000'000}});
  const auto answer = produce(batch);
  EXPECT_EQ(only(answer.response).error_code, 32);
  ASSERT_EQ(only(answer.response).record_errors.size(), 1u);
  EXPECT_EQ(only(answer.response).record_errors[0].batch_index, 1);
  EXPECT_FALSE(only(answer.response).error_message.is_null());
}

TEST_F(Produce, ZstdNeedsVersionSeven) {
  const auto batch = build_batch({{"k", "v"}}, {.attributes = 4});
  EXPECT_EQ(only(produce(batch, 6).response).error_code, 76);
}

TEST_F(Produce, ABatchOfATransactionNeedsItsName) {
  const auto batch = build_batch({{"k", "v"}}, {.producer_id = 7,
                                                .producer_epoch = 0,
                                                .base_sequence = 0,
                                                .attributes = record::transactional_bit});
  EXPECT_EQ(only(produce(batch).response).error_code, 53);
  const auto nobodys = build_batch({{"k", "v"}}, {.attributes = record::transactional_bit});
  auto& request = make({}, nobodys);
  request.transactional_id = "tx";
  EXPECT_EQ(only(client().call<kafka::ProduceResponse>(request, 9).response).error_code, 87);
}

TEST_F(Produce, ABatchOutsideOfTransactionsNeedsNoVerification) {
  const auto plain = build_batch({{"k", "v"}});
  auto& request = make({}, plain);
  request.transactional_id = "tx";
  EXPECT_EQ(only(client().call<kafka::ProduceResponse>(request, 9).response).error_code, 0);
}

TEST_F(Produce, ABatchAboveTheTopicsLimitIsTooLarge) {
  node.images.change_topic("orders").configs = {{"max.message.bytes", "200"}};
  node.publish();
  EXPECT_EQ(only(produce(build_batch({{"k", std::string(300, 'x')}})).response).error_code, 10);
  EXPECT_EQ(only(produce(build_batch({{"k", "small"}})).response).error_code, 0);
}

TEST_F(Produce, LogAppendTimeIsTold) {
  node.images.change_topic("orders").configs = {{"message.timestamp.type", "LogAppendTime"}};
  node.publish();
  const auto answer = produce(build_batch({{"k", "v"}}));
  EXPECT_EQ(only(answer.response).log_append_time_ms, node.now.wall_ms);
}

TEST_F(Produce, NotDurableInTimeIsTimedOut) {
  node.disks[0].held = true;
  client().send(make({.timeout_ms = 40'000}, build_batch({{"k", "v"}})), 9);
  node.settle();
  node.advance(milliseconds(39'999));
  EXPECT_FALSE(client().take_frame());
  node.advance(milliseconds(1));
  auto frame = client().take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(only(test::parse_response<kafka::ProduceResponse>(*frame, 9).response).error_code, 7);
}

TEST_F(Produce, SeveralTopicsAndPartitionsInOneRequest) {
  const auto batch = build_batch({{"k", "v"}});
  using Topic = kafka::ProduceRequest::TopicProduceData;
  std::vector<Topic::PartitionProduceData> known = {{0, Bytes(batch)}, {1, Bytes(batch)}};
  std::vector<Topic::PartitionProduceData> unknown = {{0, Bytes(batch)}};
  std::vector<Topic> topics = {{.name = "orders", .partition_data = known},
                               {.name = "nowhere", .partition_data = unknown}};
  kafka::ProduceRequest request{.acks = -1, .timeout_ms = 100, .topic_data = topics};
  const auto answer = client().call<kafka::ProduceResponse>(request, 8);
  ASSERT_EQ(answer->responses.size(), 2u);
  EXPECT_EQ(answer->responses[0].name, "orders");
  ASSERT_EQ(answer->responses[0].partition_responses.size(), 2u);
  EXPECT_EQ(answer->responses[0].partition_responses[1].error_code, 0);
  EXPECT_EQ(answer->responses[1].partition_responses[0].error_code, 3);
}

TEST_F(Produce, ADeletedTopicAnswersThoseWhoWait) {
  node.disks[0].held = true;
  client().send(make({}, build_batch({{"k", "v"}})), 9);
  node.settle();
  node.images.remove_topic("orders");
  node.publish();
  auto frame = client().take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(only(test::parse_response<kafka::ProduceResponse>(*frame, 9).response).error_code, 3);
  node.disks[0].held = false;
  node.settle();
}

// As Kafka does it: only its own tools, known by their client id, write to the broker's topics.
TEST_F(Produce, InternalTopicsAreClosedToClients) {
  node.images.add_topic("__consumer_offsets", 9, 1).is_internal = true;
  node.publish();
  const test::Buffer batch = build_batch({{"k", "v"}});
  const ProduceOne ask{.topic = "__consumer_offsets", .topic_number = 9};
  auto refused = client().call<kafka::ProduceResponse>(make(ask, batch), 9);
  EXPECT_EQ(only(refused.response).error_code, 17);
  client().send_bytes(
      test::build_request(make(ask, batch), 9, client().next_correlation(), "__admin_client"));
  node.settle();
  auto frame = client().received.take();
  ASSERT_TRUE(frame);
  const auto answer = test::parse_response<kafka::ProduceResponse>(std::move(*frame), 9);
  EXPECT_EQ(only(answer.response).error_code, 0);
}

}  // namespace
}  // namespace tailrace::broker
