// TransactionScan: what a compaction has to know of transactions while it reads a log from front to
// back: which records were aborted, and which markers have nothing left before them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "log/transaction_table.h"

namespace tailrace::log {

class TransactionScan {
 public:
  // From the front, with these.
  void start(std::vector<AbortedTransaction> aborted);
  // A batch of records, in order of offsets. True: its transaction was aborted.
  bool on_records(std::int64_t producer_id, std::int64_t offset);
  // A batch of the producer's transaction stays, with records or without.
  void on_kept(std::int64_t producer_id) { kept_.insert(producer_id); }
  // A marker. True: of the transaction that it ends something stays before it.
  bool on_marker(std::int64_t producer_id);

 private:
  std::vector<AbortedTransaction> aborted_;  // by first offset
  std::size_t begun_ = 0;             // of aborted_
  std::unordered_map<std::int64_t, std::int64_t> aborted_until_;  // by producer
  std::unordered_set<std::int64_t> kept_;                         // since their last marker
};

}  // namespace tailrace::log
