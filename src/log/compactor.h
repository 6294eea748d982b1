// Compactor: of the records of a partition that have the same key, only the newest stays. One
// partition of the core at a time, in the background, at a bounded pace.
//
//   idle --a partition is dirty--> mapping --map full, or all read--> cleaning <-------.
//    ^                                                                  | file full    | more
//    |                                                                  v              |
//    |<------ the pass is recorded <---------- swapped <----------- finishing ---------'
//    '---- leaving <--- an error, the partition or its policy gone, its segments changed, stopping
//
// mapping: the newest offset of each key among the records that no pass has seen, as many keys as
// the memory for it holds; what is beyond is the next pass's. cleaning: all segments from the front
// up to there are written anew without the records that are not the newest of their key, several
// small ones into one. finishing: the file is synced, then takes the place of its segments.
//
// Only closed segments wholly below the newest checkpoint and the stable end are touched: they are
// synced, nobody writes them any more, and nothing in them can still be aborted.
//
// Crashes: the old files stay until a checkpoint that names the new one is written (flusher.h), and
// what no checkpoint names is swept at the next start. So a crash finds the old files or the new,
// each whole. Passes go from the front to the back and start anew when they were cut short; what
// they did by then stays right, for a record only ever goes when a newer one of its key is there.
//
// Tombstones: one that stays in its first pass has by then outlived all older records of its key,
// as those lie before it, and were dropped before it was written. From then on it waits for
// delete.retention.ms only (clean_passes.h).
//
// Aborted transactions: their records go, and with the swap of the segment that has the marker the
// partition forgets that there was one, for readers as well. The marker itself, like that of a
// committed transaction, stays as long as anything of the transaction does, and then for
// delete.retention.ms. It is not known beforehand in which pass that will be, so there, as Kafka
// does it for all, the time is written into its batch.
#pragma once

#include <vector>

#include "base/counter.h"
#include "base/slab.h"
#include "log/compacted_file.h"
#include "log/dedupe_map.h"
#include "log/flusher.h"
#include "log/partition_log.h"
#include "log/reader.h"
#include "log/segment_scan.h"
#include "log/transaction_scan.h"
#include "record/batch_filter.h"

namespace tailrace::log {

class Compactor {
 public:
  using Partitions = Slab<PartitionLog>;
  using PartitionId = Handle<PartitionLog>;

  struct Parts {
    Partitions& partitions;
    CommitLog& commit;
    FileTable& files;
    Reader& reader;
    Flusher& flusher;
    record::BatchChecker& checker;
    OpQueue& queue;
  };
  // `memory`: memory_bytes(limits) bytes, 4 KiB-aligned. All parts outlive the object.
  Compactor(const Limits& limits, MutableBytes memory, const Parts& parts);
  static std::size_t memory_bytes(const Limits& limits);

  // `usable_bytes`: of the file system; a pass needs room for what it writes anew.
  void step(Now now, std::uint64_t usable_bytes);
  void on_disk_done(const DiskDone& done);  // Asker::compactor
  Instant next_deadline() const;

  // A config has changed: look for work soon.
  void look_soon() { look_at_ = Instant{}; }
  // Aborted transactions take the place of new ones: whatever partition has some that a pass would
  // make forgotten is due.
  void shed_aborted() { sheds_aborted_ = true; }
  // Nothing more is begun, and what is under way is given up; then idle().
  void stop() { stopping_ = true; }
  bool idle() const { return phase_ == Phase::idle; }
  // The partition cannot be erased yet.
  bool works_on(PartitionId id) const { return phase_ != Phase::idle && pass_.id == id; }

  struct Counters {
    std::uint64_t passes = 0;
    std::uint64_t failures = 0;         // passes given up for an error
    std::uint64_t read_bytes = 0;
    std::uint64_t written_bytes = 0;
    std::uint64_t records_dropped = 0;
    std::uint64_t dirty_bytes = 0;      // of the whole core, when it was last looked at
  };
  Counters counters() const;

 private:
  enum class Phase : std::uint8_t { idle, mapping, cleaning, finishing, leaving };

  // How dirty a partition is.
  struct Dirt {
    std::size_t segments = 0;       // from the front, that may be compacted
    std::uint64_t bytes = 0;        // of them
    std::uint64_t dirty_bytes = 0;  // that no pass has seen
    std::int64_t end_offset = 0;    // of the last of them
    bool due = false;
    double ratio() const {
      return bytes == 0 ? 0 : static_cast<double>(dirty_bytes) / static_cast<double>(bytes);
    }
  };
  struct Pass {
    PartitionId id;
    PartitionKey key;
    CompactionRule rule;
    std::vector<SegmentInfo> inputs;      // as they were when it began
    std::vector<AbortedTransaction> aborted;
    std::size_t input = 0;                // being read
    std::int64_t dirty_from = 0;
    std::int64_t end = 0;                 // the map knows all keys before it, from dirty_from on
    std::int64_t expired_end = 0;         // tombstones before it need not stay
    std::vector<std::uint64_t> waiting;   // see CleanPasses::add
    std::int64_t markers_go_ms = INT64_MIN;  // the last of those that wait
  };
  // The file being made.
  struct Group {
    std::size_t first = 0;                // of the inputs
    SegmentInfo made;
    Index index{1};
    std::int32_t leader_epoch = -1;
  };

  Dirt dirt_of(const PartitionLog& partition, Now now) const;
  void choose(Now now, std::uint64_t usable_bytes);
  void begin(PartitionLog& partition, PartitionId id, const Dirt& dirt, Now now);
  PartitionLog* partition_of_pass();
  void work(PartitionLog& partition, Now now);
  struct Taken {
    std::uint64_t cost = 0;
    bool whole = false;  // else a further call goes on with the batch
  };
  Result<Taken> take(PartitionLog& partition, const record::BatchView& batch, Now now);
  // True: all of the batch was dealt with.
  Result<bool> map_batch(const record::BatchView& batch);
  Result<bool> clean_batch(PartitionLog& partition, const record::BatchView& batch, Now now);
  void clean_marker(PartitionLog& partition, const record::BatchView& batch, Now now);
  Result<bool> clean_records(PartitionLog& partition, const record::BatchView& batch);
  bool keeps(const PartitionLog& partition, const record::BatchFilter::Seen& seen);
  void keep_waiting(const PartitionLog& partition, std::int64_t offset);
  void write(const record::BatchView& batch, const record::FoundRecord& newest);
  void write_empty(const record::BatchHeader& header);
  void on_input_end(PartitionLog& partition);
  void start_input();
  void begin_cleaning(PartitionLog& partition);
  void begin_group(PartitionLog& partition);
  void finish_group();
  void swap(PartitionLog& partition, Now now);
  void end_pass(PartitionLog& partition, Now now);
  std::uint64_t room_for(const PartitionLog& partition, const Dirt& dirt) const;
  bool is_there(const PartitionLog& partition, const SegmentInfo& segment) const;
  void on_error(PartitionLog& partition, Error error, Now now);
  void leave();
  void step_leaving();
  Hash128 hash_of(Bytes key) const;

  const Limits limits_;
  Partitions& partitions_;
  CommitLog& commit_;
  Reader& reader_;
  Flusher& flusher_;
  record::BatchChecker& checker_;
  record::BatchFilter filter_;
  DedupeMap map_;
  SegmentScan scan_;
  CompactedFile file_;
  TransactionScan transactions_;

  Phase phase_ = Phase::idle;
  bool stopping_ = false;
  bool sheds_aborted_ = false;
  Pass pass_;
  Group group_;
  Instant look_at_;
  Instant allowed_at_;     // by the pace
  Instant stepped_at_;
  bool map_full_ = false;
  bool wants_turn_ = false;  // there is work for the next step, without a completion
  Counters counters_;
};

}  // namespace tailrace::log
