// PartitionLog: one partition's records as a core sees them: segments behind, recent batches in
// memory before them, and four positions.
//
//   log_start ......... in segment files .........|..... in memory only .....|
//                                              written        durable_end   staged_end
//
// CoreLog decides what happens to a partition; this class keeps its books.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/growing_ring.h"
#include "base/slab.h"
#include "base/time.h"
#include "log/checkpoint.h"
#include "log/chunk_cache.h"
#include "log/clean_passes.h"
#include "log/epoch_table.h"
#include "log/index.h"
#include "log/limits.h"
#include "log/producer_table.h"
#include "log/retention.h"
#include "log/segment.h"
#include "log/transaction_table.h"
#include "record/batch_check.h"

namespace tailrace::log {

// cleanup.policy=compact: of all records with a key only the newest stays.
struct CompactionRule {
  bool compacts = false;
  double dirty_ratio_min = 0.5;                 // of the bytes, uncompacted ones
  std::int64_t lag_ms_min = 0;
  std::int64_t lag_ms_max = INT64_MAX;          // compacts below dirty_ratio_min, too
  std::int64_t delete_retention_ms = 86'400'000;  // tombstones stay so long
};

// What a topic's configs say to the log.
struct PartitionConfig {
  RetentionRule retention;
  CompactionRule compaction;
  std::int64_t segment_bytes = std::int64_t{1} << 30;
  std::int64_t segment_ms = 604'800'000;
  std::int64_t batch_bytes_max = 1'048'588;
  record::BatchRules rules;
};

// A batch whose bytes may still be in a chunk.
struct CachedBatch {
  std::int64_t base_offset = 0;
  std::int64_t end_offset = 0;     // exclusive
  std::int64_t max_timestamp = -1;
  std::int64_t segment_base = 0;
  std::uint64_t seq = 0;           // of its WAL frame
  ChunkId chunk;
  std::uint32_t chunk_pos = 0;
  std::uint32_t segment_pos = 0;
  std::uint32_t bytes = 0;
};

// A place in a partition's segments: bytes before it.
struct SegmentPlace {
  std::int64_t base_offset = 0;
  std::uint64_t bytes = 0;
  friend auto operator<=>(const SegmentPlace&, const SegmentPlace&) = default;
};

class PartitionLog {
 public:
  // An empty log, or what a checkpoint says of one.
  PartitionLog(const PartitionKey& key, const Limits& limits);
  PartitionLog(const PartitionCheckpoint& checkpoint, const Limits& limits);

  const PartitionKey& key() const { return key_; }
  const PartitionConfig& config() const { return config_; }
  std::int64_t log_start() const { return log_start_; }
  // The frame that tells it: as durable as that is.
  std::uint64_t log_start_seq() const { return log_start_seq_; }
  std::int64_t durable_end() const { return durable_end_; }  // exclusive; survives a crash
  std::int64_t staged_end() const { return staged_end_; }    // the next offset to be given
  std::uint64_t size_bytes() const { return size_bytes_; }   // of all segments
  const EpochTable& epochs() const { return epochs_; }
  const ProducerTable& producers() const { return producers_; }
  const TransactionTable& transactions() const { return transactions_; }
  // Kafka's last stable offset: readers of committed records get no further. What lies before it
  // is durable, and so is the end of every transaction that it is part of.
  std::int64_t stable_end() const {
    const std::int64_t first = std::min(producers_.first_open(), transactions_.first_undecided());
    return std::max(log_start_, std::min(durable_end_, first));
  }
  const std::vector<SegmentInfo>& segments() const { return segments_; }
  const CleanPasses& clean_passes() const { return clean_passes_; }
  // The largest timestamp at or behind log_start and the offset of a record that has it.
  record::FoundRecord max_timestamp() const;

  // All of it, staged batches included.
  PartitionCheckpoint checkpoint() const;

 private:
  friend class Compactor;
  friend class CoreLog;
  friend class CoreReads;
  friend class Flusher;

  struct Tail {
    // The last bytes that the segment file has, back to the block's start; they are written again
    // together with what follows. Valid when `place` is not on a block boundary.
    SegmentPlace place;
    std::unique_ptr<AlignedBuffer> block;  // made when first needed
  };

  SegmentInfo& active() { return segments_.back(); }
  SegmentPlace staged_place() const {
    return segments_.empty() ? SegmentPlace{staged_end_, 0}
                             : SegmentPlace{segments_.back().base_offset,
                                            segments_.back().size_bytes};
  }
  const SegmentInfo* find_segment(std::int64_t offset) const;
  bool is_active(std::int64_t segment_base) const {
    return !segments_.empty() && segments_.back().base_offset == segment_base;
  }
  // Begins a new segment at staged_end.
  void roll(std::int64_t wall_ms, std::uint32_t index_interval_bytes);
  // Books a batch at the end. `view`: as it lies in the chunk, with its offset.
  void on_batch(const CachedBatch& batch, const record::BatchView& view,
                std::int64_t max_timestamp_offset, std::int64_t wall_ms);
  void on_producer_batch(const record::BatchView& view, std::int64_t wall_ms);
  void set_log_start(std::int64_t offset);
  void set_durable_end(std::int64_t offset) {
    durable_end_ = offset;
    transactions_.on_durable(offset);
  }

  // How many segments lie wholly before `offset`; never the last, which is appended to.
  std::size_t segments_before(std::int64_t offset) const;
  // How many of the first `count` may go: nothing of them waits to be written or to be durable.
  std::size_t removable(std::size_t count) const;
  // Forgets the oldest segments; the caller deletes their files.
  void drop_segments(std::size_t count);
  // `made` is in place of `count` segments from `first` on, and covers the same offsets. What of
  // them lies in memory is forgotten: it holds what is to be gone.
  void replace_segments(std::size_t first, std::size_t count, const SegmentInfo& made);

  // The index in batches_ of the first batch that reaches beyond `place`.
  std::size_t first_beyond(const SegmentPlace& place) const;
  // Copies bytes [from, from + to.size()) of segment `base` out of tail and chunks, which have
  // them: the caller asks only for bytes at or behind the written block.
  void gather(std::int64_t base, std::uint64_t from, MutableBytes to, ChunkCache& cache) const;
  void keep_tail(const SegmentPlace& place, Bytes block);
  // The last block was logged because it would be rewritten; a crash may have torn it since. It is
  // taken for unwritten until it was written again, and that is before anybody reads.
  void replay_tail(const SegmentPlace& place, Bytes block);
  bool is_torn() const {
    return tail_.place.base_offset == written_.base_offset && written_ < tail_.place;
  }
  bool tail_known() const {
    return staged_place().bytes % disk_block_bytes == 0 || !tail_unknown_;
  }

  // How far the segment that is being written is durable; looks no further than the first batch
  // that ends at `bytes_enough` or behind it. `frames_durable`: see CommitLog::durable_seq.
  std::uint64_t durable_bytes_in(std::int64_t segment_base, std::uint64_t frames_durable,
                                 std::uint64_t bytes_enough) const;
  // Bytes up to `place` are in the file: batches wholly before it are clean now.
  void on_written(const SegmentPlace& place, ChunkCache& cache);
  bool has_unwritten() const { return batches_first_ + batches_.size() > first_unwritten_; }

  // Drops books of batches whose chunk is gone (or, if `clean_too`, of clean ones as well);
  // returns how many were dropped.
  std::size_t drop_cached(const ChunkCache& cache, bool clean_too);
  PartitionKey key_;
  Handle<PartitionLog> id_;            // in CoreLog's slab
  PartitionConfig config_;
  std::int64_t log_start_ = 0;
  std::uint64_t log_start_seq_ = 0;
  std::int64_t durable_end_ = 0;
  std::int64_t staged_end_ = 0;
  std::vector<SegmentInfo> segments_;  // by base offset; the last is appended to
  std::uint64_t size_bytes_ = 0;       // of segments_
  Index index_;                        // of the last
  EpochTable epochs_;
  ProducerTable producers_;
  TransactionTable transactions_;
  CleanPasses clean_passes_;
  std::int64_t cut_end_ = 0;           // staged_end at the cut of the checkpoint under way
  std::int64_t checkpointed_end_ = 0;  // and of the newest that is written: all synced before it
  Instant compact_again_at_;           // after an error
  std::int64_t markers_go_ms_ = INT64_MAX;  // wall clock: all that wait to go may by then
  std::uint32_t generation_next_ = 1;  // of what a compaction makes; never one that was in use

  GrowingRing<CachedBatch> batches_;   // by offset, up to staged_end without a gap
  std::uint64_t batches_first_ = 0;    // number of batches_[0], counted since start
  std::uint64_t first_unwritten_ = 0;  // number of the first batch not wholly in its file
  SegmentPlace written_;
  Tail tail_;
  bool tail_unknown_ = false;          // after a restart, until the block was read back
  bool tail_loading_ = false;
  bool roll_next_ = false;             // the next batch begins a new segment
  std::uint64_t tail_logged_in_ = 0;   // the checkpoint cycle in which the tail was last logged
  std::uint64_t unwritten_durable_bytes_ = 0;

  SegmentPlace flush_until_;           // what the checkpoint under way waits for
  std::vector<std::int64_t> unsynced_; // segments written to since they were synced
  std::size_t indexed_entries_ = 0;    // of index_, in its file
  std::uint32_t jobs_ = 0;             // segment jobs and tail loads under way
  std::uint32_t reads_ = 0;            // reads that are not done
  bool queued_ = false;                // in the flusher's queue
  bool advanced_ = false;              // in CoreLog's list
  bool removing_ = false;
};

}  // namespace tailrace::log
