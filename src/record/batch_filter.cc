#include "record/batch_filter.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace tailrace::record {
namespace {

// Wraps like Java's long, in which clients and Kafka add them.
std::int64_t timestamp_of(const BatchHeader& header, const RecordFields& record) {
  if (header.is_log_append_time()) return header.max_timestamp;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(header.base_timestamp) +
                                   static_cast<std::uint64_t>(record.timestamp_delta));
}

}  // namespace

BatchFilter::BatchFilter(BatchChecker& checker, std::size_t batch_bytes_max)
    : checker_(checker),
      batch_bytes_max_(batch_bytes_max),
      own_(std::make_unique_for_overwrite<std::byte[]>(batch_bytes_max)) {}

Result<void> BatchFilter::begin(const BatchView& batch) {
  if (batch.header.codec_bits() == 0) {
    const Bytes records = batch.records();
    if (records.size() > batch_bytes_max_) return fail(Errc::too_large);
    plain_ = {own_.get(), records.size()};
    std::copy(records.begin(), records.end(), plain_.begin());
  } else {
    const Result<MutableBytes> plain = checker_.plain_records(batch);
    if (!plain) return fail(plain.error());
    plain_ = *plain;
    unpacked_bytes_ += plain_.size();
  }
  record_next_ = 0;
  passed_bytes_ = 0;
  kept_bytes_ = 0;
  offset_next_ = batch.header.base_offset;
  kept_count_ = 0;
  newest_ = {};
  return {};
}

bool BatchFilter::describe(const BatchView& batch, const RecordFields& record, Seen& seen) {
  seen.offset = batch.header.base_offset + record.offset_delta;
  seen.has_key = record.key_size >= 0;
  seen.has_value = record.value_size >= 0;
  if (record.key_size > 0) seen.key = {record.key, static_cast<std::size_t>(record.key_size)};
  return seen.offset >= offset_next_ && seen.offset <= batch.header.last_offset();
}

void BatchFilter::pass(const BatchView& batch, const RecordFields& record, bool keeps) {
  // The headers are what a record ends with.
  const std::byte* end = record.headers.data() + record.headers.size();
  const auto end_pos = static_cast<std::size_t>(end - plain_.data());
  TR_ASSERT(end_pos > passed_bytes_);
  TR_ASSERT(end_pos <= plain_.size());
  offset_next_ = batch.header.base_offset + record.offset_delta + 1;
  if (keeps) {
    const std::size_t size = end_pos - passed_bytes_;
    if (kept_bytes_ != passed_bytes_) {
      std::memmove(plain_.data() + kept_bytes_, plain_.data() + passed_bytes_, size);
    }
    kept_bytes_ += size;
    const std::int64_t timestamp = timestamp_of(batch.header, record);
    if (kept_count_ == 0 || timestamp > newest_.timestamp) {
      newest_ = {.offset = offset_next_ - 1, .timestamp = timestamp};
    }
    ++kept_count_;
  }
  walked_bytes_ += end_pos - passed_bytes_;
  passed_bytes_ = end_pos;
}

Result<BatchFilter::Filtered> BatchFilter::remake(const BatchView& batch, std::int32_t level) {
  Filtered filtered{.batch = {}, .record_count = kept_count_, .newest = newest_};
  if (kept_count_ == 0) return filtered;
  if (kept_count_ == batch.header.record_count) {
    filtered.batch = batch.bytes;
    return filtered;
  }
  BatchHeader header = batch.header;
  header.record_count = kept_count_;
  if (!header.is_log_append_time()) header.max_timestamp = newest_.timestamp;
  // A client may have compressed harder than our default does.
  constexpr std::int32_t level_most = 9;
  for (const std::int32_t tried : {level, level_most}) {
    const Result<Bytes> made = checker_.make_batch(header, tried, plain_.first(kept_bytes_));
    if (header.codec_bits() != 0) packed_bytes_ += kept_bytes_;
    if (!made) return fail(made.error());
    if (made->size() > batch_bytes_max_) continue;
    filtered.batch = *made;
    return filtered;
  }
  return fail(Errc::too_large);
}

void store_empty_batch(MutableBytes batch, const BatchHeader& full) {
  TR_ASSERT(batch.size() == header_bytes);
  BatchHeader header = full;
  header.attributes = static_cast<std::int16_t>(full.attributes & ~codec_mask);
  header.batch_length = static_cast<std::int32_t>(header_bytes - length_prefix_bytes);
  header.base_timestamp = -1;
  header.record_count = 0;
  store_header(batch, header);
  seal_crc(batch);
}

}  // namespace tailrace::record
