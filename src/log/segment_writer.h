// SegmentWriter: writes gathered record bytes into segment files in large aligned blocks, off the
// ack path. A block is written when it is full; only at a checkpoint is the last, partial one
// written as well, padded with zeros, and then its bytes are in the WAL (EntryKind::tail) before
// it is ever rewritten.
//
// A job: lease the file -> write -> (sync, if asked) -> release. Jobs of one file do not overlap:
// the caller starts the next when the one before is done.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
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
    bool create = false;           // the file may not be there yet
    std::uint32_t buffer = UINT32_MAX;  // UINT32_MAX: nothing to write, only to sync
    std::uint64_t file_pos = 0;    // a multiple of 4 KiB
    std::uint32_t bytes = 0;       // a multiple of 4 KiB, from the buffer's front
    bool sync = false;             // fdatasync when written
    std::uint64_t word = 0;        // the caller's; comes back in Done
  };
  // Keeps the job until it is done; the buffer is given back then. At most partitions_max jobs
  // at a time; they wait for files and are worked on in order.
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
  bool idle() const;
};

}  // namespace tailrace::log
