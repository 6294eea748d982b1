// The sparse index of a segment: for about every 64 KiB, which offset starts where and the largest
// timestamp up to there. An index is a hint: whoever uses an entry checks that a batch with that
// base offset really starts at that place, and reads from the segment's front if not.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace tailrace::log {

struct IndexEntry {
  std::int64_t base_offset = 0;      // of a batch
  std::uint64_t segment_pos = 0;     // where it starts
  // The largest timestamp of all batches before this one in the segment.
  std::int64_t max_timestamp_before = -1;
  friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

class Index {
 public:
  // `max_timestamp`: of the batches that the segment has already and that get no entries.
  explicit Index(std::uint32_t interval_bytes, std::int64_t max_timestamp = -1);
  // A batch was appended at the end of the segment. Adds an entry once interval_bytes have come
  // since the last one. A batch that is told again (replay) changes nothing.
  void on_batch(std::int64_t base_offset, std::uint64_t segment_pos, std::int64_t max_timestamp);
  // The last entry at or before the target; a default entry (the segment's front, with
  // base_offset = -1) when there is none.
  IndexEntry at_or_before(std::int64_t offset) const;
  // The last entry before which no batch has a timestamp >= `timestamp`.
  IndexEntry before_timestamp(std::int64_t timestamp) const;

  const std::vector<IndexEntry>& entries() const { return entries_; }
  std::size_t memory_bytes() const {
    return sizeof(Index) + entries_.capacity() * sizeof(IndexEntry);
  }

  // File form: header with count, the segment bytes it covers and CRC, then entries; padded to
  // 4 KiB. `covered_bytes`: how much of the segment the entries describe; what follows has no
  // entries yet. Errors of decode: malformed, truncated, unsupported (newer), corrupt.
  void encode(std::uint64_t covered_bytes, std::vector<std::byte>& bytes) const;
  struct Decoded;
  static Result<Decoded> decode(Bytes bytes, std::uint32_t interval_bytes);

 private:
  std::vector<IndexEntry> entries_;  // offsets and positions grow, timestamps never fall
  std::uint32_t interval_bytes_;
  std::int64_t max_timestamp_;       // of every batch so far
};

struct Index::Decoded {
  Index index;
  std::uint64_t covered_bytes = 0;
};

}  // namespace tailrace::log
