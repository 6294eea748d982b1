// OffsetTable: the committed offsets of one group, and which of them are too old to keep.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/consumer_group.h"
#include "control/group.h"
#include "control/group_records.h"

namespace tailrace::control {

struct OffsetKey {
  std::string topic;
  std::int32_t partition = -1;
  friend auto operator<=>(const OffsetKey&, const OffsetKey&) = default;
};

class OffsetTable {
 public:
  using Partitions = std::map<std::int32_t, OffsetRecord>;

  // Null when none is committed.
  const OffsetRecord* find(std::string_view topic, std::int32_t partition) const;
  void set(std::string_view topic, std::int32_t partition, OffsetRecord record);
  void erase(std::string_view topic, std::int32_t partition);

  const std::map<std::string, Partitions, std::less<>>& topics() const { return topics_; }
  std::vector<OffsetKey> keys() const;
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Held, roughly.
  std::uint64_t memory_bytes() const { return memory_bytes_; }
  // What one more offset takes.
  static std::uint64_t bytes_of(std::string_view topic, std::string_view metadata);

 private:
  std::map<std::string, Partitions, std::less<>> topics_;
  std::size_t size_ = 0;
  std::uint64_t memory_bytes_ = 0;
};

// Offsets that were not used for `retention_ms`, as Kafka reckons: of an empty group since it
// became empty, of a group that only commits since the commit, of a live group only those of
// topics that no member reads, since the commit. One with a time of its own goes at that time,
// where others go at all.
std::vector<OffsetKey> expired_offsets(const Group& group, const OffsetTable& offsets,
                                       std::int64_t retention_ms, std::int64_t wall_ms);
// Of a group of the consumer protocol: of topics that no member reads, since the commit.
std::vector<OffsetKey> expired_offsets(const ConsumerGroup& group, const OffsetTable& offsets,
                                       std::int64_t retention_ms, std::int64_t wall_ms);

}  // namespace tailrace::control
