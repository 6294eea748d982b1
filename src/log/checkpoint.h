// Checkpoint: what a core's log looks like once everything before a WAL mark is in segments. Two
// files are written in turn, so that a torn one leaves the other; the newest that is whole counts.
// A checkpoint holds no record bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "base/result.h"
#include "log/clean_passes.h"
#include "log/commit_log.h"
#include "log/epoch_table.h"
#include "log/producer_table.h"
#include "log/segment.h"
#include "log/transaction_table.h"

namespace tailrace::log {

struct PartitionCheckpoint {
  PartitionKey key;
  std::int64_t log_start = 0;
  std::int64_t end_offset = 0;
  std::vector<SegmentInfo> segments;  // by base offset; the last is the one appended to
  std::vector<EpochStart> epochs;
  std::vector<ProducerState> producers;
  std::vector<AbortedTransaction> aborted;
  std::vector<CleanPass> passes;      // of compaction, by end_offset
};

struct Checkpoint {
  Uuid wal;
  std::uint64_t number = 0;  // grows by one per checkpoint
  WalMark replay_from;
  std::vector<PartitionCheckpoint> partitions;
};

// Checkpoint <-> bytes: a header with version, lengths and CRC-32C, then the content; padded to
// 4 KiB. Older versions are read. Errors of decode: malformed, unsupported (newer), corrupt,
// truncated.
void encode_checkpoint(const Checkpoint& checkpoint, std::vector<std::byte>& bytes);
Result<Checkpoint> decode_checkpoint(Bytes bytes);

// Writes one checkpoint: open (or create), write, sync, close. `path` is one of the two files of
// the WAL; their directory entries are synced by Boot when they are first made.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(OpQueue& queue);
  // Not while one is under way. Encodes at once; `checkpoint` may die at return.
  void start(std::string_view path, const Checkpoint& checkpoint);
  void on_disk_done(const DiskDone& done);  // Asker::checkpoint
  bool busy() const;
  // Of the last one, once not busy. A failure leaves the older checkpoint in force.
  bool succeeded() const;

 private:
  //   idle -> opening -> writing (block by block) -> syncing -> closing -> idle
  //              |            |____________error_________|______> closing
  //              |__error__> idle
  enum class Phase : std::uint8_t { idle, opening, writing, syncing, closing };
  void push_write();
  void close_file();
  void push(DiskOp op);

  OpQueue& queue_;
  Phase phase_ = Phase::idle;
  FileId file_ = no_file;
  std::vector<std::byte> encoded_;
  AlignedBuffer buffer_;
  std::size_t size_bytes_ = 0;
  std::size_t written_bytes_ = 0;
  std::size_t write_bytes_ = 0;  // of the write under way
  bool succeeded_ = false;
};

}  // namespace tailrace::log
