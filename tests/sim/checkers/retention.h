// retention_keeps: the start of a log moves only as far as somebody asked (DeleteRecords) or the
// topic's retention allows.
// delete_records_stay: what DeleteRecords was told to have removed does not come back.
#pragma once

#include <cstdint>

#include "checkers/history.h"
#include "checkers/verdicts.h"

namespace tailrace::sim {

class RetentionChecker {
 public:
  RetentionChecker(History& history, Verdicts& verdicts)
      : history_(history), verdicts_(verdicts) {}

  // A client was told that the log starts at `log_start`, at this time on the broker's clock.
  void on_log_start(std::uint32_t partition, std::int64_t log_start, std::int64_t wall_ms);
  // The same, long after everything else was over.
  void on_final(std::uint32_t partition, std::int64_t log_start, std::int64_t wall_ms);

 private:
  bool age_allows(const PartitionHistory& p, std::int64_t from, std::int64_t log_start,
                  std::int64_t wall_ms) const;
  // The furthest start up to `log_start` that the size allows.
  std::int64_t size_allows(const PartitionHistory& p, std::int64_t log_start) const;
  // Null: not known.
  const SentRecord* record_at(const PartitionHistory& p, std::int64_t at) const;

  History& history_;
  Verdicts& verdicts_;
};

}  // namespace tailrace::sim
