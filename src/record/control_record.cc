#include "record/control_record.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "record/record_iterator.h"

namespace tailrace::record {
namespace {

constexpr std::int16_t version_now = 0;
constexpr std::int16_t type_abort = 0;
constexpr std::int16_t type_commit = 1;
constexpr std::size_t key_bytes = 4;
constexpr std::size_t value_bytes = 6;

// Lengths and deltas below 64 take one byte as zigzag varints: twice the number.
constexpr std::byte small_varint(std::size_t value) {
  return static_cast<std::byte>(value << 1);
}

// attributes, timestamp delta, offset delta, key length, key, value length, value, header count
constexpr std::size_t body_bytes = 3 + 1 + key_bytes + 1 + value_bytes + 1;
static_assert(marker_batch_bytes == header_bytes + 1 + body_bytes);

}  // namespace

Bytes store_marker_batch(MutableBytes to, const NewMarker& marker) {
  TR_ASSERT(to.size() >= marker_batch_bytes);
  TR_ASSERT(marker.producer_id >= 0);
  const MutableBytes batch = to.first(marker_batch_bytes);
  std::byte* at = batch.data() + header_bytes;
  std::memset(at, 0, marker_batch_bytes - header_bytes);
  *at = small_varint(body_bytes);
  at += 4;  // Attributes, timestamp delta and offset delta are 0.
  *at++ = small_varint(key_bytes);
  store_be(at, version_now);
  store_be(at + 2, marker.marker.is_commit ? type_commit : type_abort);
  at += key_bytes;
  *at++ = small_varint(value_bytes);
  store_be(at, version_now);
  store_be(at + 2, marker.marker.coordinator_epoch);
  store_header(batch, {.batch_length = static_cast<std::int32_t>(marker_batch_bytes -
                                                                 length_prefix_bytes),
                       .attributes = transactional_bit | control_bit,
                       .base_timestamp = marker.timestamp_ms,
                       .max_timestamp = marker.timestamp_ms,
                       .producer_id = marker.producer_id,
                       .producer_epoch = marker.producer_epoch,
                       .record_count = 1});
  seal_crc(batch);
  return batch;
}

Result<Bytes> with_delete_horizon(MutableBytes to, const BatchView& batch,
                                  std::int64_t horizon_ms) {
  BatchHeader header = batch.header;
  if (header.record_count != 1 || header.codec_bits() != 0) return fail(Errc::malformed);
  Bytes rest = batch.records();
  const Result<std::int64_t> size = take_varint(rest);
  if (!size) return fail(size.error());
  if (rest.empty() || *size != static_cast<std::int64_t>(rest.size())) return fail(Errc::malformed);
  const std::byte attributes = rest.front();
  rest = rest.subspan(1);
  const Result<std::int64_t> delta = take_varint(rest);
  if (!delta) return fail(delta.error());
  // The record's own time stays. Wraps like Java's long, in which Kafka adds them.
  const auto moved = static_cast<std::uint64_t>(header.base_timestamp) -
                     static_cast<std::uint64_t>(horizon_ms) + static_cast<std::uint64_t>(*delta);
  const std::uint64_t delta_now = zigzag_encoded(static_cast<std::int64_t>(moved));
  const std::uint64_t size_now =
      zigzag_encoded(static_cast<std::int64_t>(1 + uvarint_size(delta_now) + rest.size()));
  TR_ASSERT(to.size() >= batch.bytes.size() + horizon_growth_max);
  std::byte* at = to.data() + header_bytes;
  at += store_uvarint(at, size_now);
  *at++ = attributes;
  at += store_uvarint(at, delta_now);
  at = std::copy(rest.begin(), rest.end(), at);
  const MutableBytes made = to.first(static_cast<std::size_t>(at - to.data()));
  header.batch_length = static_cast<std::int32_t>(made.size() - length_prefix_bytes);
  header.attributes = static_cast<std::int16_t>(header.attributes | delete_horizon_bit);
  header.base_timestamp = horizon_ms;
  store_header(made, header);
  seal_crc(made);
  return Bytes(made);
}

Result<TransactionMarker> parse_marker(Bytes key, Bytes value) {
  if (key.size() < key_bytes) return fail(Errc::truncated);
  if (load_be<std::int16_t>(key.data()) < 0) return fail(Errc::malformed);
  const auto type = load_be<std::int16_t>(key.data() + 2);
  if (type != type_abort && type != type_commit) return fail(Errc::unsupported);
  if (value.size() < value_bytes) return fail(Errc::truncated);
  if (load_be<std::int16_t>(value.data()) < 0) return fail(Errc::malformed);
  return TransactionMarker{.is_commit = type == type_commit,
                           .coordinator_epoch = load_be<std::int32_t>(value.data() + 2)};
}

Result<TransactionMarker> marker_of(const BatchView& batch) {
  const BatchHeader& header = batch.header;
  const bool fits = header.is_control() && header.is_transactional() && header.has_producer() &&
                    header.producer_epoch >= 0 && header.record_count == 1 &&
                    header.last_offset_delta == 0 && header.codec_bits() == 0;
  if (!fits || batch.bytes.size() != header.size_bytes()) return fail(Errc::malformed);
  RecordIterator records(batch.records());
  const Result<RecordFields> record = records.next();
  if (!record) return fail(record.error());
  if (const Result<void> ended = records.finish(); !ended) return fail(ended.error());
  if (record->offset_delta != 0) return fail(Errc::malformed);
  if (record->key_size < 0 || record->value_size < 0) return fail(Errc::malformed);
  return parse_marker({record->key, static_cast<std::size_t>(record->key_size)},
                      {record->value, static_cast<std::size_t>(record->value_size)});
}

}  // namespace tailrace::record
