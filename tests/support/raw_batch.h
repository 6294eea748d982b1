// Batches for tests of code that looks at their header and CRC only: the records are noise.
#pragma once

#include <cstdint>
#include <vector>

#include "base/prng.h"
#include "record/batch_view.h"

namespace tailrace::test {

struct RawBatch {
  std::int64_t base_offset = 0;
  std::int32_t record_count = 1;
  std::int32_t leader_epoch = 0;
  std::size_t record_bytes = 40;  // in all
  std::int64_t timestamp_ms = 1'700'000'000'000;
  std::uint64_t seed = 1;
};

inline std::vector<std::byte> make_raw_batch(const RawBatch& batch) {
  std::vector<std::byte> bytes(record::header_bytes + batch.record_bytes);
  Prng prng(batch.seed, "raw batch");
  for (std::size_t i = record::header_bytes; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(prng.next());
  }
  record::BatchHeader header;
  header.base_offset = batch.base_offset;
  header.batch_length = static_cast<std::int32_t>(bytes.size() - record::length_prefix_bytes);
  header.leader_epoch = batch.leader_epoch;
  header.last_offset_delta = batch.record_count - 1;
  header.base_timestamp = batch.timestamp_ms;
  header.max_timestamp = batch.timestamp_ms;
  header.record_count = batch.record_count;
  record::store_header(bytes, header);
  record::seal_crc(bytes);
  return bytes;
}

}  // namespace tailrace::test
