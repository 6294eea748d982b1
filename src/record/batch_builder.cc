#include "record/batch_builder.h"

#include <algorithm>

#include "base/assert.h"
#include "base/varint.h"

namespace tailrace::record {
namespace {

std::size_t varint_size(std::int64_t value) { return uvarint_size(zigzag_encoded(value)); }

std::size_t field_size(const MaybeBytes& field) {
  return varint_size(field.null ? -1 : static_cast<std::int64_t>(field.bytes.size())) +
         field.bytes.size();
}

std::size_t body_bytes(const NewRecord& record, std::int64_t timestamp_delta,
                       std::int32_t offset_delta) {
  std::size_t size = 1 + varint_size(timestamp_delta) + varint_size(offset_delta) +
                     field_size(record.key) + field_size(record.value) +
                     varint_size(static_cast<std::int64_t>(record.headers.size()));
  for (const NewHeader& header : record.headers) {
    size += field_size(header.key) + field_size(header.value);
  }
  return size;
}

// Writes forward; the caller has checked the room.
struct Pen {
  std::byte* at;

  void varint(std::int64_t value) { at += store_uvarint(at, zigzag_encoded(value)); }
  void field(const MaybeBytes& field) {
    varint(field.null ? -1 : static_cast<std::int64_t>(field.bytes.size()));
    if (!field.bytes.empty()) std::memcpy(at, field.bytes.data(), field.bytes.size());
    at += field.bytes.size();
  }
};

// Wraps like Kafka's long arithmetic does.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

}  // namespace

std::size_t record_bytes(const NewRecord& record, std::int64_t timestamp_delta,
                         std::int32_t offset_delta) {
  const std::size_t body = body_bytes(record, timestamp_delta, offset_delta);
  return varint_size(static_cast<std::int64_t>(body)) + body;
}

BatchBuilder::BatchBuilder(std::size_t bytes_max)
    : capacity_(bytes_max), plain_(std::make_unique_for_overwrite<std::byte[]>(bytes_max)) {
  TR_ASSERT(bytes_max >= header_bytes);
  TR_ASSERT(bytes_max <= INT32_MAX);
  start();
}

void BatchBuilder::start(const BatchHeader& header) {
  header_ = header;
  header_.attributes = static_cast<std::int16_t>(header.attributes & ~codec_mask);
  header_.record_count = 0;
  header_.last_offset_delta = 0;
  size_ = header_bytes;
}

bool BatchBuilder::add(const NewRecord& record) {
  if (header_.record_count == 0) header_.base_timestamp = record.timestamp;
  const std::int64_t timestamp_delta = difference(record.timestamp, header_.base_timestamp);
  const std::int32_t offset_delta = header_.record_count;
  const std::size_t body = body_bytes(record, timestamp_delta, offset_delta);
  const std::size_t whole = varint_size(static_cast<std::int64_t>(body)) + body;
  if (whole > capacity_ - size_) return false;

  Pen pen{plain_.get() + size_};
  pen.varint(static_cast<std::int64_t>(body));
  *pen.at++ = std::byte{0};  // Attributes of a record: none is defined.
  pen.varint(timestamp_delta);
  pen.varint(offset_delta);
  pen.field(record.key);
  pen.field(record.value);
  pen.varint(static_cast<std::int64_t>(record.headers.size()));
  for (const NewHeader& header : record.headers) {
    pen.field(header.key);
    pen.field(header.value);
  }
  TR_ASSERT(pen.at == plain_.get() + size_ + whole);
  size_ += whole;
  header_.max_timestamp = header_.record_count == 0
                              ? record.timestamp
                              : std::max(header_.max_timestamp, record.timestamp);
  header_.last_offset_delta = offset_delta;
  ++header_.record_count;
  return true;
}

Result<Bytes> BatchBuilder::finish(Codec codec, std::int32_t level) {
  if (header_.record_count == 0) return fail(Errc::invalid_argument);
  MutableBytes made{plain_.get(), size_};
  if (codec != Codec::none) {
    const std::size_t room = header_bytes + Encoder::bound(capacity_);
    if (packed_ == nullptr) packed_ = std::make_unique_for_overwrite<std::byte[]>(room);
    if (encoder_ == nullptr) encoder_ = std::make_unique<Encoder>();
    const Result<std::size_t> packed =
        encoder_->compress(codec, level, Bytes(made).subspan(header_bytes),
                           {packed_.get() + header_bytes, room - header_bytes});
    if (!packed) return fail(packed.error());
    made = {packed_.get(), header_bytes + *packed};
  }
  BatchHeader header = header_;
  header.attributes = static_cast<std::int16_t>(header.attributes | static_cast<int>(codec));
  header.batch_length = static_cast<std::int32_t>(made.size() - length_prefix_bytes);
  store_header(made, header);
  seal_crc(made);
  return Bytes(made);
}

}  // namespace tailrace::record
