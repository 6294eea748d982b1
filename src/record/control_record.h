// Control records: what the broker itself writes into a partition at the end of a transaction. A
// control batch holds exactly one, takes one offset, and no application ever sees it.
//
//   key:   int16 version 0 | int16 type: 0 abort, 1 commit (2 and up: KRaft's own, not in topics)
//   value: int16 version 0 | int32 epoch of the transaction coordinator
//
// A newer version may be longer; what stands here stays in front.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/varint.h"
#include "record/batch_view.h"

namespace tailrace::record {

struct TransactionMarker {
  bool is_commit = false;
  std::int32_t coordinator_epoch = 0;
  friend bool operator==(const TransactionMarker&, const TransactionMarker&) = default;
};

struct NewMarker {
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int64_t timestamp_ms = -1;
  TransactionMarker marker;
};

inline constexpr std::size_t marker_batch_bytes = header_bytes + 17;

// Writes a whole control batch, its CRC included, to the front of `to`, which has room for
// marker_batch_bytes. Returns it.
Bytes store_marker_batch(MutableBytes to, const NewMarker& marker);

// The most by which with_delete_horizon() makes a batch longer: two varints grow.
inline constexpr std::size_t horizon_growth_max = 2 * varint_bytes_max;

// A control batch anew that says from when on compaction may drop it; all else stays as it is.
// `to` has room for it and horizon_growth_max. Errors: truncated, malformed (not one record).
Result<Bytes> with_delete_horizon(MutableBytes to, const BatchView& batch,
                                  std::int64_t horizon_ms);

// Any bytes may be given. Errors: truncated, malformed; unsupported for a type that ends no
// transaction.
Result<TransactionMarker> parse_marker(Bytes key, Bytes value);

// The marker in a whole control batch. Errors: as above; malformed for what is no control batch
// with one record of a producer.
Result<TransactionMarker> marker_of(const BatchView& batch);

}  // namespace tailrace::record
