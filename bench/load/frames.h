// What the load client sends and reads: requests cut into a small front, the shared record bytes
// and a small back, so that a thousand partitions do not need a thousand copies of a batch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace tailrace::load {

inline constexpr std::int16_t produce_version = 9;   // by topic name, flexible
inline constexpr std::int16_t fetch_version = 12;

// A whole request frame but for its correlation id, which is written into a copy of `front`.
struct Frame {
  std::vector<std::byte> front;
  Bytes records;                // lives elsewhere
  std::vector<std::byte> back;
  std::size_t size_bytes() const { return front.size() + records.size() + back.size(); }
};
void set_correlation(MutableBytes front, std::int32_t correlation_id);

// One RecordBatch of at most `bytes`, as full of records of `record_bytes` as it gets.
struct Batch {
  std::vector<std::byte> bytes;
  std::int32_t record_count = 0;
};
Batch make_batch(std::size_t bytes, std::size_t record_bytes);

Frame produce_frame(std::string_view topic, std::int32_t partition, Bytes records,
                    std::int16_t acks);
struct FetchWish {
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int32_t bytes_max = 0;
};
Frame fetch_frame(std::string_view topic, const FetchWish& wish);

using Config = std::pair<std::string, std::string>;
Frame create_topic_frame(std::string_view topic, std::int32_t partition_count,
                         const std::vector<Config>& configs);
// The end of every partition.
Frame list_offsets_frame(std::string_view topic, std::int32_t partition_count);

// Answers: `frame` is a response without its length. Codes are Kafka's; -2: not to be decoded.
inline constexpr std::int16_t cannot_decode = -2;
std::int16_t produce_error(Bytes frame);
struct Fetched {
  std::int16_t error = 0;
  std::size_t bytes = 0;
  std::int64_t base_offset = -1;   // of the first batch
};
Fetched read_fetched(Bytes frame);
std::int16_t create_topic_error(Bytes frame);
// False when a partition is missing or in error.
bool read_end_offsets(Bytes frame, std::vector<std::int64_t>& ends);

}  // namespace tailrace::load
