// Walks over the records of a batch, with Kafka's strictness about their framing.
//
//   record: varint length | int8 attributes | varint timestamp delta (64 bits) | varint offset
//           delta | varint key length, key | varint value length, value | varint header count |
//           headers, each: varint key length, key | varint value length, value
//
// All varints are zigzag. A length of -1 is null, and a header's key is never null. The length
// must be exactly that of what it covers. Unknown attribute bits are let pass, as Kafka does.
//
// The bytes come in pieces: one, when the batch is not compressed, or a window at a time from a
// Decoder. A record inside one piece is parsed in place (the fast way, nearly always taken); one
// that crosses pieces is skipped through byte by byte, so no record is ever held whole.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "record/codec.h"

namespace tailrace::record {

struct RecordFields {
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::int32_t key_size = -1;    // -1: null
  std::int32_t value_size = -1;  // -1: null
  std::int32_t header_count = 0;
  // Where they lie, until the next call; null pointers for a record that crosses pieces. With
  // records that are not compressed they are always there. `headers` starts at the first header.
  const std::byte* key = nullptr;
  const std::byte* value = nullptr;
  Bytes headers;
};

class RecordIterator {
 public:
  // Over records as they lie in a batch without compression.
  explicit RecordIterator(Bytes plain)
      : at_(plain.data()), end_(plain.data() + plain.size()) {}
  // Over what `decoder` gives; it was started, and is not used by others meanwhile.
  explicit RecordIterator(Decoder& decoder) : decoder_(&decoder) {}

  // The next record; the caller knows how many there are. Errors: malformed (also when the bytes
  // are at their end); those of Decoder::next.
  Result<RecordFields> next();

  // After the last record: nothing may follow. Errors: malformed; those of Decoder::next.
  Result<void> finish();

 private:
  struct StreamCursor;
  bool refill();
  Result<RecordFields> next_in_pieces(std::uint32_t body_bytes);

  const std::byte* at_ = nullptr;
  const std::byte* end_ = nullptr;
  Decoder* decoder_ = nullptr;
  Error error_{Errc::malformed};
};

}  // namespace tailrace::record
