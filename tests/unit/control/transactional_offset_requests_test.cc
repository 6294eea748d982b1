// Stories of offsets that are committed in transactions: consume, transform, produce.
#include "transaction_rig.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

class TransactionalCommits : public testing::Test, protected ReadyTransactions {
 protected:
  TransactionalCommits() { EXPECT_EQ(rig.init("tx"), "1000/0"); }
};

TEST_F(TransactionalCommits, OffsetsBecomeVisibleWithTheCommit) {
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 0);
  EXPECT_EQ(rig.committed("g"), "-1");
  EXPECT_EQ(rig.committed("g", true), "error 88") << "it may come at any time";
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(rig.committed("g", true), "7");
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 1}, "g", 9), 0);
  EXPECT_EQ(rig.committed("g"), "7");
  EXPECT_EQ(rig.end("tx", {1000, 1}, false), "1000/2");
  EXPECT_EQ(rig.committed("g", true), "7") << "an abort drops them";
}

TEST_F(TransactionalCommits, OldClientsAddTheGroupFirst) {
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7, 3), 48) << "it was not";
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7, 4), 120);
  EXPECT_EQ(rig.add_offsets("tx", {1000, 0}, "g"), 0);
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7, 3), 0);
  EXPECT_EQ(rig.end("tx", {1000, 0}, true, 3), "-1/-1");
  EXPECT_EQ(rig.committed("g"), "7");
  EXPECT_EQ(rig.add_offsets("tx", {1000, 5}, "g"), 90);
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 5}, "g", 8, 0), 47);
}

TEST_F(TransactionalCommits, TheyAreVisibleOnlyWhenTheMarkerIsDurable) {
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 0);
  rig.held = [](const NamedPartition& at) { return at.topic == "__consumer_offsets"; };
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(rig.committed("g"), "-1");
  EXPECT_EQ(rig.committed("g", true), "error 88");
  rig.held = nullptr;
  rig.run();
  EXPECT_EQ(rig.committed("g", true), "7");
}

TEST_F(TransactionalCommits, AfterARestartTheyAreWhatTheyWere) {
  EXPECT_EQ(rig.init("old"), "1001/0");
  EXPECT_EQ(rig.send_offset_now("old", {1001, 0}, "done", 3), 0);
  EXPECT_EQ(rig.end("old", {1001, 0}, true), "1001/1");
  EXPECT_EQ(rig.send_offset_now("old", {1001, 1}, "dropped", 4), 0);
  EXPECT_EQ(rig.end("old", {1001, 1}, false), "1001/2");
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 0);
  TransactionRig again(logs, state);
  again.start();
  EXPECT_EQ(again.committed("done", true), "3");
  EXPECT_EQ(again.committed("dropped", true), "-1");
  EXPECT_EQ(again.committed("g"), "-1");
  EXPECT_EQ(again.committed("g", true), "error 88");
  EXPECT_EQ(again.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(again.committed("g", true), "7");
}

TEST_F(TransactionalCommits, WhatWasCommittedLaterOutsideStays) {
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 0);
  EXPECT_EQ(rig.commit("g", 20), 0);
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(rig.committed("g", true), "20");
  TransactionRig again(logs, state);
  again.start();
  EXPECT_EQ(again.committed("g", true), "20") << "the order of the log decides";
  EXPECT_EQ(again.commit("g", 30), 0);
  EXPECT_EQ(again.send_offset_now("tx", {1000, 1}, "g", 40), 0);
  EXPECT_EQ(again.end("tx", {1000, 1}, true), "1000/2");
  EXPECT_EQ(again.committed("g", true), "40");
}

TEST_F(TransactionalCommits, AGroupWithThemIsNotDeleted) {
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 0);
  kafka::DeleteGroupsRequest request;
  std::string_view name = "g";
  request.groups_names = {&name, 1};
  EXPECT_EQ(rig.ask<kafka::DeleteGroupsResponse>(request, 2).results[0].error_code, 68);
  EXPECT_EQ(rig.end("tx", {1000, 0}, false), "1000/1");
  EXPECT_EQ(rig.ask<kafka::DeleteGroupsResponse>(request, 2).results[0].error_code, 69)
      << "it never was";
}

TEST_F(TransactionalCommits, WhatTheLogRefusesIsNotThere) {
  EXPECT_EQ(rig.add_offsets("tx", {1000, 0}, "g"), 0);
  rig.errors["__consumer_offsets"] = ErrorCode::invalid_producer_epoch;
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 47);
  rig.errors["__consumer_offsets"] = ErrorCode::kafka_storage_error;
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 16);
  rig.errors.clear();
  EXPECT_EQ(rig.committed("g", true), "-1");
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(rig.committed("g", true), "-1");
}

TEST_F(TransactionalCommits, AnEndedTransactionTakesNoMore) {
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 7), 0);
  EXPECT_EQ(rig.end("tx", {1000, 0}, true), "1000/1");
  EXPECT_EQ(rig.send_offset_now("tx", {1000, 0}, "g", 8), 90);
  EXPECT_EQ(rig.send_offset_now("nothing", {1000, 0}, "g", 8), 49);
  EXPECT_EQ(rig.committed("g", true), "7");
}

}  // namespace
}  // namespace tailrace::control
