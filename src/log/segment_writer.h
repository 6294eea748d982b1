// SegmentWriter: writes gathered record bytes into segment files in large aligned blocks, off the
// ack path. A block is written when it is full; only at a checkpoint is the last, partial one
// written as well, padded with zeros, and then its bytes are in the WAL (EntryKind::tail) before
// it is ever rewritten.
//
// A job, with the steps in brackets only where asked for:
//
//   queued -> [make directories] -> lease the file -> [reserve] -> [write] -> [trim] -> [sync]
//          -> [sync directories] -> done
//
// A file that grows fast gets its space ahead, as much again as it holds: a write that makes a file
// longer blocks in the kernel, so that io_uring hands it to another thread; one into space that is
// there does not. What is left over at the end of the segment is given back.
//
// Jobs of one file do not overlap: the caller starts the next when the one before is done.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/ring.h"
#include "log/file_table.h"
#include "log/limits.h"

namespace tailrace::log {

class SegmentWriter {
 public:
  // `memory`: limits.segment_writes_max buffers of buffer_bytes(limits), 4 KiB-aligned.
  SegmentWriter(const Limits& limits, MutableBytes memory, FileTable& files, OpQueue& queue);
  static std::size_t buffer_bytes(const Limits& limits);  // segment_write_bytes + 4 KiB

  // A free buffer, or UINT32_MAX: all in use.
  std::uint32_t take_buffer();
  MutableBytes buffer(std::uint32_t index);
  void give_back(std::uint32_t index);  // one that was taken and not written

  struct Job {
    FileName path;
    // The file may not be there yet. Its directory and the one above are made as well (not the
    // first part of the path: Boot has made that), and when the job is done, all three entries
    // are durable.
    bool create = false;
    std::uint32_t buffer = UINT32_MAX;  // UINT32_MAX: nothing to write, only to sync
    std::uint64_t file_pos = 0;    // a multiple of 4 KiB
    std::uint32_t bytes = 0;       // a multiple of 4 KiB, from the buffer's front
    bool is_last = false;          // the segment ends with these bytes
    bool sync = false;             // fdatasync when written
    std::uint64_t word = 0;        // the caller's; comes back in Done
  };
  // Keeps the job until it is done; the buffer is given back then. At most partitions_max jobs
  // at a time, until taken by take_done(); they wait for files and are worked on in order.
  void start(const Job& job);
  void step();
  void on_disk_done(const DiskDone& done);  // Asker::segment_writer

  struct Done {
    std::uint64_t word = 0;
    // 0, or the errno. A short write is EIO; ENOSPC may be tried again later; after a failed
    // sync (sync_failed) nothing is known of the file any more.
    std::int32_t error_number = 0;
    bool sync_failed = false;
  };
  // Finished jobs, oldest first; returns how many were filled in.
  std::size_t take_done(std::span<Done> done);
  bool idle() const;  // no job that is not taken by take_done()

 private:
  enum class Phase : std::uint8_t {
    unused, making_topic_directory, making_directory, needs_file, opening, reserving, writing,
    trimming, syncing, syncing_directory, syncing_topic_directory, syncing_root_directory,
  };
  struct Active {
    Job job;
    Phase phase = Phase::unused;
    FileTable::Lease lease;
  };
  enum class BufferState : std::uint8_t { free, taken, writing };

  void begin(std::size_t slot, const Job& job);
  void try_lease(std::size_t slot);
  void on_leased(std::size_t slot);
  bool wants_space(const Active& active) const;
  void reserve(std::size_t slot);
  void write(std::size_t slot);
  void after_write(std::size_t slot);
  void after_trim(std::size_t slot);
  void after_sync(std::size_t slot);
  void push_op(std::size_t slot, DiskOp op);
  void push_directory_op(std::size_t slot, DiskOpKind kind, Phase phase);
  void finish(std::size_t slot, std::int32_t error_number, bool sync_failed);

  MutableBytes memory_;
  std::size_t buffer_bytes_;
  std::uint32_t write_bytes_;  // limits.segment_write_bytes
  FileTable& files_;
  OpQueue& queue_;
  std::vector<BufferState> buffers_;
  Ring<Job> queued_;
  std::vector<Active> active_;  // segment_writes_max
  std::size_t active_count_ = 0;
  Ring<Done> done_;
};

}  // namespace tailrace::log
