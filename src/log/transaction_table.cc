#include "log/transaction_table.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::log {
namespace {

bool ends_before(const AbortedTransaction& transaction, std::int64_t offset) {
  return transaction.last_offset < offset;
}

}  // namespace

void TransactionTable::on_end(const AbortedTransaction& ended, bool is_commit) {
  TR_ASSERT(ended.first_offset >= 0);
  TR_ASSERT(ended.first_offset < ended.last_offset);
  TR_ASSERT(ended.stable_end <= ended.last_offset + 1);
  TR_ASSERT(undecided_.empty() || undecided_.back().last_offset < ended.last_offset);
  undecided_.push_back({ended.producer_id, ended.first_offset, ended.last_offset});
  first_undecided_ = std::min(first_undecided_, ended.first_offset);
  if (is_commit) return;
  TR_ASSERT(aborted_.empty() || aborted_.back().last_offset < ended.last_offset);
  TR_ASSERT(aborted_.empty() || aborted_.back().stable_end <= ended.stable_end);
  aborted_.push_back(ended);
}

void TransactionTable::decide(std::int64_t durable_end) {
  const auto behind = std::find_if(
      undecided_.begin(), undecided_.end(),
      [&](const Undecided& ended) { return ended.last_offset >= durable_end; });
  if (behind == undecided_.begin()) return;
  undecided_.erase(undecided_.begin(), behind);
  find_first_undecided();
}

void TransactionTable::find_first_undecided() {
  first_undecided_ = INT64_MAX;
  for (const Undecided& ended : undecided_) {
    first_undecided_ = std::min(first_undecided_, ended.first_offset);
  }
}

std::size_t TransactionTable::find(std::int64_t offset, std::int64_t offset_end,
                                   std::span<AbortedRange> ranges) const {
  if (offset_end <= offset) return 0;
  std::size_t count = 0;
  for (auto at = std::lower_bound(aborted_.begin(), aborted_.end(), offset, ends_before);
       at != aborted_.end(); ++at) {
    if (at->first_offset < offset_end) {
      if (count < ranges.size()) ranges[count] = {at->producer_id, at->first_offset};
      ++count;
    }
    if (at->stable_end >= offset_end) break;  // All that ended later begin there or behind.
  }
  const auto filled = ranges.first(std::min(count, ranges.size()));
  std::sort(filled.begin(), filled.end(), [](const AbortedRange& a, const AbortedRange& b) {
    return a.first_offset < b.first_offset;
  });
  return count;
}

void TransactionTable::trim_front(std::int64_t offset) {
  aborted_.erase(aborted_.begin(),
                 std::lower_bound(aborted_.begin(), aborted_.end(), offset, ends_before));
}

void TransactionTable::restore(const std::vector<AbortedTransaction>& aborted) {
  undecided_.clear();
  aborted_.clear();
  first_undecided_ = INT64_MAX;
  for (const AbortedTransaction& transaction : aborted) {
    const bool is_range = transaction.first_offset >= 0 &&
                          transaction.first_offset < transaction.last_offset &&
                          transaction.stable_end <= transaction.last_offset + 1;
    const bool grows = aborted_.empty() || (transaction.last_offset > aborted_.back().last_offset &&
                                            transaction.stable_end >= aborted_.back().stable_end);
    if (is_range && grows) aborted_.push_back(transaction);
  }
}

}  // namespace tailrace::log
