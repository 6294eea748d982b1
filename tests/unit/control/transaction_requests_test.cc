// Stories of single requests of producers: what is refused with which code in which version, and
// what waits for what.
#include "transaction_rig.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

class TransactionRequests : public testing::Test, protected ReadyTransactions {};

TEST_F(TransactionRequests, AProducerGetsItsIdentityOnceItIsDurable) {
  rig.held = [](const NamedPartition& at) { return at.topic == "__transaction_state"; };
  kafka::InitProducerIdRequest request;
  request.transactional_id = "tx";
  request.transaction_timeout_ms = 1000;
  auto& sent = rig.send(request, 4);
  EXPECT_FALSE(sent.answered);
  rig.held = nullptr;
  rig.run();
  EXPECT_EQ(rig.read<kafka::InitProducerIdResponse>(sent).producer_id, 1000);
  EXPECT_EQ(rig.init("tx"), "1000/1");
  EXPECT_EQ(rig.init("other"), "1001/0");
}

TEST_F(TransactionRequests, InitProducerIdIsChecked) {
  EXPECT_EQ(rig.init(""), "error 42");
  EXPECT_EQ(rig.init("tx", 0), "error 50");
  EXPECT_EQ(rig.init("tx", 900'001), "error 50");
  EXPECT_EQ(rig.init("tx", 900'000), "1000/0");
  EXPECT_EQ(rig.init("tx", 1000, {1000, -1}), "error 42");
  EXPECT_EQ(rig.init("tx", 1000, {999, 0}), "error 90");
  EXPECT_EQ(rig.init("tx", 1000, {999, 0}, 3), "error 47") << "before it was known";
  EXPECT_EQ(rig.init("tx", 1000, {1000, 0}), "1000/1");
  EXPECT_EQ(rig.init(std::string(40'000, 'x')), "error 42") << "no key of the log can be so long";
}

TEST_F(TransactionRequests, ARequestWithoutTransactionalIdIsNotOurs) {
  kafka::InitProducerIdRequest request;
  for (const std::int16_t version : std::initializer_list<std::int16_t>{0, 1, 2, 5}) {
    for (const bool has_id : {false, true}) {
      if (has_id) request.transactional_id = "";
      else request.transactional_id = nullptr;
      kafka::Writer size = kafka::Writer::counter();
      request.encode(size, version);
      ByteString body(size.size());
      kafka::Writer out(body);
      request.encode(out, version);
      bus::ControlRequest asked{.api_key = 22, .api_version = version, .body = body};
      EXPECT_EQ(TransactionCoordinator::takes(asked), has_id) << version;
    }
  }
  EXPECT_FALSE(TransactionCoordinator::takes({.api_key = 8}));
}

TEST_F(TransactionRequests, PartitionsAreAddedInEveryForm) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0, 0), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 1, 3), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 2, 5), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 3, 5), 3) << "there are three";
  EXPECT_EQ(rig.add("tx", {1000, 0}, "nothing", 0, 3), 3);
  EXPECT_EQ(rig.add("tx", {1000, 1}, "other", 0, 3), 90);
  EXPECT_EQ(rig.add("tx", {1000, 1}, "other", 0, 1), 47);
  EXPECT_EQ(rig.add("tx", {7, 0}, "other", 0, 3), 49);
  EXPECT_EQ(rig.add("unknown", {1000, 0}, "orders", 0, 3), 49);
  EXPECT_EQ(rig.add("", {1000, 0}, "orders", 0, 3), 42);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "other", 0, 4), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "other", 1, 4), 44) << "four is the limit";
}

TEST_F(TransactionRequests, PartitionsAreVerifiedForBrokers) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0, 5, true), 120);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0, 4, true), 48) << "before it was known";
  EXPECT_EQ(rig.describe("tx"), "Empty 1000/0") << "asking adds nothing";
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0, 5, true), 0);
  EXPECT_EQ(rig.add("tx", {1000, 1}, "orders", 0, 5, true), 90);
}

TEST_F(TransactionRequests, AllPartitionsAreAddedOrNone) {
  using Request = kafka::AddPartitionsToTxnRequest;
  EXPECT_EQ(rig.init("tx"), "1000/0");
  Request request;
  request.v3_and_below_transactional_id = "tx";
  request.v3_and_below_producer_id = 1000;
  std::array<std::int32_t, 2> indexes{0, 9};
  Request::V3AndBelowTopic topic{"orders", indexes};
  request.v3_and_below_topics = {&topic, 1};
  const auto told = rig.ask<kafka::AddPartitionsToTxnResponse>(request, 2);
  const auto& partitions = told.results_by_topic_v3_and_below[0].results_by_partition;
  EXPECT_EQ(partitions[0].partition_error_code, 55);
  EXPECT_EQ(partitions[1].partition_error_code, 3);
  EXPECT_EQ(rig.describe("tx"), "Empty 1000/0");
}

TEST_F(TransactionRequests, OneRequestMayAskForManyTransactions) {
  using Request = kafka::AddPartitionsToTxnRequest;
  using One = Request::AddPartitionsToTxnTransaction;
  EXPECT_EQ(rig.init("a"), "1000/0");
  EXPECT_EQ(rig.init("b"), "1001/0");
  std::array<std::int32_t, 2> indexes{0, 1};
  One::AddPartitionsToTxnTopic topic{"orders", indexes};
  std::array<One, 3> all{One{"a", 1000, 0, false, {&topic, 1}}, One{"c", 1, 0, false, {&topic, 1}},
                         One{"b", 1001, 0, true, {&topic, 1}}};
  Request request;
  request.transactions = all;
  const auto told = rig.ask<kafka::AddPartitionsToTxnResponse>(request, 5);
  ASSERT_EQ(told.results_by_transaction.size(), 3U);
  const auto code = [&](std::size_t i) {
    return told.results_by_transaction[i].topic_results[0].results_by_partition[1]
        .partition_error_code;
  };
  EXPECT_EQ(code(0), 0);
  EXPECT_EQ(code(1), 49);
  EXPECT_EQ(code(2), 120);
  EXPECT_EQ(told.results_by_transaction[2].transactional_id, "b");
}

TEST_F(TransactionRequests, WhatComesWhilePartitionsAreAddedWaits) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  rig.held = [](const NamedPartition& at) { return at.topic == "__transaction_state"; };
  auto& first = rig.send_add("tx", {1000, 0}, "orders", 0);
  auto& second = rig.send_add("tx", {1000, 0}, "orders", 1);
  auto& third = rig.send_add("tx", {1000, 0}, "orders", 0);
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "error 51") << "an end does not";
  EXPECT_FALSE(third.answered);
  rig.held = nullptr;
  rig.run();
  EXPECT_EQ(rig.add_code(first), 0);
  EXPECT_EQ(rig.add_code(second), 0);
  EXPECT_EQ(rig.add_code(third), 0);
}

TEST_F(TransactionRequests, OldClientsEndWithoutNewEpochs) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0, 3), 0);
  EXPECT_EQ(rig.end("tx", {1000, 1}, true, 1), "error 47");
  EXPECT_EQ(rig.end("tx", {1000, 1}, true, 4), "error 90");
  EXPECT_EQ(rig.end("unknown", {1000, 0}, true, 4), "error 49");
  EXPECT_EQ(rig.end("tx", {1000, 0}, true, 4), "-1/-1") << "no room in the answer";
  EXPECT_EQ(logs.markers({"orders", 0}), "commit 1000/0");
  EXPECT_EQ(rig.describe("tx"), "CompleteCommit 1000/0");
}

TEST_F(TransactionRequests, AnOperatorWritesMarkersByHand) {
  using Request = kafka::WriteTxnMarkersRequest;
  using Marker = Request::WritableTxnMarker;
  std::array<std::int32_t, 2> indexes{0, 7};
  Marker::WritableTxnMarkerTopic topic{"orders", indexes};
  Marker marker{.producer_id = 44, .producer_epoch = 2, .transaction_result = false,
                .topics = {&topic, 1}, .coordinator_epoch = 3};
  Request request;
  request.markers = {&marker, 1};
  const auto told = rig.ask<kafka::WriteTxnMarkersResponse>(request, 1);
  EXPECT_EQ(told.markers[0].producer_id, 44);
  EXPECT_EQ(told.markers[0].topics[0].partitions[0].error_code, 0);
  EXPECT_EQ(told.markers[0].topics[0].partitions[1].error_code, 3);
  EXPECT_EQ(logs.markers({"orders", 0}), "abort 44/2");
  rig.errors["orders"] = ErrorCode::invalid_producer_epoch;
  EXPECT_EQ(rig.ask<kafka::WriteTxnMarkersResponse>(request, 2)
                .markers[0].topics[0].partitions[0].error_code, 47);
}

TEST_F(TransactionRequests, NobodyCanHaveBegunWhatAMarkerBelow0Ends) {
  using Marker = kafka::WriteTxnMarkersRequest::WritableTxnMarker;
  std::int32_t index = 0;
  Marker::WritableTxnMarkerTopic topic{"orders", {&index, 1}};
  std::array<Marker, 3> markers;
  markers[0] = {.producer_id = -1, .producer_epoch = 2, .topics = {&topic, 1}};
  markers[1] = {.producer_id = 44, .producer_epoch = -1, .topics = {&topic, 1}};
  markers[2] = {.producer_id = 44, .producer_epoch = 2, .topics = {&topic, 1}};
  kafka::WriteTxnMarkersRequest request;
  request.markers = markers;
  const auto told = rig.ask<kafka::WriteTxnMarkersResponse>(request, 1);
  EXPECT_EQ(told.markers[0].topics[0].partitions[0].error_code, 42);
  EXPECT_EQ(told.markers[1].topics[0].partitions[0].error_code, 42);
  EXPECT_EQ(told.markers[2].topics[0].partitions[0].error_code, 0);
}

TEST_F(TransactionRequests, ALongNameIsNotWrittenOutForEachPartition) {
  const std::string name(20'000, 'x');
  std::vector<std::int32_t> indexes(60'000);
  kafka::AddPartitionsToTxnRequest request;
  kafka::AddPartitionsToTxnRequest::V3AndBelowTopic topic{name, indexes};
  request.v3_and_below_transactional_id = "tx";
  request.v3_and_below_topics = {&topic, 1};
  const auto told = rig.ask<kafka::AddPartitionsToTxnResponse>(request, 3);
  ASSERT_EQ(told.results_by_topic_v3_and_below[0].results_by_partition.size(), indexes.size());
  EXPECT_EQ(told.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code, 3);
}

TEST_F(TransactionRequests, WhatCannotBeReadEndsTheConnection) {
  for (const auto key : std::initializer_list<std::int16_t>{22, 24, 25, 26, 27, 28, 65, 66}) {
    const std::string_view broken("\xff\xff\xff", 3);
    bus::ControlRequest request{.api_key = key, .api_version = 4, .body = as_bytes(broken)};
    if (key >= 65) request.api_version = 0;
    if (key == 27) request.api_version = 1;
    rig.coordinator.on_request(&request, rig.now);
    const auto answers = rig.coordinator.take_answers();
    ASSERT_EQ(answers.size(), 1U) << key;
    EXPECT_TRUE(answers[0].close_connection) << key;
  }
}

}  // namespace
}  // namespace tailrace::control
