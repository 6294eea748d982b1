#include "checkers/compaction.h"

#include <algorithm>

#include "record/control_record.h"

namespace tailrace::sim {
namespace {

record::BatchHeader header_of(const ModelBatch& batch) {
  return *record::parse_header(batch.bytes);
}

std::int64_t sum(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  return __builtin_add_overflow(a, b, &result) ? INT64_MAX : result;
}

}  // namespace

void take_batches(Bytes bytes, std::vector<FoundBatch>& found) {
  while (const auto batch = record::parse_batch(bytes)) {
    const auto records = records_of(*batch);
    if (!records) return;
    const auto marker = record::marker_of(*batch);
    found.push_back({batch->header, *records, marker && !marker->is_commit});
    bytes = bytes.subspan(batch->bytes.size());
  }
}

CompactionChecker::CompactionChecker(const LogModel& model, const log::PartitionLog& partition,
                                     std::int64_t wall_ms, Verdicts& verdicts)
    : model_(model),
      partition_(partition),
      wall_ms_(wall_ms),
      verdicts_(verdicts),
      transactions_(model.transactions(partition.durable_end())) {}

void CompactionChecker::on_all(std::span<const FoundBatch> found) {
  for (const ModelBatch& batch : model_.batches) {
    if (header_of(batch).is_control() || transactions_.is_aborted(batch)) continue;
    for (const ModelRecord& record : batch.records) by_key_[record.key].push_back(&record);
  }
  check_untouched(found);
  check_old(found);
  check_markers(found);
  check_producers(found);
  check_told(found);
}

const FoundBatch* CompactionChecker::find(std::span<const FoundBatch> found,
                                          std::int64_t offset) const {
  const auto at = std::lower_bound(found.begin(), found.end(), offset,
                                   [](const FoundBatch& batch, std::int64_t wanted) {
                                     return batch.header.base_offset < wanted;
                                   });
  if (at == found.end() || at->header.base_offset != offset) return nullptr;
  // Without a producer either it is nobody's: a segment has at least one batch.
  return at->records.empty() && !at->header.has_producer() ? nullptr : &*at;
}

void CompactionChecker::check_untouched(std::span<const FoundBatch> found) {
  if (partition_.segments().empty()) return;
  const std::int64_t from = std::max(
      partition_.log_start(),
      std::min(partition_.stable_end(), partition_.segments().back().base_offset));
  for (const ModelBatch& batch : model_.batches) {
    if (batch.base_offset < from || batch.end_offset > partition_.durable_end()) continue;
    const FoundBatch* there = find(found, batch.base_offset);
    if (there != nullptr && there->records.size() == batch.records.size()) continue;
    verdicts_.broken("untouched_stay", "{}: of the batch at {} {} of {} records are there; nothing "
                                       "from {} on may be compacted", model_.name(),
                     batch.base_offset, there == nullptr ? 0 : there->records.size(),
                     batch.records.size(), from);
    return;
  }
}

void CompactionChecker::check_old(std::span<const FoundBatch> found) {
  const std::int64_t end = partition_.clean_passes().end_offset();
  for (const FoundBatch& batch : found) {
    const ModelBatch* given = model_.find(batch.header.base_offset);
    if (given == nullptr || batch.header.is_control()) continue;
    const bool is_aborted = transactions_.is_aborted(*given);
    for (const ModelRecord& record : batch.records) {
      if (record.offset >= end) return;
      if (record.offset < partition_.log_start()) continue;  // Went when it had been read.
      const auto& same = by_key_[record.key];
      const bool is_newest = std::none_of(same.begin(), same.end(), [&](const ModelRecord* other) {
        return other->offset > record.offset && other->offset < end;
      });
      if (is_newest && !is_aborted && record.key != "-") continue;
      verdicts_.broken("old_records_go", "{}: the record of key {} at {} is there{}, all is "
                                         "compacted up to {}", model_.name(), record.key,
                       record.offset, is_aborted ? " and was aborted" : "", end);
      return;
    }
  }
}

std::int64_t CompactionChecker::may_go_ms(const ModelBatch& batch) const {
  if (batch.end_offset <= partition_.log_start()) return INT64_MIN;
  std::int64_t goes_ms = INT64_MIN;
  for (const ModelRecord& record : batch.records) {
    if (record.offset < partition_.log_start()) continue;
    std::int64_t one_ms = record.value == "-"
                              ? sum(record.timestamp, model_.delete_retention_ms_least)
                              : INT64_MAX;
    if (record.key == "-") one_ms = record.timestamp;
    const auto same = by_key_.find(record.key);
    if (same != by_key_.end()) {
      for (const ModelRecord* other : same->second) {
        if (other->offset > record.offset) one_ms = std::min(one_ms, other->timestamp);
      }
    }
    goes_ms = std::max(goes_ms, one_ms);
  }
  return goes_ms;
}

void CompactionChecker::check_markers(std::span<const FoundBatch> found) {
  struct Open {
    std::int64_t goes_ms = INT64_MIN;
    std::int64_t left_at = -1;
  };
  std::map<std::int64_t, Open> open;  // by producer
  for (const ModelBatch& batch : model_.batches) {
    const record::BatchHeader header = header_of(batch);
    if (!header.is_transactional() || batch.end_offset > partition_.durable_end()) continue;
    Open& transaction = open[header.producer_id];
    const bool is_there = find(found, batch.base_offset) != nullptr;
    if (!header.is_control()) {
      const std::int64_t goes_ms = transactions_.is_aborted(batch) ? INT64_MIN : may_go_ms(batch);
      transaction.goes_ms = std::max(transaction.goes_ms, goes_ms);
      if (is_there) transaction.left_at = batch.base_offset;
      continue;
    }
    const Open ended = transaction;
    open.erase(header.producer_id);
    if (is_there || batch.base_offset < partition_.log_start()) continue;
    const std::int64_t goes_ms = sum(std::max(ended.goes_ms, batch.max_timestamp),
                                     model_.delete_retention_ms_least);
    if (ended.left_at < 0 && goes_ms <= wall_ms_) continue;
    verdicts_.broken("markers_stay", "{}: the marker at {} of producer {} is gone; its transaction "
                                     "{}; it may go from {} on, now it is {} at most",
                     model_.name(), batch.base_offset, header.producer_id,
                     ended.left_at < 0 ? "as well" : fmt::format("is there, at {}", ended.left_at),
                     goes_ms, wall_ms_);
  }
}

void CompactionChecker::check_producers(std::span<const FoundBatch> found) {
  for (const log::ProducerState& known : partition_.producers().snapshot()) {
    // Its newest batch was another one once, and had been compacted by then.
    if (model_.lost_producers.contains(known.producer_id)) continue;
    std::int64_t newest = -1;
    if (known.batch_count > 0) {
      newest = known.batches[known.batch_count - 1U].base_offset;
    } else {
      for (const ModelBatch& batch : model_.batches) {
        const record::BatchHeader header = header_of(batch);
        const bool is_its = header.producer_id == known.producer_id &&
                            header.producer_epoch == known.epoch;
        if (is_its) newest = batch.base_offset;
      }
    }
    if (newest < partition_.log_start() || newest >= partition_.durable_end()) continue;
    if (find(found, newest) != nullptr) continue;
    verdicts_.broken("producers_stay", "{}: the newest batch of producer {}, at {}, is gone",
                     model_.name(), known.producer_id, newest);
  }
}

void CompactionChecker::check_told(std::span<const FoundBatch> found) {
  const auto& told = partition_.transactions().aborted();
  for (const log::AbortedTransaction& aborted : transactions_.aborted) {
    const bool is_told = std::any_of(told.begin(), told.end(), [&](const auto& one) {
      return one.producer_id == aborted.producer_id && one.last_offset == aborted.last_offset;
    });
    if (is_told) continue;
    for (const FoundBatch& batch : found) {
      const std::int64_t offset = batch.header.base_offset;
      const bool is_left = batch.header.producer_id == aborted.producer_id &&
                           !batch.records.empty() && offset >= aborted.first_offset &&
                           offset < aborted.last_offset;
      if (!is_left) continue;
      verdicts_.broken("aborted_are_told", "{}: records at {} were aborted, nobody tells of it",
                       model_.name(), offset);
      return;
    }
  }
}

// As clients do it: the list is ordered by first offset; a producer is being aborted from there up
// to its marker.
void CompactionChecker::on_answer(std::span<const FoundBatch> found,
                                  std::span<const log::AbortedRange> aborted,
                                  std::int64_t stable_end) {
  std::set<std::int64_t> aborting;
  std::size_t next = 0;
  for (const FoundBatch& batch : found) {
    const record::BatchHeader& header = batch.header;
    if (header.last_offset() >= stable_end) return;
    while (next < aborted.size() && aborted[next].first_offset <= header.last_offset()) {
      aborting.insert(aborted[next++].producer_id);
    }
    if (batch.is_abort) aborting.erase(header.producer_id);
    const ModelBatch* given = model_.find(header.base_offset);
    if (header.is_control() || batch.records.empty() || given == nullptr) continue;
    const bool is_shown = !header.is_transactional() || !aborting.contains(header.producer_id);
    if (is_shown != transactions_.is_aborted(*given)) continue;
    verdicts_.broken("committed_reads", "{}: the batch at {} of producer {} was {}, a reader of "
                                        "committed records {}", model_.name(), header.base_offset,
                     header.producer_id, is_shown ? "aborted" : "committed",
                     is_shown ? "gets it" : "does not get it");
    return;
  }
}

}  // namespace tailrace::sim
