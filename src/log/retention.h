// Retention: which old segments of a partition may go. Pure arithmetic, as Kafka has it: whole
// segments from the front, by size and by age of the newest record; of the active one only the
// records, by age.
#pragma once

#include <cstdint>
#include <span>

#include "log/segment.h"

namespace tailrace::log {

struct RetentionRule {
  bool delete_policy = true;
  std::int64_t retention_ms = -1;     // -1: for ever
  std::int64_t retention_bytes = -1;  // -1: no limit
};

// How many segments from the front may be deleted. A segment goes by size only if what remains
// (the whole log, its active segment included) is still at least retention_bytes; by age when
// its max_timestamp is more than retention_ms before wall_ms. Segments wholly below log_start
// (DeleteRecords) always may.
std::size_t segments_to_delete(std::span<const SegmentInfo> segments, std::int64_t log_start,
                               const RetentionRule& rule, std::int64_t wall_ms);

// Whether the records of the active segment may go as well, when so many segments before it are
// `deleted`: nothing was written for longer than retention_ms.
bool active_has_expired(std::span<const SegmentInfo> segments, std::size_t deleted,
                        const RetentionRule& rule, std::int64_t wall_ms);

// Whether the active segment should be closed before a batch of `batch_bytes` is appended:
// size, age (segment_ms since its first append), or a position that would not fit 31 bits.
bool should_roll(const SegmentInfo& active, std::size_t batch_bytes, std::int64_t segment_bytes,
                 std::int64_t segment_ms, std::int64_t wall_ms);

}  // namespace tailrace::log
