// SegmentScan: reads one closed segment from its front, batch by batch, in the background: for
// compaction. Every batch that it hands out is whole, with the right CRC, and in order.
//
//   idle --start--> opening -> reading <-> batch (next) -> end --close--> idle
//                      |_________|__________|___error___> failed --close--> idle
#pragma once

#include <cstdint>

#include "base/result.h"
#include "log/file_table.h"
#include "log/limits.h"
#include "log/segment.h"
#include "record/batch_view.h"

namespace tailrace::log {

class SegmentScan {
 public:
  enum class State : std::uint8_t { idle, opening, reading, batch, end, failed };

  // `buffer`: limits.read_bytes() bytes, 4 KiB-aligned. `tag`: of its operations.
  SegmentScan(const Limits& limits, MutableBytes buffer, std::uint64_t tag, FileTable& files,
              OpQueue& queue);

  void start(const FileName& path, const SegmentInfo& segment);
  void step();                              // waits for the file
  void on_disk_done(const DiskDone& done);  // with the tag
  State state() const { return state_; }
  // State::batch: until next(), in memory that the caller may change.
  const record::BatchView& batch() const { return batch_; }
  void next();
  // State::failed. Errors: io (detail: errno), not_found (the file), corrupt.
  Error error() const { return error_; }
  void close();  // Not while reading.

  std::uint64_t bytes_read() const { return bytes_read_; }  // of all segments

 private:
  void look();
  void read(std::uint64_t need_bytes);
  void give_up(Error error);

  MutableBytes buffer_;
  std::uint64_t tag_;
  FileTable& files_;
  OpQueue& queue_;
  State state_ = State::idle;
  FileName path_;
  SegmentInfo segment_;
  FileTable::Lease lease_;
  std::uint64_t pos_ = 0;        // of the batch to look at
  std::uint64_t read_pos_ = 0;   // of the buffer's front in the file
  std::uint64_t valid_end_ = 0;  // of what was read, in the file
  std::int64_t offset_next_ = 0; // the least that the next batch may begin with
  bool read_all_ = false;        // another read from pos_ cannot bring more
  record::BatchView batch_;
  Error error_{Errc::io};
  std::uint64_t bytes_read_ = 0;
};

}  // namespace tailrace::log
