// History: what the clients of a run did and were told, as the checkers need it. A record is known
// by its number, which its value carries, so that a read can be traced to the one send it came
// from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/uuid.h"

namespace tailrace::sim {

struct SentRecord {
  std::uint32_t partition = 0;     // index into History::partitions
  std::uint32_t producer = 0;
  std::uint32_t number = 0;        // of this producer in this partition, from 0
  std::uint32_t stream = 0;        // order is promised among records with the same stream
  bool idempotent = false;
  std::uint32_t value_bytes = 0;
  std::uint32_t batch_bytes = 0;   // of the whole batch, with its first record; else 0
  std::int64_t timestamp_ms = 0;
  std::int64_t acked_offset = -1;
  std::int64_t seen_offset = -1;   // where it was first acked or read
};

struct PartitionHistory {
  std::uint32_t topic = 0;         // index into History::topics
  std::int32_t index = 0;
  std::vector<std::int64_t> known; // by offset: the record's number, -1 unknown
  std::int64_t read_end = 0;       // consumers saw everything below, or could have
  std::int64_t log_start_seen = 0;
  std::uint64_t sent_bytes = 0;    // of all batches that may have been appended
  std::int64_t delete_records_to = 0;     // the furthest that DeleteRecords ever asked for
  std::int64_t delete_records_acked = 0;  // the furthest that it was told to have done
};

struct TopicHistory {
  std::string name;
  Uuid id;
  std::int32_t partition_count = 0;
  std::uint32_t first_partition = 0;   // index into History::partitions; partitions may be apart
  std::vector<std::uint32_t> partitions;
  bool created = false;            // the creation was acknowledged
  bool deleting = false;           // its deletion was asked for: nothing is promised any more
  bool deleted = false;            // and acknowledged
  bool by_id_only = false;         // its name has been or will be another topic's as well
  std::int64_t segment_bytes = 0;
  // The most that retention was ever allowed to remove.
  std::int64_t retention_ms_least = INT64_MAX;
  std::int64_t retention_bytes_least = INT64_MAX;
};

struct History {
  std::vector<SentRecord> records;
  std::vector<PartitionHistory> partitions;
  std::vector<TopicHistory> topics;
  std::vector<std::int64_t> producer_ids;  // all that were ever given

  const TopicHistory& topic_of(const PartitionHistory& partition) const {
    return topics[partition.topic];
  }
  std::uint32_t add_partition(std::uint32_t topic, std::int32_t index) {
    partitions.push_back({.topic = topic, .index = index});
    topics[topic].partitions.push_back(static_cast<std::uint32_t>(partitions.size() - 1));
    return static_cast<std::uint32_t>(partitions.size() - 1);
  }
  std::string name_of(std::uint32_t partition) const {
    const PartitionHistory& p = partitions[partition];
    return topics[p.topic].name + "-" + std::to_string(p.index);
  }
};

// The value of record `number`: the number, then bytes that follow from it. At least 8 bytes.
std::string record_value(std::uint64_t number, std::uint32_t bytes);
// The number that `value` carries; -1 when the bytes behind it are not what they should be.
std::int64_t record_number(std::string_view value);

}  // namespace tailrace::sim
