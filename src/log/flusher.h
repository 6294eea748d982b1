// Flusher: brings durable bytes from memory into segments, off the ack path, and makes the
// checkpoints that let the WAL be trimmed.
//
//   idle --wanted--> cutting --cut--> flushing --all written--> syncing --all synced--> writing
//    ^                                                                                    |
//    |_______________________________________ written: the WAL is trimmed ________________|
//
// A checkpoint says what the log looks like at its cut, a place between two WAL frames: once
// everything staged before the cut is in synced segment files, replay may start there. Appends go
// on meanwhile. The cut begins a new cycle, and the first batch of a partition in a cycle is
// preceded in the WAL by the partition's partial last block (EntryKind::tail): that block will be
// rewritten, and replay no longer reaches the batches that were in it. (PostgreSQL's full-page
// writes solve the same problem in the same way.)
#pragma once

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "base/slab.h"
#include "base/time.h"
#include "log/checkpoint.h"
#include "log/index_writer.h"
#include "log/partition_log.h"
#include "log/remover.h"
#include "log/segment_writer.h"

namespace tailrace::log {

class Flusher {
 public:
  using Partitions = Slab<PartitionLog>;
  using PartitionId = Handle<PartitionLog>;

  struct Parts {
    Partitions& partitions;
    CommitLog& commit;
    ChunkCache& cache;
    FileTable& files;
    SegmentWriter& writer;
    OpQueue& queue;
  };
  // All parts outlive the object.
  Flusher(const Limits& limits, const Parts& parts);

  // Before the first step. `path`: of the WAL without its ending.
  void begin(std::string_view path, const Uuid& wal, std::uint64_t checkpoint_number,
             const WalMark& replay_from, Now now);

  // The partition has durable bytes enough to be written.
  void on_durable(PartitionId id);
  // A segment was closed: its index is stored some time later.
  void store_index(const FileName& path, Index index, std::uint64_t covered_bytes);
  // Files of deleted segments and partitions go, in this order, when WAL frame `seq` is durable.
  void remove_file(const FileName& path, std::uint64_t seq);
  void remove_directory(const FileName& path, std::uint64_t seq);
  // A file that the log names no more, but the newest checkpoint does: it goes once another one,
  // cut from now on, is written.
  void remove_replaced(const FileName& path) { replaced_.push_back({path, cycle_}); }
  // Those of a directory that will be removed go with the rest of it.
  void remove_all_replaced(const FileName& directory, std::uint64_t seq);

  // Makes a checkpoint as soon as it can, unless one is being made.
  void want_checkpoint() { wanted_ = wanted_ || phase_ == Phase::idle; }
  // Bytes a restart would have to replay.
  std::uint64_t replay_bytes() const { return commit_.bytes_since(replay_from_); }
  // Grows by one at each cut.
  std::uint64_t cycle() const { return cycle_; }
  const WalMark& replay_from() const { return replay_from_; }
  std::uint64_t checkpoint_number() const { return number_; }

  void step(Now now);
  // During replay, when memory is full: writes everything there is.
  void step_writes(Now now);
  // Behind replay: writes blocks again that a crash may have torn; true once that is done and
  // nothing is under way.
  bool settle(Now now);
  void on_disk_done(const DiskDone& done);  // Asker::checkpoint, index, remover
  Instant next_deadline() const;

  // A segment could not be written for want of space; it is tried again.
  bool out_of_space() const { return out_of_space_; }
  // A write or sync of a segment failed: nothing may be acknowledged any more.
  bool failed() const { return failed_; }
  // Nothing has been staged, and no segment replaced, since the last checkpoint's cut.
  bool checkpoint_clean() const;
  bool idle() const;              // no operation of the flusher under way

  struct Counters {
    std::uint64_t checkpoints = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t segment_writes = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  enum class Phase : std::uint8_t { idle, cutting, flushing, syncing, writing };
  struct Job {
    bool used = false;
    PartitionId partition;
    SegmentPlace to;               // what the file holds when it is done
    bool is_sync = false;
    std::array<std::byte, disk_block_bytes> tail;  // the last, partial block of what is written
  };
  struct PendingIndex {
    FileName path;
    Index index;
    std::uint64_t covered_bytes = 0;
  };
  struct PendingRemove {
    FileName path;
    bool is_directory = false;
    std::uint64_t seq = 0;
  };
  struct Replaced {
    FileName path;
    std::uint64_t cycle = 0;
  };

  void write_segments(Now now);
  // True when a job was started.
  bool start_write(PartitionLog& partition, PartitionId id);
  std::uint32_t take_job();
  void take_done(Now now);
  void on_write_done(PartitionLog& partition, PartitionId id, const Job& job);
  void step_checkpoint(Now now);
  bool cut(Now now);
  bool all_flushed();
  bool all_synced();
  void write_checkpoint();
  void finish_checkpoint(Now now);
  void store_indexes();
  void remove_files();
  void queue_partition(PartitionLog& partition, PartitionId id);
  bool reached(const PartitionLog& partition) const {
    return partition.written_ >= partition.flush_until_;
  }

  const Limits limits_;
  Partitions& partitions_;
  CommitLog& commit_;
  ChunkCache& cache_;
  FileTable& files_;
  SegmentWriter& writer_;
  CheckpointWriter checkpoint_writer_;
  IndexWriter index_writer_;
  Remover remover_;

  Phase phase_ = Phase::idle;
  bool wanted_ = false;
  std::uint64_t cycle_ = 1;
  std::string path_;
  std::uint64_t number_ = 0;         // of the newest checkpoint
  WalMark replay_from_;              // of it
  Checkpoint snapshot_;              // being made
  Instant checkpoint_at_;            // the next one by time
  std::vector<PartitionId> waiting_; // flushing: not yet written; syncing: not yet synced
  std::vector<Job> jobs_;
  std::size_t sync_jobs_ = 0;
  std::deque<PartitionId> write_queue_;
  std::deque<PendingIndex> indexes_;
  std::deque<PendingRemove> removes_;
  std::vector<Replaced> replaced_;
  std::size_t removals_before_cut_ = 0;
  Instant retry_at_;
  bool out_of_space_ = false;
  bool making_room_ = false;  // during replay
  bool failed_ = false;
  Counters counters_;
};

}  // namespace tailrace::log
