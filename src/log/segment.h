// Segments: a partition's records as dense RecordBatch bytes in files named by their first offset.
// A segment's length comes from the checkpoint and the WAL, never from scanning the file: what
// lies behind may be old batches with valid CRCs.
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
  friend bool operator==(const SegmentInfo&, const SegmentInfo&) = default;
};

// "topics/<topic id, 22 characters>/<partition>-<incarnation>"
FileName partition_directory(const PartitionKey& key);
FileName topic_directory(const Uuid& topic);
// ".../<base offset, 20 digits>.log" and ".index"
FileName segment_path(const PartitionKey& key, std::int64_t base_offset);
FileName index_path(const PartitionKey& key, std::int64_t base_offset);
// The base offset in the last part of a path; -1 when it is no segment's.
std::int64_t base_offset_of_path(std::string_view path);

}  // namespace tailrace::log
