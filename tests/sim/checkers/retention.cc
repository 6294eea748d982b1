#include "checkers/retention.h"

namespace tailrace::sim {

void RetentionChecker::on_log_start(std::uint32_t partition, std::int64_t log_start,
                                    std::int64_t wall_ms) {
  PartitionHistory& p = history_.partitions[partition];
  if (history_.topic_of(p).deleting || log_start <= p.log_start_seen) return;
  p.log_start_seen = log_start;
  if (log_start <= p.delete_records_to) return;
  if (age_allows(p, log_start, wall_ms) || size_allows(p, log_start)) return;
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

// Everything that went, as far as it is known, was old enough.
bool RetentionChecker::age_allows(const PartitionHistory& p, std::int64_t log_start,
                                  std::int64_t wall_ms) const {
  const std::int64_t retention_ms = history_.topic_of(p).retention_ms_least;
  if (retention_ms == INT64_MAX) return false;
  for (std::int64_t at = p.delete_records_to; at < log_start; ++at) {
    if (static_cast<std::size_t>(at) >= p.known.size()) break;
    const std::int64_t number = p.known[static_cast<std::size_t>(at)];
    if (number < 0) continue;
    const SentRecord& record = history_.records[static_cast<std::size_t>(number)];
    if (record.timestamp_ms + retention_ms >= wall_ms) return false;
  }
  return true;
}

// What may remain (all that was ever sent, less what is known to lie before the start) is enough.
bool RetentionChecker::size_allows(const PartitionHistory& p, std::int64_t log_start) const {
  const std::int64_t retention_bytes = history_.topic_of(p).retention_bytes_least;
  if (retention_bytes == INT64_MAX) return false;
  std::uint64_t gone = 0;
  for (std::int64_t at = 0; at < log_start; ++at) {
    if (static_cast<std::size_t>(at) >= p.known.size()) break;
    const std::int64_t number = p.known[static_cast<std::size_t>(at)];
    if (number >= 0) gone += history_.records[static_cast<std::size_t>(number)].batch_bytes;
  }
  return gone <= p.sent_bytes &&
         p.sent_bytes - gone >= static_cast<std::uint64_t>(retention_bytes);
}

}  // namespace tailrace::sim
