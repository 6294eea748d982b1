// Makes whole batches from records: for tests, the simulator and benchmarks. Memory is reserved
// once; nothing is allocated per batch (but the compression contexts, at the first use).
#pragma once

#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch_view.h"
#include "record/codec.h"

namespace tailrace::record {

// Bytes or null, as keys and values are.
struct MaybeBytes {
  Bytes bytes;
  bool null = true;

  MaybeBytes() = default;
  MaybeBytes(std::nullptr_t) {}                                                // NOLINT
  MaybeBytes(Bytes some) : bytes(some), null(false) {}                         // NOLINT
  MaybeBytes(std::string_view text) : bytes(as_bytes(text)), null(false) {}    // NOLINT
  MaybeBytes(const char* text) : MaybeBytes(std::string_view(text)) {}         // NOLINT
};

struct NewHeader {
  std::string_view key;
  MaybeBytes value;
};

struct NewRecord {
  std::int64_t timestamp = 0;
  MaybeBytes key;
  MaybeBytes value;
  std::span<const NewHeader> headers;
};

// The size of one record on the wire, its own length prefix included.
std::size_t record_bytes(const NewRecord& record, std::int64_t timestamp_delta,
                         std::int32_t offset_delta);

class BatchBuilder {
 public:
  // `bytes_max`: the largest batch, header included and before compression.
  explicit BatchBuilder(std::size_t bytes_max);

  // Begins a batch. Of `header` are used: base_offset, leader_epoch, attributes (without the codec
  // bits), producer_id, producer_epoch, base_sequence. The rest follows from the records.
  void start(const BatchHeader& header = {});

  // Appends with the next offset delta. False, and nothing changed, when there is no room.
  bool add(const NewRecord& record);

  std::int32_t record_count() const { return header_.record_count; }
  std::size_t size_bytes() const { return size_; }

  // The batch with its CRC, in memory of this object until the next start() or finish().
  // Errors: invalid_argument without a record.
  Result<Bytes> finish(Codec codec = Codec::none, std::int32_t level = 0);

 private:
  std::size_t capacity_;
  std::unique_ptr<std::byte[]> plain_;
  std::unique_ptr<std::byte[]> packed_;   // for compressed batches; made at the first
  std::unique_ptr<Encoder> encoder_;      // likewise
  BatchHeader header_;
  std::size_t size_ = 0;
};

}  // namespace tailrace::record
