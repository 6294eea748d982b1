// Stories of transactions from beginning to end: what is durable, what is told when, and what
// happens after a restart or when a partition cannot be written.
#include "transaction_rig.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

class Transactions : public testing::Test, protected ReadyTransactions {};

TEST_F(Transactions, ACommitReachesEveryPartitionBeforeTheNextBegins) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 2), 0);
  EXPECT_EQ(rig.describe("tx"), "Ongoing 1000/0");
  rig.held = [](const NamedPartition& at) { return at.topic == "orders"; };
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1") << "told once it is decided";
  EXPECT_EQ(rig.describe("tx"), "PrepareCommit 1000/1");
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "error 51");
  auto& early = rig.send_add("tx", {1000, 1}, "orders", 0);
  rig.pass(milliseconds(50));
  EXPECT_FALSE(early.answered);
  rig.pass(milliseconds(60));
  EXPECT_EQ(rig.add_code(early), 51) << "the markers are not there yet";
  auto& next = rig.send_add("tx", {1000, 1}, "orders", 1);
  rig.held = nullptr;
  rig.run();
  EXPECT_EQ(logs.markers({"orders", 0}), "commit 1000/1");
  EXPECT_EQ(logs.markers({"orders", 1}), "");
  EXPECT_EQ(logs.markers({"orders", 2}), "commit 1000/1");
  EXPECT_EQ(rig.add_code(next), 0) << "it has waited";
  EXPECT_EQ(rig.describe("tx"), "Ongoing 1000/1");
  EXPECT_EQ(rig.add("tx", {1000, 1}, "orders", 0), 0);
  EXPECT_EQ(rig.end("tx", {1000, 1}, false), "1000/2");
  EXPECT_EQ(logs.markers({"orders", 0}), "commit 1000/1, abort 1000/2");
  EXPECT_EQ(rig.coordinator.counters().commits.load(), 1U);
  EXPECT_EQ(rig.coordinator.counters().aborts.load(), 1U);
}

TEST_F(Transactions, AfterARestartWhatWasDecidedIsCarriedOut) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  rig.held = [](const NamedPartition& at) { return at.topic == "orders"; };
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");

  TransactionRig again(logs, state);
  again.start();
  EXPECT_EQ(logs.markers({"orders", 0}), "commit 1000/1");
  EXPECT_EQ(again.describe("tx"), "CompleteCommit 1000/1");
  EXPECT_EQ(again.end("tx", {1000, 0}, true), "1000/1") << "the answer was lost with the broker";
}

TEST_F(Transactions, AfterARestartWhatWasOpenIsStillOpen) {
  EXPECT_EQ(rig.init("tx", 10'000), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  TransactionRig again(logs, state);
  again.start();
  EXPECT_EQ(again.describe("tx"), "Ongoing 1000/0");
  EXPECT_EQ(again.add("tx", {1000, 0}, "orders", 1), 0);
  again.pass(seconds(11));
  EXPECT_EQ(again.describe("tx"), "CompleteAbort 1000/2") << "its time went on";
  EXPECT_EQ(logs.markers({"orders", 0}), "abort 1000/2");
  EXPECT_EQ(logs.markers({"orders", 1}), "abort 1000/2");
}

TEST_F(Transactions, OneThatTakesTooLongIsAborted) {
  EXPECT_EQ(rig.init("tx", 10'000), "1000/0");
  rig.pass(seconds(60));
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0) << "time runs from the first partition on";
  rig.pass(seconds(9));
  EXPECT_EQ(rig.describe("tx"), "Ongoing 1000/0");
  rig.pass(seconds(2));
  EXPECT_EQ(rig.describe("tx"), "CompleteAbort 1000/2");
  EXPECT_EQ(logs.markers({"orders", 0}), "abort 1000/2");
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "error 90");
  EXPECT_EQ(rig.init("tx"), "1000/3");
  EXPECT_EQ(rig.coordinator.counters().timeouts.load(), 1U);
}

TEST_F(Transactions, MarkersAreTriedUntilThePartitionTakesThem) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "other", 0), 0);
  rig.errors["orders"] = ErrorCode::kafka_storage_error;
  EXPECT_EQ(rig.end("tx", {1000, 0}, false), "1000/1");
  rig.pass(seconds(5));
  EXPECT_EQ(rig.describe("tx"), "PrepareAbort 1000/1");
  EXPECT_EQ(logs.markers({"other", 0}), "abort 1000/1");
  EXPECT_EQ(rig.init("tx"), "error 51");
  rig.errors.clear();
  rig.pass(seconds(1));
  EXPECT_EQ(rig.describe("tx"), "CompleteAbort 1000/1");
  EXPECT_EQ(logs.markers({"orders", 0}), "abort 1000/1");
  EXPECT_EQ(logs.markers({"other", 0}), "abort 1000/1") << "once";
}

TEST_F(Transactions, ATopicThatIsGoneNeedsNoMarker) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  EXPECT_EQ(rig.add("tx", {1000, 0}, "other", 0), 0);
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic("orders")->id}));
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(rig.describe("tx"), "CompleteCommit 1000/1");
  EXPECT_EQ(logs.markers({"other", 0}), "commit 1000/1");
}

TEST_F(Transactions, WhatCannotBeWrittenIsNotTold) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  rig.errors["__transaction_state"] = ErrorCode::kafka_storage_error;
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "error 16");
  EXPECT_EQ(logs.markers({"orders", 0}), "");
  rig.errors.clear();
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(logs.markers({"orders", 0}), "commit 1000/1");
}

TEST_F(Transactions, TheLastRecordIsWrittenAgainUntilItIsThere) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  rig.held = [](const NamedPartition& at) { return at.topic == "orders"; };
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  rig.held = nullptr;
  rig.errors["__transaction_state"] = ErrorCode::not_enough_replicas;
  rig.run();
  EXPECT_EQ(rig.describe("tx"), "PrepareCommit 1000/1");
  rig.errors.clear();
  rig.pass(seconds(2));
  EXPECT_EQ(rig.describe("tx"), "CompleteCommit 1000/1");
  EXPECT_EQ(logs.markers({"orders", 0}), "commit 1000/1") << "markers are not";
}

TEST_F(Transactions, AnAbortThatCannotBeWrittenIsNotTriedAllTheTime) {
  EXPECT_EQ(rig.init("tx", 10'000), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  rig.errors["__transaction_state"] = ErrorCode::kafka_storage_error;
  rig.pass(seconds(20));
  EXPECT_EQ(rig.coordinator.counters().write_failures.load(), 11U) << "once a second";
  rig.errors.clear();
  rig.pass(seconds(2));
  EXPECT_EQ(rig.describe("tx"), "CompleteAbort 1000/2");
}

TEST_F(Transactions, IdsThatNobodyUsesAreForgotten) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.init("used"), "1001/0");
  EXPECT_EQ(rig.init("open", 900'000), "1002/0");
  EXPECT_EQ(rig.init("more"), "error 44") << "three is the limit of this node";
  rig.pass(seconds(6 * 24 * 3600));
  EXPECT_EQ(rig.init("used"), "1001/1");
  rig.pass(seconds(2 * 24 * 3600));
  EXPECT_EQ(rig.describe("tx"), "error 105");
  EXPECT_EQ(rig.describe("used"), "Empty 1001/1");
  EXPECT_EQ(rig.init("tx"), "1003/0");
  TransactionRig again(logs, state);
  again.next_id = 5000;
  again.start();
  EXPECT_EQ(again.describe("open"), "error 105") << "its tombstone was read";
  EXPECT_EQ(again.describe("tx"), "Empty 1003/0");
}

TEST_F(Transactions, AnotherNodesPartitionIsNotAnsweredFor) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  EXPECT_EQ(rig.add("tx", {1000, 0}, "orders", 0), 0);
  auto& waiting = rig.send_end("tx", {1000, 0}, true);
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic("__transaction_state")->id}));
  rig.coordinator.adopt(rig.now);
  std::vector<bus::LogTask*> out(rig.tasks.begin(), rig.tasks.end());
  rig.tasks.clear();
  for (bus::LogTask* task : out) EXPECT_TRUE(rig.coordinator.on_log_done(task, rig.now));
  rig.run();
  EXPECT_EQ(rig.end_text(waiting), "error 16");
  EXPECT_EQ(logs.markers({"orders", 0}), "");
  EXPECT_EQ(rig.init("tx"), "error 16");
}

TEST_F(Transactions, UntilItIsReadNobodyIsToldAnythingWrong) {
  EXPECT_EQ(rig.init("tx"), "1000/0");
  TransactionRig again(logs, state);
  again.held = [](const NamedPartition&) { return true; };
  again.start();
  EXPECT_TRUE(again.coordinator.is_loading());
  EXPECT_EQ(again.init("tx"), "error 14");
  EXPECT_EQ(again.describe("tx"), "error 14");
  again.held = nullptr;
  again.run();
  EXPECT_EQ(again.init("tx"), "1000/1");
}

TEST_F(Transactions, WithoutProducerIdsAtHandOneComesAgain) {
  TransactionRig again(logs, state);
  again.gives_ids = false;
  again.start();
  EXPECT_EQ(again.init("tx"), "error 14");
  EXPECT_TRUE(again.coordinator.wants_ids());
  again.gives_ids = true;
  again.run();
  EXPECT_EQ(again.init("tx"), "1000/0");
  EXPECT_FALSE(again.coordinator.wants_ids());
}

}  // namespace
}  // namespace tailrace::control
