// Stories of batches that the coordinator of their transaction is asked about.
#include "broker/verification.h"

#include "kafka/gen/list_offsets.h"
#include "tests/unit/broker/transaction_story.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;

class Verifying : public TransactionStory {
 protected:
  explicit Verifying(std::uint16_t core_count = 1)
      : TransactionStory(core_count), client(node.connect()) {}
  Client& client;
};

TEST_F(Verifying, TheFirstBatchIsAskedAboutAndThoseAfterItAreNot) {
  send(client, {});
  EXPECT_EQ(question(), "alice verify orders 0");
  EXPECT_EQ(take_error(client), -2);
  EXPECT_EQ(log_of().staged_end(), 0);
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 0);
  EXPECT_EQ(log_of().durable_end(), 1);
  EXPECT_EQ(node.replies_released, 1u);
  send(client, {.sequence = 1});
  EXPECT_EQ(question(), "nothing");
  EXPECT_EQ(take_error(client), 0);
}

TEST_F(Verifying, TheNextTransactionIsAskedAboutAgain) {
  send(client, {});
  answer(ErrorCode::none);
  take_error(client);
  EXPECT_EQ(end(alice, true), 0);
  send(client, {.sequence = 1});
  EXPECT_EQ(question(), "alice verify orders 0");
}

TEST_F(Verifying, FromVersionTwelveThePartitionIsAdded) {
  send(client, {.version = 12});
  EXPECT_EQ(question(), "alice add orders 0");
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client, 12), 0);
}

TEST_F(Verifying, TopicsByIdAreAskedAboutByName) {
  send(client, {.version = 13});
  EXPECT_EQ(question(), "alice add orders 0");
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client, 13), 0);
}

TEST_F(Verifying, ARefusalIsToldInTheWordsOfTheClientsVersion) {
  struct Case {
    ErrorCode said;
    std::int16_t version;
    int told;
  };
  const Case cases[] = {
      {ErrorCode::transaction_abortable, 10, 48}, {ErrorCode::transaction_abortable, 11, 120},
      {ErrorCode::invalid_txn_state, 10, 48},     {ErrorCode::invalid_txn_state, 12, 120},
      {ErrorCode::concurrent_transactions, 11, 19}, {ErrorCode::concurrent_transactions, 12, 51},
      {ErrorCode::producer_fenced, 11, 47},       {ErrorCode::not_coordinator, 12, 19},
      {ErrorCode::coordinator_load_in_progress, 9, 19},
      {ErrorCode::invalid_producer_id_mapping, 11, 49}};
  for (const Case& one : cases) {
    send(client, {.version = one.version});
    answer(one.said);
    EXPECT_EQ(take_error(client, one.version), one.told) << to_wire(one.said);
  }
  EXPECT_EQ(log_of().staged_end(), 0);
}

TEST_F(Verifying, AnAnswerThatCannotBeReadIsTriedAgainByTheClient) {
  send(client, {});
  node.reply_to_control({}, true);
  node.settle();
  EXPECT_EQ(take_error(client), 19);
  EXPECT_FALSE(client.is_closed);
}

TEST_F(Verifying, ABatchThatAMarkerOvertakesIsRefused) {
  send(client, {});
  EXPECT_EQ(question(), "alice verify orders 0");
  EXPECT_EQ(end(alice, false), 0);
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 48);
  EXPECT_EQ(log_of().stable_end(), 1) << "nothing is open";
}

TEST_F(Verifying, NothingOfItsConnectionOvertakesIt) {
  send(client, {});
  send(client, {.sequence = 1});
  client.send(kafka::ListOffsetsRequest{}, 5);
  node.settle();
  EXPECT_EQ(node.control_inbox.size(), 1u);
  EXPECT_EQ(log_of().staged_end(), 0);
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 0);
  EXPECT_EQ(take_error(client), 0);
  EXPECT_TRUE(client.take_frame());
  EXPECT_EQ(node.control_inbox.size(), 0u);
}

TEST_F(Verifying, PartitionsAreToldOneByOne) {
  using Topic = kafka::ProduceRequest::TopicProduceData;
  std::vector<test::Buffer> batches;
  for (int p = 0; p < 3; ++p) {
    batches.push_back(test::build_batch({{"k", "v"}}, {.producer_id = alice,
                                                       .producer_epoch = 0,
                                                       .base_sequence = 0,
                                                       .attributes = record::transactional_bit}));
  }
  std::vector<Topic::PartitionProduceData> data;
  for (int p = 0; p < 3; ++p) data.push_back({p, Bytes(batches[static_cast<std::size_t>(p)])});
  Topic topic{.name = "orders", .partition_data = data};
  client.send(kafka::ProduceRequest{.transactional_id = "alice", .acks = -1, .timeout_ms = 1000,
                                    .topic_data = {&topic, 1}},
              11);
  node.settle();
  EXPECT_EQ(question(), "alice verify orders 0 1 2");
  answer(ErrorCode::none, {{1, ErrorCode::transaction_abortable}});
  const auto answered =
      test::parse_response<kafka::ProduceResponse>(*client.take_frame(), 11);
  const auto& partitions = answered->responses[0].partition_responses;
  EXPECT_EQ(partitions[0].error_code, 0);
  EXPECT_EQ(partitions[1].error_code, 120);
  EXPECT_EQ(partitions[2].error_code, 0);
  EXPECT_EQ(log_of(1).staged_end(), 0);
  EXPECT_EQ(log_of(2).durable_end(), 1);
}

TEST_F(Verifying, AConnectionThatClosesMeanwhileLeavesNothingBehind) {
  send(client, {});
  node.hang_up(client);
  answer(ErrorCode::none);
  EXPECT_EQ(log_of().staged_end(), 0);
  EXPECT_EQ(node.replies_released, 1u);
}

TEST_F(Verifying, WhoWaitsTooLongIsTold) {
  send(client, {});
  node.advance(seconds(31));
  EXPECT_EQ(take_error(client), -2) << "control still has the question";
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 7);
  EXPECT_EQ(log_of().staged_end(), 0);
}

TEST_F(Verifying, WithoutAcksARefusalClosesTheConnection) {
  send(client, {.acks = 0});
  answer(ErrorCode::none);
  EXPECT_FALSE(client.is_closed);
  EXPECT_EQ(log_of().durable_end(), 1);
  send(client, {.producer = bob, .acks = 0});
  answer(ErrorCode::transaction_abortable);
  EXPECT_TRUE(client.is_closed);
}

TEST_F(Verifying, FromVersionTwelveAnUnknownProducerBeginsAtZero) {
  send(client, {.sequence = 4, .version = 12});
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client, 12), 45);
  send(client, {.sequence = 4, .version = 11});
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 0);
}

// The client sends the first one again, and then the second must follow it.
TEST_F(Verifying, ThatFailsForNowKeepsLaterBatchesBack) {
  send(client, {.sequence = 3});
  send(client, {.sequence = 4});
  answer(ErrorCode::concurrent_transactions);
  EXPECT_EQ(take_error(client), 19);
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 45);
  send(client, {.sequence = 3});
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 0);
  send(client, {.sequence = 4});
  EXPECT_EQ(take_error(client), 0);
}

TEST_F(Verifying, MarkersAnswerAsTheLogFindsThem) {
  send(client, {.epoch = 4});
  answer(ErrorCode::none);
  take_error(client);
  EXPECT_EQ(end(alice, true, 0, 3), 47);
  EXPECT_EQ(end(alice, true, 0, 4, 2), 47);
  EXPECT_EQ(end(alice, true, 0, 5, 2), 0);
  EXPECT_EQ(end(alice, true, 0, 5, 2), 0) << "once more";
  EXPECT_EQ(log_of().durable_end(), 2);
}

class VerifyingCores : public Verifying {
 protected:
  VerifyingCores() : Verifying(3) {}
};

TEST_F(VerifyingCores, AnotherCoresPartitionIsAskedAboutHere) {
  send(client, {.partition = 2});
  EXPECT_EQ(question(), "alice verify orders 2");
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 0);
  EXPECT_EQ(log_of(2).durable_end(), 1);
  send(client, {.sequence = 1, .partition = 2});
  EXPECT_EQ(question(), "nothing");
  EXPECT_EQ(take_error(client), 0);
  send(client, {.partition = 1});
  EXPECT_EQ(question(), "alice verify orders 1");
  EXPECT_EQ(end(alice, false, 1), 0);
  answer(ErrorCode::none);
  EXPECT_EQ(take_error(client), 48);
}

// Both had left for their owner before it was known that the first one must be verified.
TEST_F(VerifyingCores, ThoseOnTheirWayAreAppendedInTheirOrder) {
  client.send(request_of({.partition = 1}), 11);
  client.send(request_of({.sequence = 1, .partition = 1}), 11);
  client.send(request_of({.sequence = 2, .partition = 1}), 11);
  node.settle();
  while (question() != "nothing") {
    EXPECT_EQ(question(), "alice verify orders 1");
    EXPECT_EQ(node.control_inbox.size(), 1u) << "one after the other";
    answer(ErrorCode::none);
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(take_error(client), 0);
  EXPECT_EQ(log_of(1).durable_end(), 3);
}

}  // namespace
}  // namespace tailrace::broker
