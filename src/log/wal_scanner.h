// WalScanner: reads a WAL from a mark to its end, frame by frame, in order.
//
// Where does a log end? At the first place that does not hold the frame with the next sequence
// number, the right WAL id and the right link to the frame before. That is a torn tail, and
// nothing acknowledged lies behind it, unless a frame further on proves otherwise: each header
// tells which frames were durable when it was sealed. When one behind the bad place says that the
// missing frame was, the place is damaged, not torn, and acknowledged records are lost. Counting
// frames_in_flight_max instead would miss damage near the end and break when the profile changes.
//
// Before it says `end` it syncs the file: see begin_sync().
//
// How far is looked: such a proof lies at most frames_in_flight_max + 1 frames on. The search
// covers search_bytes(limits), at most once round the ring, one header per 4 KiB: 20 MiB with the
// default limits. It runs at every start, hence a bound.
#pragma once

#include <array>

#include "base/aligned.h"
#include "log/commit_log.h"
#include "log/wal_format.h"

namespace tailrace::log {

class WalScanner {
 public:
  // `file` is open for reading with O_DIRECT. Reads ahead with two windows of frame_bytes_max.
  // Errors in `format` and `from` (they come from the disk) end in failed, EINVAL.
  WalScanner(const Limits& limits, FileId file, const WalFormatBlock& format, const WalMark& from,
             OpQueue& queue);

  enum class State : std::uint8_t { reading, frame, end, damaged, failed };
  // reading: wait for the disk. frame: frame() holds one; next() goes on. end: the log ends at
  // mark(). damaged: mark() is bad but frame `found_seq()` behind it is whole. failed: disk error.
  // Whatever the state, the object must outlive its operations: see idle().
  State state() const { return state_; }
  Bytes frame() const;             // whole and checked; valid until next()
  const FrameHeader& header() const;
  void next();
  void step();
  void on_disk_done(const DiskDone& done);  // Asker::wal_scanner
  WalMark mark() const { return mark_; }  // right behind the last frame given out (or `from`)
  std::uint64_t found_seq() const { return found_seq_; }
  // The errno of `failed`; EFBIG: a frame is larger than frame_bytes_max allows now.
  std::int32_t error_number() const { return error_number_; }
  bool idle() const;               // no operation is under way

  static std::uint64_t search_bytes(const Limits& limits);

 private:
  // A piece of the file. Its bytes are read to `read_space` of its memory; what was left of the
  // window before is copied in front of them, so that a frame across two windows is one span.
  struct Window {
    AlignedBuffer memory;
    std::uint64_t file_pos = 0;   // of the first byte at read_space
    std::uint32_t read_bytes = 0;
    std::uint32_t carried_bytes = 0;
    bool in_flight = false;
    bool loaded = false;
  };
  enum class Found : std::uint8_t { frame, wait, none };

  void advance();
  Found look_at(std::uint64_t file_pos);
  bool is_expected(const FrameHeader& header) const;
  bool front_holds_expected() const;
  void take();
  void begin_search();
  void search();
  void begin_sync();
  void on_sync_done(std::int64_t result);
  std::uint64_t wrapped(std::uint64_t file_pos) const;
  Bytes bytes_at(std::uint64_t file_pos) const;
  bool reach(std::uint64_t file_pos);
  bool extend(std::uint64_t file_pos, std::uint32_t size);
  void use_other_window();
  bool begin_reading();
  void push_read(std::size_t index);
  void on_failure(std::int32_t error_number);
  std::uint64_t ring_end() const { return disk_block_bytes + ring_bytes_; }

  OpQueue& queue_;
  FileId file_;
  Uuid wal_;
  std::uint64_t ring_bytes_;
  std::uint32_t window_bytes_;
  std::uint64_t search_bytes_max_;
  std::array<Window, 2> windows_;
  std::size_t current_ = 0;
  std::uint64_t next_read_pos_ = 0;
  bool restarting_ = true;           // both windows are read anew from next_read_pos_

  // The ring's first block, read at the start: tells at once whether the next frame, when it is
  // not at its place, was put to the front.
  AlignedBuffer front_;
  bool front_loaded_ = false;
  bool front_in_flight_ = false;

  State state_ = State::reading;
  bool searching_ = false;
  bool sync_in_flight_ = false;
  std::uint64_t search_pos_ = 0;
  std::uint64_t search_left_bytes_ = 0;
  std::uint64_t frame_pos_ = 0;      // where the frame looked for or given out lies
  FrameHeader header_;
  WalMark mark_;
  std::uint64_t found_seq_ = 0;
  std::int32_t error_number_ = 0;
};

}  // namespace tailrace::log
