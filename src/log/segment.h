// Segments: a partition's records as dense RecordBatch bytes in files named by their first offset.
// A segment's length comes from the checkpoint and the WAL, never from scanning the file: what
// lies behind may be old batches with valid CRCs.
//
// Compaction makes new files in place of old ones. Each has a generation in its name, and the
// checkpoint says which one is in force: so a swap is as atomic as a checkpoint is, and nothing is
// ever renamed.
#pragma once

#include <cstdint>
#include <string>

#include "base/ops.h"
#include "log/partition_key.h"

namespace tailrace::log {

struct SegmentInfo {
  std::int64_t base_offset = 0;
  std::int64_t end_offset = 0;      // exclusive
  std::uint64_t size_bytes = 0;
  std::int64_t max_timestamp = -1;
  std::int64_t max_timestamp_offset = -1;  // of the batch's last record with it
  std::int64_t created_ms = 0;      // wall clock of its first append
  // 0: as it was appended; else made by a compaction, and never appended to.
  std::uint32_t generation = 0;
  // Only in what compaction has made may offsets be missing, also at the front and at the end.
  bool may_have_gaps() const { return generation > 0; }
  friend bool operator==(const SegmentInfo&, const SegmentInfo&) = default;
};

// "topics/<topic id, 22 characters>/<partition>-<incarnation>"
FileName partition_directory(const PartitionKey& key);
FileName topic_directory(const Uuid& topic);
// ".../<base offset, 20 digits>.log" and ".index"; "...-<generation>.log" above generation 0
FileName segment_path(const PartitionKey& key, std::int64_t base_offset,
                      std::uint32_t generation = 0);
FileName index_path(const PartitionKey& key, std::int64_t base_offset,
                    std::uint32_t generation = 0);
inline FileName segment_path(const PartitionKey& key, const SegmentInfo& segment) {
  return segment_path(key, segment.base_offset, segment.generation);
}
inline FileName index_path(const PartitionKey& key, const SegmentInfo& segment) {
  return index_path(key, segment.base_offset, segment.generation);
}
// What the last part of a path says; a base offset of -1 when it is no segment's.
struct SegmentName {
  std::int64_t base_offset = -1;
  std::uint32_t generation = 0;
};
SegmentName segment_name_of_path(std::string_view path);
std::int64_t base_offset_of_path(std::string_view path);

}  // namespace tailrace::log
