#include "control/offsets.h"

#include <algorithm>

namespace tailrace::control {
namespace {

constexpr std::uint64_t offset_overhead_bytes = 168;  // the nodes of both maps and the record

bool is_expired(const OffsetRecord& record, std::int64_t since_ms, std::int64_t retention_ms,
                std::int64_t wall_ms) {
  if (record.expire_ms >= 0) return wall_ms >= record.expire_ms;
  return wall_ms - since_ms >= retention_ms;
}

}  // namespace

std::uint64_t OffsetTable::bytes_of(std::string_view topic, std::string_view metadata) {
  return offset_overhead_bytes + topic.size() + metadata.size();
}

const OffsetRecord* OffsetTable::find(std::string_view topic, std::int32_t partition) const {
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return nullptr;
  const auto at = found->second.find(partition);
  return at == found->second.end() ? nullptr : &at->second;
}

void OffsetTable::set(std::string_view topic, std::int32_t partition, OffsetRecord record) {
  auto found = topics_.find(topic);
  if (found == topics_.end()) found = topics_.emplace(topic, Partitions{}).first;
  const auto [at, is_new] = found->second.try_emplace(partition);
  if (!is_new) memory_bytes_ -= bytes_of(topic, at->second.metadata);
  memory_bytes_ += bytes_of(topic, record.metadata);
  size_ += is_new ? 1 : 0;
  at->second = std::move(record);
}

void OffsetTable::erase(std::string_view topic, std::int32_t partition) {
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  const auto at = found->second.find(partition);
  if (at == found->second.end()) return;
  memory_bytes_ -= bytes_of(topic, at->second.metadata);
  --size_;
  found->second.erase(at);
  if (found->second.empty()) topics_.erase(found);
}

std::vector<OffsetKey> OffsetTable::keys() const {
  std::vector<OffsetKey> keys;
  keys.reserve(size_);
  for (const auto& [topic, partitions] : topics_) {
    for (const auto& [partition, record] : partitions) keys.push_back({topic, partition});
  }
  return keys;
}

std::vector<OffsetKey> expired_offsets(const Group& group, const OffsetTable& offsets,
                                       std::int64_t retention_ms, std::int64_t wall_ms) {
  const bool is_empty = group.state() == Group::State::empty;
  const bool is_simple = group.protocol_type().empty();
  const bool has_plan = group.state() == Group::State::stable;
  std::vector<OffsetKey> expired;
  if (!is_empty && !has_plan) return expired;
  for (const auto& [topic, partitions] : offsets.topics()) {
    if (!is_empty && group.is_subscribed(topic)) continue;
    for (const auto& [partition, record] : partitions) {
      const bool since_empty = is_empty && !is_simple && group.state_ms() >= 0;
      const std::int64_t since = since_empty ? group.state_ms() : record.commit_ms;
      if (!is_expired(record, since, retention_ms, wall_ms)) continue;
      expired.push_back({topic, partition});
    }
  }
  return expired;
}

std::vector<OffsetKey> expired_offsets(const ConsumerGroup& group, const OffsetTable& offsets,
                                       std::int64_t retention_ms, std::int64_t wall_ms) {
  std::vector<OffsetKey> expired;
  for (const auto& [topic, partitions] : offsets.topics()) {
    if (group.is_subscribed(topic)) continue;
    for (const auto& [partition, record] : partitions) {
      if (!is_expired(record, record.commit_ms, retention_ms, wall_ms)) continue;
      expired.push_back({topic, partition});
    }
  }
  return expired;
}

}  // namespace tailrace::control
