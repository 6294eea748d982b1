// Reader: cold reads. Finds a batch in a segment by offset or by timestamp and reads whole batches
// from there into a registered buffer, O_DIRECT. Index files are loaded when first needed and kept
// while there is room.
//
//   queued -> finding the index -> opening the index -> loading the index -.
//   (FIFO, for a buffer)  |  (kept, or not needed)                          |
//                         '--> opening <------------------------------------'
//                                 |
//                              reading <-. the target lies further on, or the index was wrong
//                                 |______|
//                                 v
//                               done --release--> unused
//
// Whatever is released while the kernel may still write into its buffer stays as it is, marked
// cancelled, until the completion.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "log/file_table.h"
#include "log/index.h"
#include "log/limits.h"
#include "log/segment.h"
#include "record/batch_view.h"

namespace tailrace::log {

class Reader {
 public:
  // `memory`: limits.read_buffer_count buffers of limits.read_bytes(), 4 KiB-aligned.
  Reader(const Limits& limits, MutableBytes memory, FileTable& files, OpQueue& queue);

  struct Request {
    PartitionKey key;
    SegmentInfo segment;           // its size_bytes bounds the read: bytes behind are not records
    const Index* index = nullptr;  // of the active segment, in memory, else null. Used at start()
    // By offset: batches from the one that holds it, or the next one where compaction has left a
    // gap (empty: that one ends behind offset_end).
    // By timestamp (offset < 0): the same from the first batch with max_timestamp >= timestamp
    // that does not end before offset_start.
    std::int64_t offset = -1;
    std::int64_t timestamp = -1;
    std::int64_t offset_start = 0;
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
    // not_found (no batch has such a timestamp, or none is left at or behind the offset).
    Result<Bytes> batches = Bytes{};  // whole batches; valid until release(job)
  };
  std::size_t take_done(std::span<Done> done);
  // Also cancels a job that is not done: its Done will not be handed out.
  void release(std::uint32_t job);

  void step();
  void on_disk_done(const DiskDone& done);  // Asker::reader
  bool idle() const;  // no job, held ones included
  // Indexes of segments of `key` are forgotten (truncated or deleted).
  void forget(const PartitionKey& key);

  struct Counters {
    std::uint64_t reads = 0;
    std::uint64_t bytes = 0;
    std::uint64_t index_loads = 0;
  };
  const Counters& counters() const { return counters_; }

  // Bounds of the indexes kept.
  static constexpr std::size_t indexes_max = 64;
  static constexpr std::size_t index_bytes_max = std::size_t{16} << 20;

 private:
  static constexpr std::uint32_t no_index = UINT32_MAX;
  enum class Phase : std::uint8_t {
    unused, queued, finding_index, opening_index, loading_index, needs_file, opening, reading, done,
  };
  struct Job {
    Request request;
    Phase phase = Phase::unused;
    bool place_known = false;    // batch_pos is as good as an index can make it
    bool cancelled = false;
    bool forgotten = false;      // its index must not be kept
    bool taken = false;          // its Done was handed out
    bool read_most = false;      // a read from read_pos cannot bring more
    std::uint8_t read_count = 0; // since batch_pos was set by an index or to the front; at most 2
    std::uint32_t buffer = no_index;
    FileTable::Lease lease;
    std::uint64_t batch_pos = 0;      // of the next batch to look at
    std::int64_t expected_base = 0;   // its base offset
    bool from_index = false;          // only the index says that a batch starts there
    std::uint64_t read_pos = 0;       // of the buffer's front in the file
    std::uint32_t read_bytes = 0;
    std::uint64_t valid_end = 0;      // of what was read, in the file
    Result<Bytes> result = Bytes{};
  };
  struct KeptIndex {
    PartitionKey key;
    std::int64_t segment_base = 0;
    Index index;
    std::uint64_t covered_bytes = 0;
    std::uint64_t used = 0;      // grows; the smallest goes first
  };
  // A look at the batch at batch_pos. cut: what was read ends too early to tell.
  struct Look {
    enum class Kind : std::uint8_t { batch, cut, bad } kind = Kind::cut;
    record::BatchHeader header;
    Bytes bytes;                 // shorter than header.size_bytes() if cut behind the header
  };

  void advance(std::uint32_t id);
  void start_at_front(Job& job);
  void use_index(Job& job, const Index& index);
  void find_index(std::uint32_t id);
  void open_index(std::uint32_t id);
  void on_index_loaded(std::uint32_t id, std::int64_t result);
  void open_segment(std::uint32_t id);
  void begin_read(std::uint32_t id, std::uint64_t need_bytes);
  void on_read(std::uint32_t id, std::int64_t result);
  void walk(std::uint32_t id);
  Look look_at(const Job& job) const;
  void pass(Job& job, const record::BatchHeader& header, KeptIndex* kept);
  void collect(std::uint32_t id);
  void on_bad_batch(std::uint32_t id);
  Error corrupt(const Job& job) const;
  Error error_at_end(const Job& job) const;
  void finish(std::uint32_t id, Result<Bytes> result);
  void free_job(std::uint32_t id);
  void free_buffer(Job& job);
  void drop_lease(Job& job);
  MutableBytes buffer(std::uint32_t index) const;
  KeptIndex* kept_index(const PartitionKey& key, std::int64_t segment_base);
  void keep_index(const Job& job, Index index, std::uint64_t covered_bytes);
  void drop_index(const Job& job);

  Limits limits_;
  MutableBytes memory_;
  std::size_t buffer_bytes_;
  FileTable& files_;
  OpQueue& queue_;
  std::vector<Job> jobs_;
  std::vector<std::uint32_t> unused_jobs_;
  std::vector<std::uint32_t> queued_;      // oldest first
  std::vector<std::uint32_t> done_;        // oldest first
  std::vector<std::uint32_t> buffer_job_;  // who holds a buffer; no_index: nobody
  std::vector<KeptIndex> indexes_;
  std::uint64_t index_use_ = 0;
  Counters counters_;
};

}  // namespace tailrace::log
