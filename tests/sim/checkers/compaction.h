// Compaction, by nothing but what was appended and when. All of a partition was read; nothing is
// compacted meanwhile. (What is kept of each key, and deletions: LogModel::check_keys.)
//
// untouched_stay: what lies behind the stable end or in the segment in hand is all there.
// old_records_go: before the end of the last pass only the newest record of each key is left, and
//     nothing that was aborted.
// markers_stay: a marker is there as long as anything of its transaction is, and then for its time.
// producers_stay: of every producer that the log knows its newest batch is there, if only empty.
// aborted_are_told: whatever is left of an aborted transaction, the log tells that it was.
// committed_reads: a client at READ_COMMITTED gets, out of one answer, every record that was not
//     aborted and none that was.
#pragma once

#include <span>
#include <vector>

#include "log_model.h"

namespace tailrace::sim {

// A batch as the log gave it.
struct FoundBatch {
  record::BatchHeader header;
  std::vector<ModelRecord> records;
  bool is_abort = false;  // a marker
};
// Whole batches, one after the other. What is no batch ends it.
void take_batches(Bytes bytes, std::vector<FoundBatch>& found);

class CompactionChecker {
 public:
  // All live longer. `wall_ms`: the latest that the log may have seen.
  CompactionChecker(const LogModel& model, const log::PartitionLog& partition,
                    std::int64_t wall_ms, Verdicts& verdicts);

  // `found`: all of it, from the log's start to its durable end.
  void on_all(std::span<const FoundBatch> found);
  // One answer; `aborted`: the list that comes with it. Only what lies before `stable_end` counts.
  void on_answer(std::span<const FoundBatch> found, std::span<const log::AbortedRange> aborted,
                 std::int64_t stable_end);

 private:
  const FoundBatch* find(std::span<const FoundBatch> found, std::int64_t offset) const;
  void check_untouched(std::span<const FoundBatch> found);
  void check_old(std::span<const FoundBatch> found);
  void check_markers(std::span<const FoundBatch> found);
  void check_producers(std::span<const FoundBatch> found);
  void check_told(std::span<const FoundBatch> found);
  // The earliest time at which compaction may have let go of it; INT64_MAX: never.
  std::int64_t may_go_ms(const ModelBatch& batch) const;

  const LogModel& model_;
  const log::PartitionLog& partition_;
  std::int64_t wall_ms_;
  Verdicts& verdicts_;
  ModelTransactions transactions_;
  std::map<std::string, std::vector<const ModelRecord*>> by_key_;  // those not aborted
};

}  // namespace tailrace::sim
