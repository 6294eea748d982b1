// RecordBatch format 2 (Kafka's magic 2): the 61-byte header and views over whole batches.
//
//   0 base_offset 8 | 8 batch_length 4 | 12 leader_epoch 4 | 16 magic 1 | 17 crc 4
//   21 attributes 2 | 23 last_offset_delta 4 | 27 base_timestamp 8 | 35 max_timestamp 8
//   43 producer_id 8 | 51 producer_epoch 2 | 53 base_sequence 4 | 57 record_count 4 | 61 records
//
// The CRC-32C covers everything from the attributes on, so base offset and leader epoch are given
// in place without touching it. All numbers are big-endian.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace tailrace::record {

inline constexpr std::size_t header_bytes = 61;
inline constexpr std::size_t length_prefix_bytes = 12;  // what batch_length does not count
inline constexpr std::size_t crc_start = 21;
inline constexpr std::int8_t magic_supported = 2;

enum class Codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
inline constexpr std::int16_t codec_mask = 0x07;
inline constexpr std::int16_t log_append_time_bit = 0x08;
inline constexpr std::int16_t transactional_bit = 0x10;
inline constexpr std::int16_t control_bit = 0x20;
// KIP-534: the base timestamp is the time from which on compaction may drop the batch.
inline constexpr std::int16_t delete_horizon_bit = 0x40;

struct BatchHeader {
  std::int64_t base_offset = 0;
  std::int32_t batch_length = 0;
  std::int32_t leader_epoch = -1;
  std::int8_t magic = magic_supported;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = -1;
  std::int64_t max_timestamp = -1;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t record_count = 0;

  std::size_t size_bytes() const {
    return length_prefix_bytes + static_cast<std::size_t>(batch_length);
  }
  std::int64_t last_offset() const { return base_offset + last_offset_delta; }
  std::uint8_t codec_bits() const { return static_cast<std::uint8_t>(attributes & codec_mask); }
  bool is_log_append_time() const { return (attributes & log_append_time_bit) != 0; }
  bool is_transactional() const { return (attributes & transactional_bit) != 0; }
  bool is_control() const { return (attributes & control_bit) != 0; }
  bool has_delete_horizon() const { return (attributes & delete_horizon_bit) != 0; }
  bool has_producer() const { return producer_id >= 0; }
  // Sequence numbers wrap from 2^31 - 1 to 0 (KIP-98).
  std::int32_t last_sequence() const {
    const std::int64_t last = std::int64_t{base_sequence} + last_offset_delta;
    return static_cast<std::int32_t>(last > INT32_MAX ? last - INT32_MAX - 1 : last);
  }
};

// Reads the header at the front of `bytes`. Errors: truncated (fewer than 61 bytes), unsupported
// (another magic), malformed (a length that cannot hold the header, negative counts).
Result<BatchHeader> parse_header(Bytes bytes);

// The batch at the front of `bytes`, whole. Errors: those of parse_header; truncated.
struct BatchView {
  BatchHeader header;
  Bytes bytes;
  Bytes records() const { return bytes.subspan(header_bytes); }
};
Result<BatchView> parse_batch(Bytes bytes);

// True when the CRC in the header is that of the bytes. `batch` is whole.
bool crc_matches(Bytes batch);

// Fields outside the CRC. `batch` holds at least the header.
void set_base_offset(MutableBytes batch, std::int64_t base_offset);
void set_leader_epoch(MutableBytes batch, std::int32_t leader_epoch);

// Fields inside it: these write the field(s) and a new CRC. `batch` is whole.
void set_log_append_time(MutableBytes batch, std::int64_t append_ms);
void set_max_timestamp(MutableBytes batch, std::int64_t max_timestamp_ms);

// Writes all fields of `header` but leaves the CRC as header.crc says.
void store_header(MutableBytes batch, const BatchHeader& header);
// Computes and writes the CRC of a whole batch.
void seal_crc(MutableBytes batch);

}  // namespace tailrace::record
