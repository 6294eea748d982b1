// The checkers see what they should, and nothing else.
#include <gtest/gtest.h>

#include "checkers/compaction.h"
#include "checkers/ownership.h"
#include "checkers/records.h"
#include "checkers/retention.h"
#include "checkers/transactions.h"
#include "log_model.h"
#include "record/control_record.h"
#include "support/kafka_client.h"

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

// A compacted partition: what was appended, and what is left of it.
struct Compacted {
  void given(std::int64_t producer, const char* key, std::int64_t ms) {
    ModelBatch batch;
    batch.bytes = test::build_batch({{.key = key, .value = "v", .timestamp = ms}},
                                    {.base_timestamp = ms, .producer_id = producer,
                                     .producer_epoch = 0, .base_sequence = 0,
                                     .attributes = record::transactional_bit});
    add(batch, ms);
  }
  void ended(std::int64_t producer, bool is_commit, std::int64_t ms) {
    ModelBatch batch;
    batch.bytes.resize(record::marker_batch_bytes);
    record::store_marker_batch(batch.bytes, {.producer_id = producer, .producer_epoch = 0,
                                             .timestamp_ms = ms,
                                             .marker = {.is_commit = is_commit}});
    add(batch, ms);
  }
  void add(ModelBatch& batch, std::int64_t ms) {
    batch.base_offset = model.end();
    batch.end_offset = batch.base_offset + 1;
    batch.max_timestamp = ms;
    record::set_base_offset(batch.bytes, batch.base_offset);
    batch.records = *records_of(*record::parse_batch(batch.bytes));
    model.batches.push_back(batch);
  }
  // Those at `offsets` are left; all is read at `wall_ms`.
  std::string first(const std::vector<std::int64_t>& offsets, std::int64_t wall_ms,
                    std::int64_t clean_end = 0) {
    log::PartitionCheckpoint checkpoint{.end_offset = model.end()};
    checkpoint.segments = {{.base_offset = 0, .end_offset = model.end()},
                           {.base_offset = model.end(), .end_offset = model.end()}};
    if (clean_end > 0) checkpoint.passes = {{.end_offset = clean_end}};
    const log::PartitionLog partition(checkpoint, log::Limits{});
    std::vector<FoundBatch> found;
    for (const std::int64_t offset : offsets) take_batches(model.find(offset)->bytes, found);
    Verdicts verdicts;
    CompactionChecker(model, partition, wall_ms, verdicts).on_all(found);
    return verdicts.all_kept() ? "none" : verdicts.list().front().promise;
  }

  LogModel model{.was_compacted = true, .delete_retention_ms_least = 100};
};

TEST(CompactionChecker, AMarkerMayGoWhenItsTimeIsOverAndNothingIsLeft) {
  Compacted log;
  log.given(1, "a", 10);
  log.ended(1, true, 20);
  log.given(2, "a", 30);
  log.ended(2, true, 40);
  EXPECT_EQ(log.first({0, 1, 2, 3}, 1000), "none");
  EXPECT_EQ(log.first({1, 2, 3}, 1000), "none");
  EXPECT_EQ(log.first({2, 3}, 130), "none") << "its record may have gone at 30";
  EXPECT_EQ(log.first({2, 3}, 129), "markers_stay");
  EXPECT_EQ(log.first({0, 2, 3}, 1000), "markers_stay");
  EXPECT_EQ(log.first({0, 1, 2, 3}, 1000, 3), "old_records_go");
}

TEST(CompactionChecker, NoticesRecordsOfAnAbortedTransactionThatNobodyTellsOf) {
  Compacted log;
  log.given(1, "a", 10);
  log.ended(1, false, 20);
  EXPECT_EQ(log.first({1}, 30), "none");
  EXPECT_EQ(log.first({0, 1}, 30), "aborted_are_told");
}

TEST(CompactionChecker, NoticesWhatAReaderIsNotToGet) {
  Compacted log;
  log.given(1, "a", 10);
  log.ended(1, false, 20);
  log.given(1, "b", 30);
  log.ended(1, true, 40);
  const log::PartitionLog partition(log::PartitionCheckpoint{.end_offset = 4}, log::Limits{});
  const log::AbortedRange aborted{1, 0};
  const auto first = [&](std::vector<std::int64_t> offsets, bool is_told) {
    std::vector<FoundBatch> found;
    for (const std::int64_t offset : offsets) take_batches(log.model.find(offset)->bytes, found);
    Verdicts verdicts;
    CompactionChecker(log.model, partition, 50, verdicts)
        .on_answer(found, {&aborted, is_told ? 1U : 0U}, 4);
    return verdicts.all_kept() ? "none" : verdicts.list().front().promise;
  };
  EXPECT_EQ(first({0, 1, 2, 3}, true), "none");
  EXPECT_EQ(first({0, 1, 2, 3}, false), "committed_reads");
  EXPECT_EQ(first({1, 2, 3}, true), "none");
  EXPECT_EQ(first({2, 3}, false), "none");
  EXPECT_EQ(first({2, 3}, true), "committed_reads") << "nothing says where it ends";
}

}  // namespace
}  // namespace tailrace::sim
