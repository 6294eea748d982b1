// The rules of one transactional id, as traces: what is asked, what is told, and "state id/epoch"
// after what was to be written is written.
#include "control/transaction.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Set = std::set<NamedPartition>;

class Rules : public testing::Test {
 protected:
  std::string settle(const Transaction::Verdict& verdict) {
    if (verdict.used_spare_id) ++spare;
    std::string line;
    if (verdict.error != ErrorCode::none) {
      line = "error " + std::to_string(to_wire(verdict.error)) + " ";
    }
    if (!verdict.writes) return line + "as before";
    one.on_written(!write_fails);
    return line + now_is();
  }
  std::string now_is() const {
    const TransactionRecord& record = one.record();
    return std::string(to_text(record.state)) + " " + std::to_string(record.producer_id) + "/" +
           std::to_string(record.producer_epoch);
  }
  std::string init(std::optional<ProducerIdentity> expected = std::nullopt) {
    return settle(one.init(60'000, expected, spare, ++ms));
  }
  std::string add(ProducerIdentity producer, std::int16_t version = 2) {
    return settle(one.add(producer, Set{{"t", 0}}, version, 3, ++ms));
  }
  std::string commit(ProducerIdentity producer, std::int16_t version = 2) {
    return settle(one.end(producer, true, version, spare, ++ms));
  }
  std::string abort(ProducerIdentity producer, std::int16_t version = 2) {
    return settle(one.end(producer, false, version, spare, ++ms));
  }
  std::string complete() { return settle(one.complete(++ms)); }
  // With so many epochs used.
  void use_up(std::int16_t epoch) {
    TransactionRecord record = one.record();
    record.producer_epoch = epoch;
    one = Transaction(record);
  }

  std::int64_t ms = 1000;
  std::int64_t spare = 900;
  bool write_fails = false;
  Transaction one{5, 60'000, 1000};
};

TEST_F(Rules, BeforeVersionTwoOneEpochLastsForAllTransactions) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(add({5, 0}, 0), "Ongoing 5/0");
  EXPECT_EQ(add({5, 0}, 0), "as before") << "the partition is in it";
  EXPECT_EQ(commit({5, 0}, 0), "PrepareCommit 5/0");
  EXPECT_EQ(commit({5, 0}, 0), "error 51 as before") << "its markers are on their way";
  EXPECT_EQ(abort({5, 0}, 0), "error 48 as before");
  EXPECT_EQ(add({5, 0}, 0), "error 51 as before");
  EXPECT_EQ(complete(), "CompleteCommit 5/0");
  EXPECT_TRUE(one.record().partitions.empty());
  EXPECT_EQ(commit({5, 0}, 0), "as before") << "asked again";
  EXPECT_EQ(abort({5, 0}, 0), "error 48 as before");
  EXPECT_EQ(add({5, 0}, 0), "Ongoing 5/0");
  EXPECT_EQ(abort({5, 0}, 0), "PrepareAbort 5/0");
  EXPECT_EQ(complete(), "CompleteAbort 5/0");
  EXPECT_EQ(abort({5, 0}, 0), "as before");
}

TEST_F(Rules, WithVersionTwoEveryEndGivesTheNextEpoch) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  EXPECT_EQ(commit({5, 0}), "PrepareCommit 5/1");
  EXPECT_EQ(commit({5, 0}), "error 51 as before") << "asked again";
  EXPECT_EQ(abort({5, 0}), "error 48 as before");
  EXPECT_EQ(commit({5, 1}), "error 51 as before") << "the next one may begin a little later";
  EXPECT_EQ(abort({5, 1}), "error 51 as before") << "so a client asks again, as with Kafka 4.0";
  EXPECT_EQ(abort({5, 2}), "error 90 as before");
  EXPECT_EQ(complete(), "CompleteCommit 5/1");
  EXPECT_EQ(commit({5, 0}), "as before") << "asked again";
  EXPECT_EQ(abort({5, 0}), "error 48 as before");
  EXPECT_EQ(commit({5, 1}), "error 48 as before") << "nothing was begun";
  EXPECT_EQ(add({5, 0}), "error 90 as before") << "what is late is not of the next transaction";
  EXPECT_EQ(abort({5, 1}), "PrepareAbort 5/2") << "the producer does not know what was begun";
  EXPECT_EQ(complete(), "CompleteAbort 5/2");
  EXPECT_EQ(abort({5, 1}), "as before");
  EXPECT_EQ(commit({5, 1}), "error 48 as before");
}

TEST_F(Rules, AnEmptyOneCanBeAbortedFromVersionTwoOn) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(abort({5, 0}, 0), "error 48 as before");
  EXPECT_EQ(commit({5, 0}, 2), "error 48 as before");
  EXPECT_EQ(abort({5, 0}, 2), "PrepareAbort 5/1");
  EXPECT_EQ(one.record().start_ms, ms) << "an end has a beginning";
}

TEST_F(Rules, OnlyTheNewestProducerIsHeard) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(init(), "Empty 5/1");
  EXPECT_EQ(add({5, 0}), "error 90 as before");
  EXPECT_EQ(add({6, 1}), "error 49 as before");
  EXPECT_EQ(commit({5, 0}, 0), "error 90 as before");
  EXPECT_EQ(commit({5, 2}, 0), "error 90 as before");
  EXPECT_EQ(commit({6, 1}, 0), "error 49 as before");
  EXPECT_EQ(abort({5, -1}), "error 90 as before");
  EXPECT_EQ(abort({5, INT16_MAX}), "error 90 as before");
}

TEST_F(Rules, AnotherProducerAbortsWhatTheOneBeforeHasBegun) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  EXPECT_EQ(init(), "error 51 PrepareAbort 5/2");
  EXPECT_EQ(init(), "error 51 as before");
  EXPECT_EQ(add({5, 0}), "error 51 as before");
  EXPECT_EQ(complete(), "CompleteAbort 5/2");
  EXPECT_EQ(init(), "Empty 5/3");
  EXPECT_EQ(add({5, 0}), "error 90 as before");
  EXPECT_EQ(commit({5, 0}), "error 90 as before");
}

TEST_F(Rules, OneThatTakesTooLongIsAbortedAndItsProducerFenced) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  EXPECT_EQ(settle(one.abort_late(ms)), "PrepareAbort 5/2");
  EXPECT_EQ(complete(), "CompleteAbort 5/2");
  EXPECT_EQ(commit({5, 0}), "error 90 as before");
}

TEST_F(Rules, AFenceThatWasNotWrittenTakesNoSecondEpoch) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  write_fails = true;
  EXPECT_EQ(init(), "error 51 Ongoing 5/1") << "as if it had been: the producer is fenced";
  EXPECT_EQ(init(), "error 51 Ongoing 5/1");
  write_fails = false;
  EXPECT_EQ(init(), "error 51 PrepareAbort 5/2");
}

TEST_F(Rules, WhatWasNotWrittenHasNotHappened) {
  EXPECT_EQ(init(), "Empty 5/0");
  write_fails = true;
  EXPECT_EQ(add({5, 0}), "Empty 5/0");
  write_fails = false;
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  write_fails = true;
  EXPECT_EQ(commit({5, 0}), "Ongoing 5/0");
  write_fails = false;
  EXPECT_EQ(abort({5, 0}), "PrepareAbort 5/1");
}

TEST_F(Rules, NothingElseIsBegunWhileARecordIsBeingWritten) {
  EXPECT_TRUE(one.init(60'000, std::nullopt, spare, ms).writes);
  EXPECT_EQ(init(), "error 51 as before");
  EXPECT_EQ(add({5, 0}), "error 51 as before");
  one.on_written(true);
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  EXPECT_TRUE(one.end({5, 0}, true, 2, spare, ms).writes);
  EXPECT_EQ(abort({5, 0}), "error 51 as before");
  EXPECT_EQ(settle(one.abort_late(ms)), "error 51 as before");
}

TEST_F(Rules, AProducerThatNamesItselfIsTheNewestOrFenced) {
  EXPECT_EQ(init(ProducerIdentity{77, 3}), "Empty 5/0") << "its id was lost here";
  EXPECT_EQ(init(ProducerIdentity{5, 0}), "Empty 5/1");
  EXPECT_EQ(init(ProducerIdentity{5, 0}), "Empty 5/1") << "it has not got the answer";
  EXPECT_EQ(init(), "Empty 5/2");
  EXPECT_EQ(init(ProducerIdentity{5, 1}), "error 90 as before");
  EXPECT_EQ(init(ProducerIdentity{4, 2}), "error 90 as before");
  EXPECT_EQ(init(ProducerIdentity{5, 2}), "Empty 5/3");
}

TEST_F(Rules, WhenEpochsRunOutThereIsAnotherId) {
  EXPECT_EQ(init(), "Empty 5/0");
  use_up(INT16_MAX - 2);
  EXPECT_EQ(init(), "Empty 5/32766");
  EXPECT_EQ(init(ProducerIdentity{5, 32766}), "Empty 900/0");
  EXPECT_EQ(init(ProducerIdentity{5, 32766}), "Empty 900/0") << "asked again";
  EXPECT_EQ(spare, 901);
  use_up(INT16_MAX - 1);
  spare = -1;
  EXPECT_EQ(init(), "error 14 as before") << "there is none at hand";
}

TEST_F(Rules, WhenEpochsRunOutATransactionsEndGivesAnotherId) {
  EXPECT_EQ(init(), "Empty 5/0");
  use_up(INT16_MAX - 1);
  EXPECT_EQ(add({5, 32766}), "Ongoing 5/32766");
  EXPECT_EQ(commit({5, 32766}), "PrepareCommit 5/32767");
  EXPECT_EQ(one.producer(), (ProducerIdentity{900, 0}));
  EXPECT_EQ(add({900, 0}), "error 51 as before") << "it is known, and comes again";
  EXPECT_EQ(complete(), "CompleteCommit 900/0");
  EXPECT_EQ(commit({5, 32766}), "as before") << "asked again";
  EXPECT_EQ(abort({5, 32766}), "error 48 as before");
  EXPECT_EQ(add({900, 0}), "Ongoing 900/0");
}

TEST_F(Rules, TheHighestEpochFencesAndIsNobodys) {
  EXPECT_EQ(init(), "Empty 5/0");
  use_up(INT16_MAX - 1);
  EXPECT_EQ(add({5, 32766}), "Ongoing 5/32766");
  EXPECT_EQ(init(), "error 51 PrepareAbort 5/32767");
  EXPECT_EQ(complete(), "CompleteAbort 5/32767");
  EXPECT_EQ(add({5, 32767}), "error 90 as before");
  EXPECT_EQ(abort({5, 32767}), "error 90 as before");
  EXPECT_EQ(init(ProducerIdentity{5, 32766}), "error 90 as before");
  EXPECT_EQ(init(), "Empty 900/0");
}

TEST_F(Rules, ATransactionHasALimitOfPartitions) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(settle(one.add({5, 0}, Set{{"t", 0}, {"t", 1}, {"u", 0}}, 2, 3, ms)), "Ongoing 5/0");
  EXPECT_EQ(settle(one.add({5, 0}, Set{{"t", 2}}, 2, 3, ms)), "error 44 as before");
  EXPECT_EQ(add({5, 0}), "as before");
}

TEST_F(Rules, PartitionsAreVerifiedWithoutWaiting) {
  EXPECT_EQ(init(), "Empty 5/0");
  EXPECT_EQ(add({5, 0}), "Ongoing 5/0");
  EXPECT_TRUE(one.add({5, 0}, Set{{"t", 1}}, 2, 3, ms).writes);
  EXPECT_EQ(one.check({5, 0}), ErrorCode::none);
  EXPECT_TRUE(one.contains({"t", 0}));
  EXPECT_FALSE(one.contains({"t", 1})) << "not durable yet";
  EXPECT_EQ(one.check({5, 1}), ErrorCode::producer_fenced);
  one.on_written(true);
  EXPECT_EQ(commit({5, 0}, 0), "PrepareCommit 5/0");
  EXPECT_EQ(one.check({5, 0}), ErrorCode::concurrent_transactions);
}

}  // namespace
}  // namespace tailrace::control
