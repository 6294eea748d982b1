#include "log/transaction_scan.h"

#include <algorithm>

namespace tailrace::log {

void TransactionScan::start(std::vector<AbortedTransaction> aborted) {
  aborted_ = std::move(aborted);
  const auto begins_before = [](const AbortedTransaction& a, const AbortedTransaction& b) {
    return a.first_offset < b.first_offset;
  };
  std::sort(aborted_.begin(), aborted_.end(), begins_before);
  begun_ = 0;
  aborted_until_.clear();
  kept_.clear();
}

bool TransactionScan::on_records(std::int64_t producer_id, std::int64_t offset) {
  for (; begun_ < aborted_.size() && aborted_[begun_].first_offset <= offset; ++begun_) {
    aborted_until_[aborted_[begun_].producer_id] = aborted_[begun_].last_offset;
  }
  const auto found = aborted_until_.find(producer_id);
  return found != aborted_until_.end() && offset <= found->second;
}

bool TransactionScan::on_marker(std::int64_t producer_id) {
  aborted_until_.erase(producer_id);
  return kept_.erase(producer_id) > 0;
}

}  // namespace tailrace::log
