// The rules are those of Kafka's UnifiedLog (deleteLogStartOffsetBreachedSegments,
// deleteRetentionSizeBreachedSegments, deleteRetentionMsBreachedSegments), in that order. Where
// Kafka rolls an active segment whose records are all too old and deletes it at once, only its
// records go here; the file goes when the next record has begun another.
#include "log/retention.h"

#include "base/assert.h"

namespace tailrace::log {

namespace {

bool is_too_old(const SegmentInfo& segment, std::int64_t retention_ms, std::int64_t wall_ms) {
  // Records without a timestamp are as old as their file.
  const std::int64_t newest =
      segment.max_timestamp >= 0 ? segment.max_timestamp : segment.created_ms;
  std::int64_t age_ms = 0;
  // A timestamp is the client's: it may be anything.
  if (__builtin_sub_overflow(wall_ms, newest, &age_ms)) return false;
  return age_ms > retention_ms;
}

}  // namespace

std::size_t segments_to_delete(std::span<const SegmentInfo> segments, std::int64_t log_start,
                               const RetentionRule& rule, std::int64_t wall_ms) {
  if (segments.empty()) return 0;
  const std::size_t count_max = segments.size() - 1;
  std::size_t count = 0;
  while (count < count_max && segments[count].end_offset <= log_start) ++count;
  if (!rule.delete_policy) return count;

  if (rule.retention_bytes >= 0) {
    const auto retention_bytes = static_cast<std::uint64_t>(rule.retention_bytes);
    std::uint64_t log_bytes = 0;
    for (const SegmentInfo& segment : segments.subspan(count)) log_bytes += segment.size_bytes;
    while (count < count_max && log_bytes >= retention_bytes &&
           log_bytes - retention_bytes >= segments[count].size_bytes) {
      log_bytes -= segments[count].size_bytes;
      ++count;
    }
  }
  if (rule.retention_ms >= 0) {
    while (count < count_max && is_too_old(segments[count], rule.retention_ms, wall_ms)) ++count;
  }
  TR_ASSERT(count < segments.size());
  return count;
}

bool active_has_expired(std::span<const SegmentInfo> segments, std::size_t deleted,
                        const RetentionRule& rule, std::int64_t wall_ms) {
  if (segments.empty() || deleted + 1 < segments.size()) return false;
  const SegmentInfo& active = segments.back();
  return rule.delete_policy && rule.retention_ms >= 0 && active.size_bytes > 0 &&
         is_too_old(active, rule.retention_ms, wall_ms);
}

bool should_roll(const SegmentInfo& active, std::size_t batch_bytes, std::int64_t segment_bytes,
                 std::int64_t segment_ms, std::int64_t wall_ms) {
  TR_ASSERT(batch_bytes > 0);
  TR_ASSERT(segment_bytes > 0);
  if (active.size_bytes == 0) return false;  // However large a batch is, it has to go somewhere.

  const std::uint64_t size_after = active.size_bytes + batch_bytes;
  if (size_after > static_cast<std::uint64_t>(segment_bytes)) return true;
  if (size_after > INT32_MAX) return true;
  // Kafka's index counts offsets in 31 bits from the segment's base; a copy of ours should fit.
  if (active.end_offset - active.base_offset > INT32_MAX) return true;
  return wall_ms - active.created_ms > segment_ms;
}

}  // namespace tailrace::log
