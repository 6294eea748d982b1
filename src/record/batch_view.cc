#include "record/batch_view.h"

#include "base/assert.h"
#include "base/crc32c.h"

namespace tailrace::record {

Result<BatchHeader> parse_header(Bytes bytes) {
  if (bytes.size() < header_bytes) return fail(Errc::truncated);
  const std::byte* at = bytes.data();
  BatchHeader header;
  header.base_offset = load_be<std::int64_t>(at);
  header.batch_length = load_be<std::int32_t>(at + 8);
  header.leader_epoch = load_be<std::int32_t>(at + 12);
  header.magic = load_be<std::int8_t>(at + 16);
  header.crc = load_be<std::uint32_t>(at + 17);
  header.attributes = load_be<std::int16_t>(at + 21);
  header.last_offset_delta = load_be<std::int32_t>(at + 23);
  header.base_timestamp = load_be<std::int64_t>(at + 27);
  header.max_timestamp = load_be<std::int64_t>(at + 35);
  header.producer_id = load_be<std::int64_t>(at + 43);
  header.producer_epoch = load_be<std::int16_t>(at + 51);
  header.base_sequence = load_be<std::int32_t>(at + 53);
  header.record_count = load_be<std::int32_t>(at + 57);
  if (header.magic != magic_supported) return fail(Errc::unsupported);
  constexpr std::int32_t length_min = header_bytes - length_prefix_bytes;
  if (header.batch_length < length_min) return fail(Errc::malformed);
  if (header.last_offset_delta < 0 || header.record_count < 0) return fail(Errc::malformed);
  return header;
}

Result<BatchView> parse_batch(Bytes bytes) {
  const Result<BatchHeader> header = parse_header(bytes);
  if (!header) return fail(header.error());
  if (bytes.size() < header->size_bytes()) return fail(Errc::truncated);
  return BatchView{*header, bytes.first(header->size_bytes())};
}

bool crc_matches(Bytes batch) {
  TR_ASSERT(batch.size() >= header_bytes);
  return crc32c(batch.subspan(crc_start)) == load_be<std::uint32_t>(batch.data() + 17);
}

void set_base_offset(MutableBytes batch, std::int64_t base_offset) {
  TR_ASSERT(batch.size() >= header_bytes);
  store_be(batch.data(), base_offset);
}

void set_leader_epoch(MutableBytes batch, std::int32_t leader_epoch) {
  TR_ASSERT(batch.size() >= header_bytes);
  store_be(batch.data() + 12, leader_epoch);
}

void set_log_append_time(MutableBytes batch, std::int64_t append_ms) {
  const auto attributes = load_be<std::int16_t>(batch.data() + 21);
  store_be(batch.data() + 21, static_cast<std::int16_t>(attributes | log_append_time_bit));
  store_be(batch.data() + 35, append_ms);
  seal_crc(batch);
}

void set_max_timestamp(MutableBytes batch, std::int64_t max_timestamp_ms) {
  store_be(batch.data() + 35, max_timestamp_ms);
  seal_crc(batch);
}

void store_header(MutableBytes batch, const BatchHeader& header) {
  TR_ASSERT(batch.size() >= header_bytes);
  std::byte* at = batch.data();
  store_be(at, header.base_offset);
  store_be(at + 8, header.batch_length);
  store_be(at + 12, header.leader_epoch);
  store_be(at + 16, header.magic);
  store_be(at + 17, header.crc);
  store_be(at + 21, header.attributes);
  store_be(at + 23, header.last_offset_delta);
  store_be(at + 27, header.base_timestamp);
  store_be(at + 35, header.max_timestamp);
  store_be(at + 43, header.producer_id);
  store_be(at + 51, header.producer_epoch);
  store_be(at + 53, header.base_sequence);
  store_be(at + 57, header.record_count);
}

void seal_crc(MutableBytes batch) {
  TR_ASSERT(batch.size() >= header_bytes);
  store_be(batch.data() + 17, crc32c(batch.subspan(crc_start)));
}

}  // namespace tailrace::record
