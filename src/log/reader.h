// Reader: cold reads. Finds a batch in a segment by offset or by timestamp and reads whole batches
// from there into a registered buffer, O_DIRECT. Index files are loaded when first needed and kept
// while there is room.
//
//   waiting for a buffer -> opening -> loading the index -> reading -> done
//                                                  ^___________| (the target lies further on)
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "log/file_table.h"
#include "log/index.h"
#include "log/limits.h"
#include "log/segment.h"

namespace tailrace::log {

class Reader {
 public:
  // `memory`: limits.read_buffer_count buffers of limits.read_bytes(), 4 KiB-aligned.
  Reader(const Limits& limits, MutableBytes memory, FileTable& files, OpQueue& queue);

  struct Request {
    PartitionKey key;
    SegmentInfo segment;           // its size_bytes bounds the read: bytes behind are not records
    const Index* index = nullptr;  // of the active segment, in memory, else null. Used at start()
    // By offset: batches from the one that holds it. By timestamp (offset < 0): the first batch
    // with max_timestamp >= timestamp.
    std::int64_t offset = -1;
    std::int64_t timestamp = -1;
    // At least one whole batch is returned, then no more than bytes_max.
    std::uint32_t bytes_max = 0;
    std::int64_t offset_end = INT64_MAX;  // no batch that ends behind it
    std::uint64_t word = 0;               // the caller's
  };
  // Errors: full (reads_max are under way).
  Result<std::uint32_t> start(const Request& request);

  struct Done {
    std::uint32_t job = 0;
    std::uint64_t word = 0;
    // Errors: io, corrupt (the bytes at a place the checkpoint vouches for are no valid batch),
    // not_found (no batch has such a timestamp).
    Result<Bytes> batches = Bytes{};  // whole batches; valid until release(job)
  };
  std::size_t take_done(std::span<Done> done);
  // Also cancels a job that is not done: its Done will not be handed out.
  void release(std::uint32_t job);

  void step();
  void on_disk_done(const DiskDone& done);  // Asker::reader
  bool idle() const;
  // Indexes of segments of `key` are forgotten (truncated or deleted).
  void forget(const PartitionKey& key);

  struct Counters {
    std::uint64_t reads = 0;
    std::uint64_t bytes = 0;
    std::uint64_t index_loads = 0;
  };
  const Counters& counters() const;
};

}  // namespace tailrace::log
