// PartitionLog: one partition's records as a core sees them: segments behind, recent batches in
// memory before them, and three ends.
//
//   log_start ............ in segments ......|.. in memory only ..|.. staged ..|
//                                      written_end           durable_end   staged_end
//
// CoreLog is the only one that changes it.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "log/chunk_cache.h"
#include "log/commit_log.h"
#include "log/epoch_table.h"
#include "log/index.h"
#include "log/producer_table.h"
#include "log/retention.h"
#include "log/segment.h"
#include "record/batch_check.h"

namespace tailrace::log {

// What a topic's configs say to the log.
struct PartitionConfig {
  RetentionRule retention;
  std::int64_t segment_bytes = std::int64_t{1} << 30;
  std::int64_t segment_ms = 604'800'000;
  std::int64_t batch_bytes_max = 1'048'588;
  record::BatchRules rules;
};
