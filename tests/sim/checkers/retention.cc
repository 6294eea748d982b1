#include "checkers/retention.h"

#include <algorithm>

namespace tailrace::sim {

void RetentionChecker::on_log_start(std::uint32_t partition, std::int64_t log_start,
                                    std::int64_t wall_ms) {
  PartitionHistory& p = history_.partitions[partition];
  if (history_.topic_of(p).deleting || log_start <= p.log_start_seen) return;
  p.log_start_seen = log_start;
  // A part may have gone by size, and what came behind it by age.
  const std::int64_t from = std::max(p.delete_records_to, size_allows(p, log_start));
  if (from >= log_start || age_allows(p, from, log_start, wall_ms)) return;
  verdicts_.broken("retention_keeps",
                   "{}: the log starts at {}; DeleteRecords asked for {}, and neither age nor size "
                   "allows it (retention.ms {}, retention.bytes {}, {} bytes sent)",
                   history_.name_of(partition), log_start, p.delete_records_to,
                   history_.topic_of(p).retention_ms_least,
                   history_.topic_of(p).retention_bytes_least, p.sent_bytes);
}

void RetentionChecker::on_final(std::uint32_t partition, std::int64_t log_start,
                                std::int64_t wall_ms) {
  on_log_start(partition, log_start, wall_ms);
  const PartitionHistory& p = history_.partitions[partition];
  if (history_.topic_of(p).deleting || log_start >= p.delete_records_acked) return;
  verdicts_.broken("delete_records_stay", "{}: deleted up to {}, but the log starts at {}",
                   history_.name_of(partition), p.delete_records_acked, log_start);
}

// Everything in [from, log_start), as far as it is known, was old enough.
bool RetentionChecker::age_allows(const PartitionHistory& p, std::int64_t from,
                                  std::int64_t log_start, std::int64_t wall_ms) const {
  const std::int64_t retention_ms = history_.topic_of(p).retention_ms_least;
  if (retention_ms == INT64_MAX) return false;
  for (std::int64_t at = from; at < log_start; ++at) {
    const SentRecord* record = record_at(p, at);
    if (record != nullptr && record->timestamp_ms + retention_ms >= wall_ms) return false;
  }
  return true;
}

// What may remain (all that was ever sent, less what is known to lie before the start) must be
// enough.
std::int64_t RetentionChecker::size_allows(const PartitionHistory& p,
                                           std::int64_t log_start) const {
  const std::int64_t retention_bytes = history_.topic_of(p).retention_bytes_least;
  std::uint64_t left = p.sent_bytes;
  for (std::int64_t at = 0; at < log_start; ++at) {
    const SentRecord* record = record_at(p, at);
    const std::uint64_t gone = record == nullptr ? 0 : record->batch_bytes;
    if (left < static_cast<std::uint64_t>(retention_bytes) + gone) return at;
    left -= gone;
  }
  return log_start;
}

const SentRecord* RetentionChecker::record_at(const PartitionHistory& p, std::int64_t at) const {
  const auto index = static_cast<std::size_t>(at);
  if (index >= p.known.size() || p.known[index] < 0) return nullptr;
  return &history_.records[static_cast<std::size_t>(p.known[index])];
}

}  // namespace tailrace::sim
