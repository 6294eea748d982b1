// Human-readable dumps of segments and index files, and what is wrong with them, for
// `tailrace dump`. Segments are fed piece by piece, so a large one need not be in memory.
//
//   header --61 bytes--> records --the batch's length--> header
//      | (no batch here)
//      v
//     lost: only counts what follows
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/bytes.h"
#include "record/batch_view.h"

namespace tailrace::log {

using DumpSink = std::function<void(std::string_view line)>;

class SegmentDump {
 public:
  // `base_offset`: of the segment, from its name; -1 when unknown. `compacted`: offsets and records
  // may be missing in it, as the generation in its name tells.
  SegmentDump(std::int64_t base_offset, DumpSink sink, bool compacted = false);

  // The next bytes of the segment.
  void feed(Bytes bytes);
  // There are no more.
  void finish();

  std::uint64_t batch_count() const { return batch_count_; }
  std::uint64_t problem_count() const { return problem_count_; }
  // Behind the last whole batch with a right CRC before the first problem.
  std::uint64_t good_bytes() const { return good_bytes_; }

 private:
  enum class State : std::uint8_t { header, records, lost };

  std::size_t feed_header(Bytes bytes);
  std::size_t feed_records(Bytes bytes);
  void on_header();
  void on_batch();
  void get_lost();
  void problem(std::string_view text);
  std::uint64_t batch_pos() const;  // right after a header was fed

  DumpSink sink_;
  State state_ = State::header;
  std::int64_t offset_next_ = -1;    // the least the next batch may begin with; -1: anything
  std::int64_t base_offset_ = -1;
  bool compacted_ = false;
  std::uint64_t pos_ = 0;            // bytes fed so far
  std::array<std::byte, record::header_bytes> header_bytes_{};
  std::size_t header_fill_ = 0;
  record::BatchHeader header_;
  std::uint64_t batch_pos_ = 0;      // where header_ was
  std::uint64_t records_left_ = 0;
  std::uint32_t crc_ = 0;
  std::uint64_t lost_pos_ = 0;
  bool lost_is_zero_ = true;         // nothing but zeros since lost_pos_
  std::uint64_t batch_count_ = 0;
  std::uint64_t record_count_ = 0;
  std::uint64_t problem_count_ = 0;
  std::uint64_t good_bytes_ = 0;
};

// A whole index file. Returns the number of problems.
std::uint64_t dump_index(Bytes bytes, const DumpSink& sink);

}  // namespace tailrace::log
