// BatchFilter: looks at the records of a batch one by one and makes the batch anew without those
// that are not wanted any more, for compaction.
//
// What stays is as it was: offsets, timestamps and the bytes of every record, the first and last
// offset of the batch, and with them the producer's sequences. Only counts, length, largest
// timestamp and CRC are new. A batch that loses nothing is not touched at all.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch_check.h"
#include "record/record_iterator.h"

namespace tailrace::record {

class BatchFilter {
 public:
  // Works with `checker`; what it gives lives until that is used again.
  BatchFilter(BatchChecker& checker, std::size_t batch_bytes_max);

  struct Seen {
    std::int64_t offset = 0;
    Bytes key;
    bool has_key = false;
    bool has_value = false;
  };
  // Calls look(seen) for the records in order, as long as it says true.
  // Errors: corrupt, malformed, unsupported_codec, too_large.
  template <class Look>
  Result<void> look(const BatchView& batch, Look&& look) {
    const Result<bool> walked = look_on(batch, SIZE_MAX, look);
    return walked ? Result<void>{} : fail(walked.error());
  }
  // The same, piece by piece: about `bytes_max` of the records of a batch without compression.
  // False: more are left, and the next call, with the same batch, goes on there.
  template <class Look>
  Result<bool> look_on(const BatchView& batch, std::size_t bytes_max, Look&& look) {
    return walk(batch, bytes_max, [&](const Seen& seen) {
      return look(seen) ? Verdict::drop : Verdict::end;
    });
  }
  // The batch that was begun is not gone on with.
  void cancel() { walks_ = false; }

  // Of records in all batches so far: those gone through, decompressed, and compressed again.
  std::uint64_t walked_bytes() const { return walked_bytes_; }
  std::uint64_t unpacked_bytes() const { return unpacked_bytes_; }
  std::uint64_t packed_bytes() const { return packed_bytes_; }

  struct Filtered {
    Bytes batch;                   // the given one if nothing was dropped; empty: nothing is left
    std::int32_t record_count = 0;
    FoundRecord newest;            // of what is left: the largest timestamp, the first that has it
  };
  // Keeps the records for which keeps(seen) is true. `level`: of the compression, 0: the codec's
  // default. Errors: as look; too_large also when what is left becomes larger than batch_bytes_max.
  template <class Keeps>
  Result<Filtered> filter(const BatchView& batch, std::int32_t level, Keeps&& keeps) {
    const Result<bool> walked = filter_on(batch, SIZE_MAX, keeps);
    if (!walked) return fail(walked.error());
    return remake(batch, level);
  }
  // The same, piece by piece as look_on; once it was true, remake() makes the batch.
  template <class Keeps>
  Result<bool> filter_on(const BatchView& batch, std::size_t bytes_max, Keeps&& keeps) {
    return walk(batch, bytes_max, [&](const Seen& seen) {
      return keeps(seen) ? Verdict::keep : Verdict::drop;
    });
  }
  Result<Filtered> remake(const BatchView& batch, std::int32_t level);

 private:
  enum class Verdict : std::uint8_t { keep, drop, end };
  // Those that are kept move to the front of `plain_`.
  template <class Judge>
  Result<bool> walk(const BatchView& batch, std::size_t bytes_max, Judge&& judge) {
    if (!walks_) {
      if (const Result<void> begun = begin(batch); !begun) return fail(begun.error());
    }
    walks_ = false;  // Unless it pauses.
    const bool may_pause = batch.header.codec_bits() == 0;  // Else `plain_` is the checker's.
    const std::size_t from = passed_bytes_;
    RecordIterator records{Bytes(plain_).subspan(from)};
    for (; record_next_ < batch.header.record_count; ++record_next_) {
      if (may_pause && passed_bytes_ - from >= bytes_max) {
        walks_ = true;
        return false;
      }
      const Result<RecordFields> record = records.next();
      if (!record) return fail(record.error());
      Seen seen;
      if (!describe(batch, *record, seen)) return fail(Errc::malformed);
      const Verdict verdict = judge(seen);
      if (verdict == Verdict::end) return true;
      pass(batch, *record, verdict == Verdict::keep);
    }
    if (const Result<void> ended = records.finish(); !ended) return fail(ended.error());
    return true;
  }
  Result<void> begin(const BatchView& batch);
  bool describe(const BatchView& batch, const RecordFields& record, Seen& seen);
  void pass(const BatchView& batch, const RecordFields& record, bool keeps);

  BatchChecker& checker_;
  std::size_t batch_bytes_max_;
  std::unique_ptr<std::byte[]> own_;  // batch_bytes_max: of records that were not compressed
  MutableBytes plain_;
  bool walks_ = false;                // a walk has paused at record_next_
  std::int32_t record_next_ = 0;
  std::size_t passed_bytes_ = 0;  // of plain_
  std::size_t kept_bytes_ = 0;    // at its front
  std::int64_t offset_next_ = 0;  // the least that the next record may have
  std::int32_t kept_count_ = 0;
  FoundRecord newest_;
  std::uint64_t walked_bytes_ = 0;
  std::uint64_t unpacked_bytes_ = 0;
  std::uint64_t packed_bytes_ = 0;
};

// A batch without records in place of `header`'s: what is left to tell of its producer's sequences
// (or of its offsets). 61 bytes, as Kafka's cleaner writes it.
void store_empty_batch(MutableBytes batch, const BatchHeader& header);

}  // namespace tailrace::record
