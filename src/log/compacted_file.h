// CompactedFile: writes what a compaction leaves of some segments into a new file, in whole blocks
// and in the background. Once done, the bytes and the name are durable; nobody reads the file
// before.
//
//   closed --start--> opening -> open <-append-> writing
//                                 | finish
//                                 '-> [writing] -> trimming -> syncing -> closing
//                                       -> syncing_directory -> done --reset--> closed
//   an error: closing -> failed --reset--> closed
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "log/limits.h"
#include "log/op_queue.h"

namespace tailrace::log {

class CompactedFile {
 public:
  // `buffer`: buffer_bytes(limits) bytes, 4 KiB-aligned. `tag`: of its operations.
  CompactedFile(const Limits& limits, MutableBytes buffer, std::uint64_t tag, OpQueue& queue);
  static std::size_t buffer_bytes(const Limits& limits);

  // The directory of `path` is there. What an earlier try left in such a file is written over.
  void start(const FileName& path);
  // Something may be appended: at most limits.batch_bytes_max() bytes.
  bool ready() const { return phase_ == Phase::open; }
  void append(Bytes bytes);
  std::uint64_t size_bytes() const { return size_bytes_; }
  void finish();   // when ready()
  void give_up();  // when ready() or done: ends in failed

  bool is_closed() const { return phase_ == Phase::closed; }
  bool done() const { return phase_ == Phase::done; }
  bool failed() const { return phase_ == Phase::failed; }
  std::int32_t error_number() const { return error_number_; }
  const FileName& path() const { return path_; }
  void reset();    // when done, failed or closed

  void on_disk_done(const DiskDone& done);  // with the tag
  std::uint64_t bytes_written() const { return bytes_written_; }  // to all files

 private:
  enum class Phase : std::uint8_t {
    closed, opening, open, writing, trimming, syncing, closing, syncing_directory, done, failed,
  };
  void write(std::size_t bytes);
  void on_written();
  void fail(std::int32_t error_number);
  void push(Phase phase, DiskOp op);

  std::size_t write_bytes_;
  MutableBytes buffer_;
  std::uint64_t tag_;
  OpQueue& queue_;
  Phase phase_ = Phase::closed;
  FileName path_;
  FileId file_ = no_file;
  std::uint64_t size_bytes_ = 0;  // appended
  std::uint64_t file_pos_ = 0;    // of the buffer's front
  std::size_t fill_ = 0;
  std::size_t writing_ = 0;       // bytes of the write under way
  bool finishing_ = false;
  std::int32_t error_number_ = 0;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace tailrace::log
