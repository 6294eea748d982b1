// CoreLog: all logs of one core: the WAL in front, the segments behind, the memory between them.
// Logic without I/O: events and the time go in, disk operations come out through ops().
//
//   append -> staged in the open frame (the only copy) -> WAL durable -> take_advanced()
//          -> gathered into segment blocks (Flusher) -> checkpoint -> the WAL is trimmed
//
// Read first: commit_log.h (the WAL), flusher.h (segments and checkpoints), core_reads.h.
#pragma once

#include <unordered_map>
#include <vector>

#include "base/counter.h"
#include "base/growing_ring.h"
#include "base/slab.h"
#include "log/compactor.h"
#include "log/core_reads.h"
#include "log/flusher.h"
#include "log/partition_log.h"

namespace tailrace::log {

struct AppendRequest {
  Bytes batch;                   // exactly one RecordBatch; may die at return
  std::int32_t leader_epoch = 0;
  // The coordinator's are markers (control batches), and batches without sequences.
  record::BatchOrigin origin = record::BatchOrigin::client;
  std::int8_t transaction_version = 0;  // of a marker: that of the transaction which it ends
  // Of a client's transactional batch: its producer has a new epoch in each transaction; the
  // coordinator was asked for it, after `guard` was taken (ProducerTable).
  bool epoch_per_transaction = false;
  bool is_verified = false;
  std::uint64_t guard = 0;
};
struct Appended {
  std::int64_t base_offset = -1;
  // The append (or, for a duplicate, the original) is acknowledged once durable_end reaches this.
  std::int64_t end_offset = -1;
  std::int64_t log_append_time_ms = -1;  // -1 with CreateTime
  bool duplicate = false;
};

class CoreLog {
 public:
  // `memory`: memory_bytes(limits) bytes, 4 KiB-aligned, outlives the object.
  CoreLog(const Limits& limits, MutableBytes memory);
  static std::size_t memory_bytes(const Limits& limits);

  // --- partitions
  // A new, empty one. Errors: full (partitions_max), already_exists.
  Result<PartitionLog*> create(const PartitionKey& key, const PartitionConfig& config, Now now);
  PartitionLog* find(const PartitionKey& key);
  std::vector<PartitionLog*> partitions();  // all that are not being removed
  void set_config(PartitionLog& partition, const PartitionConfig& config);
  // Reads of it end with not_found; then the object goes and its files are removed, also on a
  // full disk. The reference is dead at return.
  void remove(PartitionLog& partition);

  // --- appending
  // Errors: full (normal under load: offer it again after a step), no_space (the disk is nearly
  // full), fenced, too_large, and what record::BatchChecker and ProducerTable find. Of a
  // transactional batch: wrong_transaction (it finds no open transaction and was not verified, or
  // a marker has come since), over_limit (transactions_max).
  Result<Appended> append(PartitionLog& partition, const AppendRequest& request, Now now);
  // A transactional batch that waits for its verification (ProducerTable::expect).
  void expect(PartitionLog& partition, const record::BatchHeader& batch) {
    partition.producers_.expect(batch);
  }
  // DeleteRecords: log_start moves at once, durably when durable_seq() reaches the result.
  // `offset` lies in [log_start, durable_end]. Errors: full, fenced, out_of_range.
  Result<std::uint64_t> advance_log_start(PartitionLog& partition, std::int64_t offset, Now now);
  std::uint64_t durable_seq() const { return commit_.durable_seq(); }

  // --- reading (core_reads.h)
  // Done at once when the bytes are in memory; else take_reads_done() will name it.
  // Errors: full (limits.reads_max), out_of_range.
  Result<ReadId> read(PartitionLog& partition, const ReadRequest& request);
  // The first record at or after `timestamp` in [log_start, durable_end).
  Result<ReadId> find_timestamp(PartitionLog& partition, std::int64_t timestamp,
                                std::uint64_t word);
  const Read& get(ReadId id) const { return reads_.get(id); }
  void release_read(ReadId id) { reads_.release(id); }  // also cancels

  // --- what happened (these fill the span from the front and return how many)
  std::size_t take_advanced(std::span<PartitionLog*> partitions);  // durable_end or log_start moved
  std::size_t take_reads_done(std::span<ReadId> reads) { return reads_.take_done(reads); }

  // --- the turn
  void on_disk_done(const DiskDone& done, Now now);
  void step(Now now);  // seals frames, writes segments, checkpoints, retention
  std::span<const DiskOp> ops(DiskClass disk_class) const { return queue_.ops(disk_class); }
  void ops_taken(DiskClass disk_class, std::size_t count) { queue_.taken(disk_class, count); }
  Instant next_deadline() const;
  void set_usable_bytes(std::uint64_t bytes) { usable_bytes_ = bytes; }  // of the file system
  std::uint64_t usable_bytes() const { return usable_bytes_; }
  // Appends are refused with no_space.
  bool refuses_for_space() const {
    return usable_bytes_ < limits_.free_bytes_min || flusher_.out_of_space();
  }

  // --- the end
  // Appends are refused (fenced) from now on; everything goes into segments; a last checkpoint;
  // files closed. stopped() when that is done or cannot be.
  void begin_stop() { stopping_ = true; }
  bool stopped() const;
  bool fenced() const { return commit_.failed() || flusher_.failed() || wal_.failed; }

  // Readable from any thread.
  struct Counters {
    Counter appends;
    Counter append_bytes;
    Counter frames;
    Counter wal_bytes;         // with padding
    Counter syncs;
    Counter segment_bytes;
    Counter checkpoints;
    Counter hot_reads;
    Counter cold_reads;
    Counter compactions;       // passes that came to their end
    Counter compaction_failures;
    Counter compaction_read_bytes;
    Counter compaction_written_bytes;
    Counter compaction_records_dropped;
    Gauge compaction_dirty_bytes;  // of compacted partitions, that no pass has seen
    Gauge dirty_bytes;         // in memory and not in a segment
    Gauge replay_bytes;        // what a restart would read
    Gauge partitions;
    Gauge open_files;
    Gauge usable_bytes;        // of the file system, as far as known
    Gauge refuses_for_space;   // 1: appends are refused with no_space
  };
  const Counters& counters() const { return counters_; }
  Compactor& compactor() { return compactor_; }

 private:
  friend class WalRecovery;
  friend class Boot;
  using PartitionId = Handle<PartitionLog>;
  // A batch on its way to the WAL.
  struct Pending {
    std::uint64_t seq = 0;
    PartitionId partition;
    std::int64_t end_offset = 0;
    std::uint64_t bytes = 0;
  };

  // --- for Boot: a log as a checkpoint has it, the WAL entries behind it one by one, then attach.
  void restore(const Checkpoint& checkpoint);
  // False: no memory now; step and try again. Errors: malformed (the entry contradicts the log).
  Result<bool> replay(const Entry& entry, Bytes payload, Now now);
  // Makes memory clean, so that replay can go on.
  void step_replay(Now now) { flusher_.step_writes(now); }
  // True once nothing is under way and no segment file is open.
  bool settle(Now now);
  // The WAL at `path` (without its ending) is used from now on; `next`: where writing goes on.
  // It is opened at the first step, on whatever Disk the operations then go to.
  void attach(std::string_view path, const Uuid& wal, std::uint16_t life,
              std::uint64_t checkpoint_number, const WalMark& replay_from, const WalMark& next,
              Now now);

  Result<void> check_room(Now now) const;
  Result<void> log_tail(PartitionLog& partition);
  Result<Appended> stage(PartitionLog& partition, PartitionId id, Bytes batch,
                         const AppendRequest& request, Now now);
  struct Stamp;
  Stamp stamp_batch(PartitionLog& partition, MutableBytes batch,
                    const record::CheckedBatch& checked, const AppendRequest& request, Now now);
  Result<Appended> find_repeated(PartitionLog& partition, const record::BatchView& view,
                                 const AppendRequest& request);
  bool may_open_transaction();
  void note_producers(const PartitionLog& partition, std::size_t producers_before,
                      std::size_t open_before);
  void bound_producers();
  void book(PartitionLog& partition, PartitionId id, const CommitLog::Draft& draft, Bytes batch,
            const Stamp& stamp, bool rolls, Now now);
  void roll(PartitionLog& partition, Now now);
  Result<bool> replay_batch(PartitionLog& partition, PartitionId id, const Entry& entry,
                            Bytes payload, Now now);
  Result<bool> replay_log_start(PartitionLog& partition, std::int64_t offset);
  Result<bool> replay_tail(PartitionLog& partition, const Entry& entry, Bytes payload);
  void load_tail(PartitionLog& partition, PartitionId id);
  void step_tail_loads();
  void open_wal();
  void step_stop();
  void on_wal_done(const DiskDone& done);
  void advance_durable();
  void note_advanced(PartitionLog& partition, PartitionId id);
  // The log begins at `offset` from now on, durably when durable_seq() reaches the result.
  Result<std::uint64_t> move_log_start(PartitionLog& partition, std::int64_t offset);
  void apply_retention(PartitionLog& partition, Now now);
  void delete_segments(PartitionLog& partition, std::size_t count, std::uint64_t seq);
  void finish_removals();
  void remove_files_of(PartitionLog& partition, std::uint64_t seq);
  void check_clock(Now now);
  void make_cache_room();
  void mirror_counters();

  struct TailLoad {
    PartitionId partition;
    FileTable::Lease lease;
    bool reading = false;
    bool used = false;
    std::unique_ptr<AlignedBuffer> block;
  };
  static constexpr std::size_t tail_loads_max = 64;
  void on_tail_done(const DiskDone& done);
  void end_tail_load(TailLoad& load, bool succeeded);

  const Limits limits_;
  OpQueue queue_;
  ChunkCache cache_;
  CommitLog commit_;
  FileTable files_;
  SegmentWriter writer_;
  Reader reader_;
  record::BatchChecker checker_;
  Slab<PartitionLog> partitions_;
  std::unordered_map<PartitionKey, PartitionId> by_key_;
  Flusher flusher_;
  CoreReads reads_;
  Compactor compactor_;

  GrowingRing<Pending> pending_;            // by seq
  std::vector<PartitionId> advanced_;
  std::vector<PartitionId> removing_;
  std::vector<TailLoad> tail_loads_;
  std::size_t tail_loads_used_ = 0;
  std::size_t cached_batches_ = 0;          // an upper bound, made exact by make_cache_room()
  // Open and aborted ones: an upper bound, made exact by may_open_transaction().
  std::size_t transactions_ = 0;

  // The WAL while it is being opened.
  struct Wal {
    std::string path;
    Uuid id;
    std::uint16_t life = 0;
    WalMark replay_from;
    WalMark next;
    FileId file = no_file;
    bool asked = false;
    bool failed = false;
    bool closing = false;
    bool closed = false;
  };
  Wal wal_;

  // Where replay puts batches: chunks filled one after another.
  ChunkId replay_chunk_;
  std::uint32_t replay_chunk_pos_ = 0;

  std::uint64_t usable_bytes_ = UINT64_MAX;
  Instant retention_at_;
  bool stopping_ = false;
  Counters counters_;
};

}  // namespace tailrace::log
