#include "log/epoch_table.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::log {

void EpochTable::on_batch(std::int32_t epoch, std::int64_t offset) {
  if (epoch < 0) return;  // Written before there were epochs.
  if (!entries_.empty()) {
    TR_ASSERT(epoch >= entries_.back().epoch);
    TR_ASSERT(offset >= entries_.back().start_offset);
    if (epoch == entries_.back().epoch) return;
    // Nothing was appended in that epoch after all (what it had was truncated).
    if (offset == entries_.back().start_offset) entries_.pop_back();
  }
  entries_.push_back({epoch, offset});
}

EpochTable::End EpochTable::end_of(std::int32_t epoch, std::int64_t log_end) const {
  if (entries_.empty() || epoch < 0) return {};
  const auto higher = std::upper_bound(
      entries_.begin(), entries_.end(), epoch,
      [](std::int32_t wanted, const EpochStart& entry) { return wanted < entry.epoch; });
  if (higher == entries_.end()) return {entries_.back().epoch, log_end};
  // Older than all that retention has left: whatever it had ends where the oldest known starts.
  if (higher == entries_.begin()) return {epoch, higher->start_offset};
  return {std::prev(higher)->epoch, higher->start_offset};
}

std::int32_t EpochTable::epoch_at(std::int64_t offset) const {
  const auto behind = std::upper_bound(
      entries_.begin(), entries_.end(), offset,
      [](std::int64_t wanted, const EpochStart& entry) { return wanted < entry.start_offset; });
  return behind == entries_.begin() ? -1 : std::prev(behind)->epoch;
}

std::int32_t EpochTable::newest() const { return entries_.empty() ? -1 : entries_.back().epoch; }

void EpochTable::trim_front(std::int64_t log_start) {
  const auto behind = std::upper_bound(
      entries_.begin(), entries_.end(), log_start,
      [](std::int64_t wanted, const EpochStart& entry) { return wanted < entry.start_offset; });
  if (behind == entries_.begin()) return;
  entries_.erase(entries_.begin(), std::prev(behind));
  entries_.front().start_offset = log_start;
}

void EpochTable::truncate(std::int64_t end_offset) {
  while (!entries_.empty() && entries_.back().start_offset >= end_offset) entries_.pop_back();
}

void EpochTable::restore(std::vector<EpochStart> entries) {
  entries_.clear();
  for (const EpochStart& entry : entries) {
    if (entry.epoch < 0) continue;
    const bool grows = entries_.empty() || (entry.epoch > entries_.back().epoch &&
                                            entry.start_offset > entries_.back().start_offset);
    if (grows) entries_.push_back(entry);
  }
}

}  // namespace tailrace::log
