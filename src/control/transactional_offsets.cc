#include "control/transactional_offsets.h"

#include <algorithm>
#include <utility>

namespace tailrace::control {

void TransactionalOffsets::add(std::int64_t producer_id, const OffsetKey& key,
                               const OffsetRecord& record, std::uint64_t write) {
  const auto [at, is_new] = producers_[producer_id].try_emplace(key);
  if (!is_new) memory_bytes_ -= OffsetTable::bytes_of(key.topic, at->second.record.metadata);
  memory_bytes_ += OffsetTable::bytes_of(key.topic, record.metadata);
  size_ += is_new ? 1 : 0;
  at->second = {record, write};
}

void TransactionalOffsets::keep(std::int64_t producer_id, std::uint64_t write,
                                std::uint64_t order) {
  const auto found = producers_.find(producer_id);
  if (found == producers_.end()) return;
  for (auto& [key, held] : found->second) {
    if (held.write == write) held.record.order = order;
  }
}

void TransactionalOffsets::forget(std::int64_t producer_id, std::uint64_t write) {
  const auto found = producers_.find(producer_id);
  if (found == producers_.end()) return;
  std::erase_if(found->second, [&](const auto& one) {
    const auto& [key, held] = one;
    if (held.write != write) return false;
    memory_bytes_ -= OffsetTable::bytes_of(key.topic, held.record.metadata);
    --size_;
    return true;
  });
  if (found->second.empty()) producers_.erase(found);
}

std::vector<TransactionalOffsets::Pending> TransactionalOffsets::take(std::int64_t producer_id) {
  std::vector<Pending> taken;
  const auto found = producers_.find(producer_id);
  if (found == producers_.end()) return taken;
  for (auto& [key, held] : found->second) {
    memory_bytes_ -= OffsetTable::bytes_of(key.topic, held.record.metadata);
    taken.push_back({key, std::move(held.record)});
  }
  size_ -= taken.size();
  producers_.erase(found);
  return taken;
}

bool TransactionalOffsets::contains(std::string_view topic, std::int32_t partition) const {
  const OffsetKey key{std::string(topic), partition};
  return std::any_of(producers_.begin(), producers_.end(),
                     [&key](const auto& one) { return one.second.contains(key); });
}

std::vector<std::int64_t> TransactionalOffsets::producers() const {
  std::vector<std::int64_t> ids;
  for (const auto& [id, offsets] : producers_) ids.push_back(id);
  return ids;
}

}  // namespace tailrace::control
