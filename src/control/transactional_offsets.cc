#include "control/transactional_offsets.h"

#include <algorithm>
#include <utility>

namespace tailrace::control {

void TransactionalOffsets::add(std::int64_t producer_id, const OffsetKey& key,
                               const OffsetRecord& record, std::uint64_t write) {
  Versions& versions = producers_[producer_id][key];
  if (write == 0) erase(key, versions, versions.begin(), versions.end());
  memory_bytes_ += OffsetTable::bytes_of(key.topic, record.metadata);
  ++size_;
  versions.push_back({record, write});
}

void TransactionalOffsets::erase(const OffsetKey& key, Versions& versions,
                                 Versions::iterator first, Versions::iterator last) {
  for (auto at = first; at != last; ++at) {
    memory_bytes_ -= OffsetTable::bytes_of(key.topic, at->record.metadata);
    --size_;
  }
  versions.erase(first, last);
}

void TransactionalOffsets::keep(std::int64_t producer_id, std::uint64_t write,
                                std::uint64_t order) {
  const auto found = producers_.find(producer_id);
  if (found == producers_.end()) return;
  for (auto& [key, versions] : found->second) {
    const auto held = std::find_if(versions.begin(), versions.end(),
                                   [&](const Held& one) { return one.write == write; });
    if (held == versions.end()) continue;
    held->record.order = order;
    held->write = 0;
    erase(key, versions, versions.begin(), held);
  }
}

void TransactionalOffsets::forget(std::int64_t producer_id, std::uint64_t write) {
  const auto found = producers_.find(producer_id);
  if (found == producers_.end()) return;
  Offsets& offsets = found->second;
  for (auto at = offsets.begin(); at != offsets.end();) {
    auto& [key, versions] = *at;
    const auto held = std::find_if(versions.begin(), versions.end(),
                                   [&](const Held& one) { return one.write == write; });
    if (held != versions.end()) erase(key, versions, held, std::next(held));
    at = versions.empty() ? offsets.erase(at) : std::next(at);
  }
  if (found->second.empty()) producers_.erase(found);
}

std::vector<TransactionalOffsets::Pending> TransactionalOffsets::take(std::int64_t producer_id) {
  std::vector<Pending> taken;
  const auto found = producers_.find(producer_id);
  if (found == producers_.end()) return taken;
  for (auto& [key, versions] : found->second) {
    taken.push_back({key, versions.back().record});
    erase(key, versions, versions.begin(), versions.end());
  }
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
