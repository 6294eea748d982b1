// What clients were told about records must stay true:
//   acked_is_durable  an acknowledged record is there, at its offset, byte-equal, after any crash
//   reads_stay        what a consumer has read stays where it was
//   no_duplicate      a record is in the log once (plain producers here never send one twice)
//   order             a producer's records in a partition keep their order; idempotent: no gaps
//   offsets_dense     a consumer that follows a partition misses no offset
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "checkers/history.h"
#include "checkers/verdicts.h"

namespace tailrace::sim {

struct SeenRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  std::string_view value;
};

class RecordCheckers {
 public:
  RecordCheckers(History& history, Verdicts& verdicts) : history_(history), verdicts_(verdicts) {}

  // Records [first, first + count) by number were acknowledged at consecutive offsets.
  void on_acked(std::span<const std::uint32_t> numbers, std::int64_t base_offset);
  // A consumer that had asked for `position` got these records of whole batches, in this order.
  // Returns the position behind them.
  std::int64_t on_read(std::uint32_t partition, std::int64_t position,
                       std::span<const SeenRecord> records);
  // A client was told that the log ends at `end`, long after everything else was over.
  // `seen`: all records from log_start on, by offset.
  void on_final(std::uint32_t partition, std::int64_t log_start, std::int64_t end,
                std::span<const SeenRecord> seen);

 private:
  // `number` is at `offset`, says `promise`'s checker.
  void note(const char* promise, std::uint32_t partition, std::int64_t offset,
            std::int64_t number);
  // The record's number, or -1 after a verdict.
  std::int64_t check_content(std::uint32_t partition, const SeenRecord& seen);
  void check_order(std::uint32_t partition, std::span<const std::int64_t> numbers);

  History& history_;
  Verdicts& verdicts_;
};

}  // namespace tailrace::sim
