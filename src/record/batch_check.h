// The check of a batch that a client sent, as strict as Kafka's broker: every record of every
// batch is looked at, compressed ones through a bounded streaming decompression.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch_view.h"

namespace tailrace::record {

// What a topic's configs ask of its batches.
struct BatchRules {
  bool log_append_time = false;
  std::int64_t timestamp_before_ms_max = INT64_MAX;
  std::int64_t timestamp_after_ms_max = 3'600'000;
  std::int8_t compression = -1;   // a Codec, or -1: stored as sent
  // As Kafka's compression.<codec>.level, that of the codec in `compression`; 0: the codec's own
  // default. lz4's 9, Kafka's default, is the fast compressor as it is there.
  std::int32_t compression_level = 0;
  bool keys_required = false;     // compacted topics
};

// Who made a batch. A transaction coordinator's are control batches, or have a producer but no
// sequences, and their timestamps are our own.
enum class BatchOrigin : std::uint8_t { client, coordinator };

struct CheckedBatch {
  std::int64_t max_timestamp = -1;       // over the records (with LogAppendTime: wall_ms)
  std::int32_t max_timestamp_delta = 0;  // offset delta of the first record that has it
};

struct FoundRecord {
  std::int64_t offset = -1;
  std::int64_t timestamp = -1;
};

// Holds the decompression contexts and windows, made once. Not for two threads at a time.
class BatchChecker {
 public:
  // `decompressed_bytes_max`: the largest a batch's records may become; beyond that it is refused.
  // `made_bytes_max`: the largest batch that is made.
  explicit BatchChecker(std::size_t decompressed_bytes_max, std::size_t made_bytes_max = INT32_MAX);
  ~BatchChecker();

  // Checks a whole batch whose CRC was found right. It looks at: exactly one batch in `batch`
  // (its size is the header's), magic, codec, no control bit, the timestamp type, counts and
  // offset deltas from 0 without gap, record framing, header keys, producer fields, timestamps
  // within `rules` against `wall_ms`, keys where required. Writes nothing.
  // Errors (detail: index of the bad record where it is about one): malformed -> INVALID_RECORD,
  // unsupported_codec, invalid_timestamp, corrupt (cannot be decompressed), too_large.
  Result<CheckedBatch> check(const BatchView& batch, const BatchRules& rules,
                             std::int64_t wall_ms, BatchOrigin origin = BatchOrigin::client);

  // Makes the batch anew with rules.compression, when that is neither -1 nor the batch's own
  // codec: the same records, offsets and producer fields, a new CRC. The bytes live in this
  // object until the next call. An unchanged batch comes back as it is.
  // Errors: as check; too_large.
  Result<Bytes> with_codec(const BatchView& batch, const BatchRules& rules);

  // For compaction. The records of a batch as they are without compression, a copy in this object
  // until the next call; the caller may move them about there. Errors: as check; too_large.
  Result<MutableBytes> plain_records(const BatchView& batch);
  // A batch of `header` with `plain` records (it may be what plain_records gave), compressed as its
  // attributes say, with its own length and CRC. Lives until the next call. Errors: too_large.
  Result<Bytes> make_batch(const BatchHeader& header, std::int32_t level, Bytes plain);

  // The first record at or behind `offset` with timestamp >= `timestamp`. Errors: not_found;
  // corrupt, malformed.
  Result<FoundRecord> find_timestamp(const BatchView& batch, std::int64_t timestamp,
                                     std::int64_t offset = 0);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tailrace::record
