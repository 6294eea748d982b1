// CoreReads: reads of a core's partitions, from memory where the bytes are in a chunk, else from
// a segment through the Reader; and the search for a timestamp, which may need both.
#pragma once

#include <array>
#include <vector>

#include "base/slab.h"
#include "log/partition_log.h"
#include "log/reader.h"

namespace tailrace::log {

struct ReadRequest {
  std::int64_t offset = 0;         // log_start <= offset < offset_end
  std::int64_t offset_end = 0;     // exclusive; at most durable_end
  std::uint32_t bytes_max = 0;
  bool at_least_one = false;       // a first batch above bytes_max is returned all the same
  std::uint64_t word = 0;          // the caller's
};

// A read under way or held. What its pieces point at stays until CoreLog::release_read().
struct Read {
  static constexpr std::size_t pieces_max = 128;

  std::uint64_t word = 0;
  bool done = false;
  // Once done. Errors: io, corrupt; not_found (the partition went away; no such timestamp).
  Result<void> status;
  std::span<const Bytes> pieces;   // whole batches in offset order
  std::uint64_t bytes = 0;         // in all pieces
  // The pieces lie in one of the few read buffers, without which no other cold read goes on: copy
  // them and release, rather than wait for anything with it.
  bool holds_buffer() const { return done && job != UINT32_MAX; }
  // Of find_timestamp:
  record::FoundRecord found;
  std::int32_t found_epoch = -1;

 private:
  friend class CoreReads;
  Handle<PartitionLog> partition;
  std::array<Bytes, pieces_max> piece_store;
  std::array<ChunkId, pieces_max> pins;  // one per piece that lies in a chunk
  std::size_t pin_count = 0;
  std::uint32_t job = UINT32_MAX;        // of the Reader
  bool is_search = false;                // find_timestamp
  std::int64_t timestamp = -1;
  std::int64_t searched_to = 0;          // offsets before it hold no such record
  SegmentInfo segment;                   // that the job reads
  bool by_offset = false;                // from searched_to on, batch by batch
  ReadRequest request;                   // of one by offset; its offset moves on over gaps
};
using ReadId = Handle<Read>;

class CoreReads {
 public:
  struct Parts {
    Slab<PartitionLog>& partitions;
    ChunkCache& cache;
    Reader& reader;
    record::BatchChecker& checker;
  };
  CoreReads(const Limits& limits, const Parts& parts);

  // As CoreLog's.
  Result<ReadId> read(Handle<PartitionLog> partition, const ReadRequest& request);
  Result<ReadId> find_timestamp(Handle<PartitionLog> partition, std::int64_t timestamp,
                                std::uint64_t word);
  const Read& get(ReadId id) const;
  void release(ReadId id);
  std::size_t take_done(std::span<ReadId> reads);

  void step();
  // Reads of a partition that goes away end now.
  void end_reads_of(Handle<PartitionLog> partition);

  struct Counters {
    std::uint64_t hot_reads = 0;
    std::uint64_t cold_reads = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  void read_hot(PartitionLog& partition, Read& read, const ReadRequest& request);
  Result<void> read_cold(PartitionLog& partition, ReadId id);
  // Another try where compaction got in the way: it left a gap up to the segment's end, or has
  // replaced the segment while it was being read, and with it what is said of it: a read that is
  // done holds what the log holds. False: it did not.
  bool read_again(PartitionLog& partition, ReadId id, bool is_gap);
  // One step of a search: from searched_to on. Starts a cold read or finishes the read.
  void search(PartitionLog& partition, ReadId id);
  bool search_cold(PartitionLog& partition, ReadId id, std::int64_t hot_start);
  void search_hot(PartitionLog& partition, Read& read);
  void search_batches(PartitionLog& partition, Read& read, Bytes batches);
  void on_cold_done(const Reader::Done& done);
  void finish(ReadId id, Result<void> status);
  // Offset from which every batch is in memory; staged_end when none is.
  std::int64_t hot_start(PartitionLog& partition);
  // The part of a segment that its file has, in whole batches.
  static SegmentInfo written_part(const PartitionLog& partition, const SegmentInfo& segment);

  Slab<PartitionLog>& partitions_;
  ChunkCache& cache_;
  Reader& reader_;
  record::BatchChecker& checker_;
  Slab<Read> reads_;
  std::vector<ReadId> done_;  // finished later than they were asked for, oldest first
  Counters counters_;
};

}  // namespace tailrace::log
