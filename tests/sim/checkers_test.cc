// The checkers see what they should, and nothing else.
#include <gtest/gtest.h>

#include "checkers/ownership.h"
#include "checkers/records.h"
#include "checkers/retention.h"
#include "checkers/transactions.h"
#include "log_model.h"

namespace tailrace::sim {
namespace {

struct Told {
  Told() {
    history.topics.push_back({.name = "t", .partition_count = 1, .created = true});
    history.add_partition(0, 0);
  }
  std::uint32_t sent(std::uint32_t number, std::uint32_t bytes = 20) {
    history.records.push_back({.number = number, .idempotent = true, .value_bytes = bytes,
                               .batch_bytes = 100, .timestamp_ms = 5});
    history.partitions[0].sent_bytes += 100;
    return static_cast<std::uint32_t>(history.records.size() - 1);
  }
  // Record `number` as a consumer gets it at `offset`.
  SeenRecord seen(std::uint32_t number, std::int64_t offset) {
    values.push_back(record_value(number, 20));
    return {offset, 5, values.back()};
  }
  std::string first() const {
    return verdicts.all_kept() ? "none" : verdicts.list().front().promise;
  }

  History history;
  Verdicts verdicts;
  RecordCheckers records{history, verdicts};
  RetentionChecker retention{history, verdicts};
  std::deque<std::string> values;
};

TEST(Checkers, AreSilentWhenAllIsWell) {
  Told told;
  const std::array numbers = {told.sent(0), told.sent(1)};
  told.records.on_acked(numbers, 0);
  const std::array seen = {told.seen(0, 0), told.seen(1, 1)};
  EXPECT_EQ(told.records.on_read(0, 0, seen), 2);
  told.records.on_final(0, 0, 2, seen);
  EXPECT_EQ(told.first(), "none");
}

TEST(Checkers, NoticeAnAcknowledgedRecordThatIsGone) {
  Told told;
  const std::array numbers = {told.sent(0), told.sent(1)};
  told.records.on_acked(numbers, 0);
  const std::array seen = {told.seen(0, 0)};
  told.records.on_final(0, 0, 1, seen);
  EXPECT_EQ(told.first(), "acked_is_durable");
}

TEST(Checkers, NoticeAPartitionWithTwoOwners) {
  Told told;
  OwnershipChecker ownership(told.verdicts);
  ownership.owns("g", "a", {0, 1}, Instant{5}, Instant{20});
  ownership.owns("g", "b", {2}, Instant{6}, Instant{20});
  ownership.owns("h", "b", {0}, Instant{6}, Instant{20});
  ownership.owns("g", "a", {1}, Instant{7}, Instant{20});
  ownership.owns("g", "b", {0, 2}, Instant{8}, Instant{20});
  EXPECT_EQ(told.first(), "none");
  ownership.owns("g", "c", {1}, Instant{20}, Instant{30});
  EXPECT_EQ(told.first(), "none") << "a has been silent for too long";
  ownership.owns("g", "b", {1}, Instant{21}, Instant{30});
  EXPECT_EQ(told.first(), "one_owner");
}

TEST(Checkers, NoticeABitThatFlipped) {
  Told told;
  told.sent(0);
  SeenRecord seen = told.seen(0, 0);
  told.values.back()[12] ^= 1;
  told.records.on_read(0, 0, {&seen, 1});
  EXPECT_EQ(told.first(), "acked_is_durable");
}

TEST(Checkers, NoticeARecordThatIsThereTwice) {
  Told told;
  told.sent(0);
  const std::array seen = {told.seen(0, 0), told.seen(0, 1)};
  told.records.on_read(0, 0, seen);
  EXPECT_EQ(told.first(), "no_duplicate");
}

TEST(Checkers, NoticeAGapAndALateStart) {
  Told gap;
  gap.sent(0);
  gap.sent(1);
  const std::array seen = {gap.seen(0, 0), gap.seen(1, 2)};
  gap.records.on_read(0, 0, seen);
  EXPECT_EQ(gap.first(), "offsets_dense");
  Told late;
  late.sent(0);
  const SeenRecord one = late.seen(0, 4);
  late.records.on_read(0, 3, {&one, 1});
  EXPECT_EQ(late.first(), "offsets_dense");
}

TEST(Checkers, NoticeRecordsThatChangedPlaces) {
  Told told;
  told.sent(1);
  told.sent(0);
  const std::array seen = {told.seen(0, 0), told.seen(1, 1)};
  told.records.on_final(0, 0, 2, seen);
  EXPECT_EQ(told.first(), "order");
}

TEST(Checkers, NoticeALogThatEndsBeforeWhatWasRead) {
  Told told;
  told.sent(0);
  told.sent(1);
  const std::array seen = {told.seen(0, 0), told.seen(1, 1)};
  told.records.on_read(0, 0, seen);
  told.records.on_final(0, 0, 1, std::span(seen).first(1));
  EXPECT_EQ(told.first(), "reads_stay");
}

TEST(Checkers, AllowRetentionWhatItMayAndNoMore) {
  Told told;
  const std::array numbers = {told.sent(0), told.sent(1), told.sent(2)};
  told.records.on_acked(numbers, 0);
  told.history.topics[0].retention_bytes_least = 200;
  told.retention.on_log_start(0, 1, 1'000);  // 200 of 300 bytes remain
  EXPECT_EQ(told.first(), "none");
  told.retention.on_log_start(0, 2, 1'000);
  EXPECT_EQ(told.first(), "retention_keeps");
}

TEST(Checkers, AllowAgeWhatItMayAndNoMore) {
  Told told;
  const std::array numbers = {told.sent(0)};
  told.records.on_acked(numbers, 0);
  told.history.topics[0].retention_ms_least = 100;
  told.retention.on_log_start(0, 1, 106);
  EXPECT_EQ(told.first(), "none");
  Told early;
  early.sent(0);
  early.records.on_acked(numbers, 0);
  early.history.topics[0].retention_ms_least = 100;
  early.retention.on_log_start(0, 1, 105);
  EXPECT_EQ(early.first(), "retention_keeps");
}

TEST(Checkers, AllowSizeAndAgeOneAfterTheOther) {
  Told told;
  const std::array numbers = {told.sent(0), told.sent(1), told.sent(2)};
  told.history.records[0].timestamp_ms = 1'000;  // too young to go by age
  told.records.on_acked(numbers, 0);
  told.history.topics[0].retention_bytes_least = 200;
  told.history.topics[0].retention_ms_least = 100;
  told.retention.on_log_start(0, 2, 106);
  EXPECT_EQ(told.first(), "none");
  told.history.records[2].timestamp_ms = 6;
  told.retention.on_log_start(0, 3, 106);
  EXPECT_EQ(told.first(), "retention_keeps");
}

TEST(Checkers, NoticeDeletedRecordsThatComeBack) {
  Told told;
  told.history.partitions[0].delete_records_to = 5;
  told.history.partitions[0].delete_records_acked = 5;
  told.retention.on_final(0, 4, 0);
  EXPECT_EQ(told.first(), "delete_records_stay");
}

TEST(LogModel, NoticesAnEndBeforeWhatWasAcknowledged) {
  LogModel model;
  Verdicts verdicts;
  model.batches.push_back({.base_offset = 0, .end_offset = 3, .bytes = {}});
  model.batches.push_back({.base_offset = 3, .end_offset = 5, .bytes = {}});
  model.acked_end = 3;
  model.on_recovered(0, 3, verdicts);
  EXPECT_TRUE(verdicts.all_kept());
  EXPECT_EQ(model.end(), 3);
  model.on_recovered(0, 0, verdicts);
  EXPECT_TRUE(verdicts.names("acked_is_durable"));
}

// Transactions of one owner over two partitions, one record in each.
struct Ledger {
  std::uint32_t made(bool asked, bool committed, bool has_offset = false) {
    const std::uint32_t number = transactions.begin(0);
    transactions.add_record(number, 0);
    transactions.add_record(number, 1);
    transactions.transaction(number).commit_asked = asked;
    transactions.transaction(number).committed = committed;
    transactions.transaction(number).has_offset = has_offset;
    return number;
  }
  void seen(std::uint32_t record, std::int64_t offset) {
    transactions.on_read(static_cast<std::int32_t>(record % 2), offset,
                         TransactionCheckers::value_of(record), true);
  }
  std::string first() const {
    return verdicts.all_kept() ? "none" : verdicts.list().front().promise;
  }

  Verdicts verdicts;
  TransactionCheckers transactions{verdicts};
};

TEST(TransactionCheckers, AreSilentWhenAllIsWell) {
  Ledger ledger;
  ledger.made(true, true, true);
  ledger.made(false, false);
  ledger.made(true, false);  // Nobody knows, and it is not there.
  ledger.seen(0, 0);
  ledger.seen(1, 0);
  ledger.transactions.on_final();
  ledger.transactions.on_offset(0, 0);
  EXPECT_EQ(ledger.first(), "none");
}

TEST(TransactionCheckers, NoticeARecordThatWasAborted) {
  Ledger ledger;
  ledger.made(false, false);
  ledger.seen(0, 0);
  EXPECT_EQ(ledger.first(), "aborted_reads");
}

TEST(TransactionCheckers, NoticeACommittedTransactionThatIsGone) {
  Ledger ledger;
  ledger.made(true, true);
  ledger.transactions.on_final();
  EXPECT_EQ(ledger.first(), "lost_transactions");
}

TEST(TransactionCheckers, NoticeHalfATransaction) {
  Ledger ledger;
  ledger.made(true, false);
  ledger.seen(1, 4);
  ledger.transactions.on_final();
  EXPECT_EQ(ledger.first(), "torn_transactions");
}

TEST(TransactionCheckers, NoticeARecordAtTwoPlacesAndOneOutOfOrder) {
  Ledger twice;
  twice.made(true, true);
  twice.seen(0, 0);
  twice.seen(0, 2);
  EXPECT_EQ(twice.first(), "committed_once");
  Ledger swapped;
  swapped.made(true, true);
  swapped.made(true, true);
  swapped.seen(2, 0);
  swapped.seen(0, 3);
  EXPECT_EQ(swapped.first(), "committed_once");
}

TEST(TransactionCheckers, NoticeAnOffsetWithoutItsRecords) {
  Ledger ledger;
  ledger.made(true, true, true);
  ledger.made(true, false, true);
  ledger.seen(0, 0);
  ledger.seen(1, 0);
  ledger.transactions.on_offset(0, 1);
  EXPECT_EQ(ledger.first(), "offsets_with_records");
}

}  // namespace
}  // namespace tailrace::sim
