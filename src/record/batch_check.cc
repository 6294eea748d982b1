#include "record/batch_check.h"

#include <algorithm>

#include "base/assert.h"
#include "record/codec.h"
#include "record/record_iterator.h"

namespace tailrace::record {
namespace {

constexpr std::int64_t no_timestamp = -1;
constexpr std::uint8_t codec_bits_max = 4;

tl::unexpected<Error> fail_at(Errc code, std::int32_t record_index) {
  return fail(code, static_cast<std::uint16_t>(std::min<std::int32_t>(record_index, UINT16_MAX)));
}

// Wraps like Java's long, in which clients and Kafka add them.
std::int64_t timestamp_of(const BatchHeader& header, const RecordFields& record) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(header.base_timestamp) +
                                   static_cast<std::uint64_t>(record.timestamp_delta));
}

// The distance between two int64 always fits an uint64.
bool is_further_than(std::int64_t later, std::int64_t earlier, std::int64_t distance_max) {
  const auto distance = static_cast<std::uint64_t>(later) - static_cast<std::uint64_t>(earlier);
  return distance_max < 0 || distance > static_cast<std::uint64_t>(distance_max);
}

bool is_in_window(std::int64_t timestamp, const BatchRules& rules, std::int64_t wall_ms) {
  if (timestamp == no_timestamp) return true;
  return timestamp <= wall_ms
             ? !is_further_than(wall_ms, timestamp, rules.timestamp_before_ms_max)
             : !is_further_than(timestamp, wall_ms, rules.timestamp_after_ms_max);
}

bool has_producer_fields(const BatchHeader& header, BatchOrigin origin) {
  if (!header.has_producer()) return !header.is_transactional();
  if (header.producer_epoch < 0) return false;
  return header.base_sequence >= 0 || origin == BatchOrigin::coordinator;
}

Result<void> check_header(const BatchView& batch, BatchOrigin origin) {
  const BatchHeader& header = batch.header;
  if (batch.bytes.size() != header.size_bytes()) return fail(Errc::malformed);
  if (header.magic != magic_supported) return fail(Errc::malformed);
  if (header.codec_bits() > codec_bits_max) return fail(Errc::unsupported_codec);
  if (header.is_control() && origin == BatchOrigin::client) return fail(Errc::malformed);
  if (header.is_log_append_time()) return fail(Errc::invalid_timestamp);
  if (header.record_count <= 0) return fail(Errc::malformed);
  if (std::int64_t{header.last_offset_delta} + 1 != header.record_count) {
    return fail(Errc::malformed);
  }
  if (!has_producer_fields(header, origin)) return fail(Errc::malformed);
  return {};
}

}  // namespace

struct BatchChecker::State {
  State(std::size_t bytes_max, std::size_t made_max)
      : decoder(bytes_max),
        made_bytes_max(std::min(made_max, header_bytes + Encoder::bound(bytes_max))),
        made_bytes(made_bytes_max + Encoder::slack_bytes),
        made(std::make_unique_for_overwrite<std::byte[]>(made_bytes)) {}

  Decoder decoder;
  Encoder encoder;
  std::size_t made_bytes_max;
  std::size_t made_bytes;
  std::unique_ptr<std::byte[]> made;  // with_codec's result

  Result<RecordIterator> records_of(const BatchView& batch);
  Result<Bytes> plain_of(const BatchView& batch);
};

BatchChecker::BatchChecker(std::size_t decompressed_bytes_max, std::size_t made_bytes_max)
    : state_(std::make_unique<State>(decompressed_bytes_max, made_bytes_max)) {
  TR_ASSERT(decompressed_bytes_max > 0);
  TR_ASSERT(decompressed_bytes_max <= INT32_MAX);
}

BatchChecker::~BatchChecker() = default;

Result<RecordIterator> BatchChecker::State::records_of(const BatchView& batch) {
  const std::uint8_t codec = batch.header.codec_bits();
  if (codec == 0) return RecordIterator(batch.records());
  if (const Result<void> started = decoder.start(codec, batch.records()); !started) {
    return fail(started.error());
  }
  return RecordIterator(decoder);
}

Result<CheckedBatch> BatchChecker::check(const BatchView& batch, const BatchRules& rules,
                                         std::int64_t wall_ms, BatchOrigin origin) {
  if (const Result<void> checked = check_header(batch, origin); !checked) {
    return fail(checked.error());
  }
  Result<RecordIterator> records = state_->records_of(batch);
  if (!records) return fail(records.error());

  CheckedBatch found;
  for (std::int32_t i = 0; i < batch.header.record_count; ++i) {
    const Result<RecordFields> record = records->next();
    if (!record) return fail_at(record.error().code, i);
    if (record->offset_delta != i) return fail_at(Errc::malformed, i);
    if (rules.keys_required && record->key_size < 0) return fail_at(Errc::malformed, i);
    if (rules.log_append_time) continue;  // Its own timestamps will not be seen by anybody.
    const std::int64_t timestamp = timestamp_of(batch.header, *record);
    if (origin == BatchOrigin::client && !is_in_window(timestamp, rules, wall_ms)) {
      return fail_at(Errc::invalid_timestamp, i);
    }
    if (timestamp > found.max_timestamp || i == 0) {
      found.max_timestamp = timestamp;
      found.max_timestamp_delta = i;
    }
  }
  if (const Result<void> ended = records->finish(); !ended) {
    return fail_at(ended.error().code, batch.header.record_count - 1);
  }
  if (rules.log_append_time) found.max_timestamp = wall_ms;
  return found;
}

// The records of a batch, decompressed as a whole.
Result<Bytes> BatchChecker::State::plain_of(const BatchView& batch) {
  const std::uint8_t codec = batch.header.codec_bits();
  if (codec == 0) return batch.records();
  if (const Result<void> started = decoder.start(codec, batch.records()); !started) {
    return fail(started.error());
  }
  const MutableBytes memory = decoder.memory();
  std::size_t size = 0;
  while (true) {
    // Never empty: the memory has one byte more than the decoder lets pass.
    const Result<std::size_t> step = decoder.next(memory.subspan(size));
    if (!step) return fail(step.error());
    if (*step == 0) return Bytes(memory.first(size));
    size += *step;
  }
}

Result<Bytes> BatchChecker::with_codec(const BatchView& batch, const BatchRules& rules) {
  const auto wanted = static_cast<std::uint8_t>(rules.compression);
  if (rules.compression < 0 || wanted == batch.header.codec_bits()) return batch.bytes;
  if (wanted > codec_bits_max) return fail(Errc::unsupported_codec);
  State& s = *state_;
  const Result<Bytes> plain = s.plain_of(batch);
  if (!plain) return fail(plain.error());
  BatchHeader header = batch.header;
  header.attributes = static_cast<std::int16_t>((header.attributes & ~codec_mask) | wanted);
  return make_batch(header, rules.compression_level, *plain);
}

Result<MutableBytes> BatchChecker::plain_records(const BatchView& batch) {
  if (batch.header.codec_bits() > codec_bits_max) return fail(Errc::unsupported_codec);
  const Result<Bytes> plain = state_->plain_of(batch);
  if (!plain) return fail(plain.error());
  const MutableBytes memory = state_->decoder.memory();
  if (plain->size() > memory.size()) return fail(Errc::too_large);
  if (batch.header.codec_bits() == 0) std::copy(plain->begin(), plain->end(), memory.begin());
  return memory.first(plain->size());
}

Result<Bytes> BatchChecker::make_batch(const BatchHeader& wanted, std::int32_t level, Bytes plain) {
  State& s = *state_;
  // Batches without compression come here unbounded by the decoder.
  const MutableBytes room{s.made.get() + header_bytes, s.made_bytes - header_bytes};
  std::size_t size = plain.size();
  if (wanted.codec_bits() == 0) {
    if (size > room.size()) return fail(Errc::too_large);
    std::copy(plain.begin(), plain.end(), room.begin());
  } else {
    const Result<std::size_t> packed =
        s.encoder.compress(static_cast<Codec>(wanted.codec_bits()), level, plain, room);
    if (!packed) return fail(packed.error());
    size = *packed;
  }
  if (header_bytes + size > s.made_bytes_max) return fail(Errc::too_large);
  BatchHeader header = wanted;
  const MutableBytes made{s.made.get(), header_bytes + size};
  header.batch_length = static_cast<std::int32_t>(made.size() - length_prefix_bytes);
  store_header(made, header);
  seal_crc(made);
  return Bytes(made);
}

Result<FoundRecord> BatchChecker::find_timestamp(const BatchView& batch, std::int64_t timestamp,
                                                 std::int64_t offset) {
  const BatchHeader& header = batch.header;
  Result<RecordIterator> records = state_->records_of(batch);
  if (!records) return fail(records.error());
  for (std::int32_t i = 0; i < header.record_count; ++i) {
    const Result<RecordFields> record = records->next();
    if (!record) return fail_at(record.error().code, i);
    // Compaction leaves gaps, but nothing beyond the last offset.
    if (record->offset_delta < 0 || record->offset_delta > header.last_offset_delta) {
      return fail_at(Errc::malformed, i);
    }
    const std::int64_t at =
        header.is_log_append_time() ? header.max_timestamp : timestamp_of(header, *record);
    const std::int64_t found = header.base_offset + record->offset_delta;
    if (at >= timestamp && found >= offset) return FoundRecord{found, at};
  }
  return fail(Errc::not_found);
}

}  // namespace tailrace::record
