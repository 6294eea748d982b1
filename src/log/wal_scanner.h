// WalScanner: reads a WAL from a mark to its end, frame by frame, in order.
//
// Where does a log end? At the first place that does not hold the frame with the next sequence
// number, the right WAL id and the right link to the frame before. That is a torn tail, and
// nothing acknowledged lies behind it, unless a valid frame is found further on than
// frames_in_flight_max could have reached: then the place is damaged, not torn, and records that
// were acknowledged are lost. The scanner tells the two apart.
#pragma once

#include <optional>

#include "base/aligned.h"
#include "log/commit_log.h"
#include "log/wal_format.h"

namespace tailrace::log {

class WalScanner {
 public:
  // `file` is open for reading with O_DIRECT. Reads with two buffers of frame_bytes_max.
  WalScanner(const Limits& limits, FileId file, const WalFormatBlock& format, const WalMark& from,
             OpQueue& queue);

  enum class State : std::uint8_t { reading, frame, end, damaged, failed };
  // reading: wait for the disk. frame: frame() holds one; next() goes on. end: the log ends at
  // mark(). damaged: mark() is bad but frame `found_seq()` behind it is whole. failed: disk error.
  State state() const;
  Bytes frame() const;             // whole and checked
  const FrameHeader& header() const;
  void next();
  void step();
  void on_disk_done(const DiskDone& done);  // Asker::wal_scanner
  WalMark mark() const;            // right behind the last frame given out (or `from`)
  std::uint64_t found_seq() const;
  std::int32_t error_number() const;
};

}  // namespace tailrace::log
