#include "raft/entries.h"

#include <cstring>
#include <utility>

#include "base/assert.h"

namespace tailrace::raft {
namespace {

void put(std::vector<std::byte>& bytes, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<std::byte>(value >> shift));
  }
}

bool take(Bytes& bytes, std::uint32_t& value) {
  if (bytes.size() < 4) return false;
  value = 0;
  for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t(bytes[i]) << (8 * i);
  bytes = bytes.subspan(4);
  return true;
}

bool take_nodes(Bytes& bytes, std::vector<NodeId>& nodes) {
  std::uint32_t count = 0;
  if (!take(bytes, count) || count > bytes.size() / 4) return false;
  nodes.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t id = 0;
    take(bytes, id);
    if (static_cast<NodeId>(id) < 0) return false;
    if (!nodes.empty() && nodes.back() >= static_cast<NodeId>(id)) return false;
    nodes.push_back(static_cast<NodeId>(id));
  }
  return true;
}

}  // namespace

std::vector<std::byte> encode_configuration(const Configuration& configuration) {
  std::vector<std::byte> bytes;
  for (const std::vector<NodeId>* nodes : {&configuration.voters, &configuration.learners}) {
    put(bytes, static_cast<std::uint32_t>(nodes->size()));
    for (const NodeId id : *nodes) put(bytes, static_cast<std::uint32_t>(id));
  }
  return bytes;
}

bool decode_configuration(Bytes bytes, Configuration& configuration) {
  Configuration decoded;
  if (!take_nodes(bytes, decoded.voters) || !take_nodes(bytes, decoded.learners)) return false;
  if (!bytes.empty() || decoded.voters.empty()) return false;
  configuration = std::move(decoded);
  return true;
}

Entries::Entries(Index snapshot_index, Term snapshot_term, const Configuration& configuration)
    : snapshot_index_(snapshot_index), snapshot_term_(snapshot_term) {
  configurations_[snapshot_index] = configuration;
}

Term Entries::term_at(Index index) const {
  TR_ASSERT(index >= snapshot_index_);
  TR_ASSERT(index <= last());
  return index == snapshot_index_ ? snapshot_term_ : at(index).term;
}

const Entry& Entries::at(Index index) const {
  TR_ASSERT(index >= first());
  TR_ASSERT(index <= last());
  return entries_[index - first()];
}

const Configuration& Entries::configuration_at(Index index) const {
  auto after = configurations_.upper_bound(index);
  TR_ASSERT(after != configurations_.begin());
  return (--after)->second;
}

bool Entries::append(Entry entry) {
  if (entry.index < first() || entry.index > last() + 1) return false;
  if (entry.term < term_at(entry.index - 1)) return false;
  Configuration configuration;
  const bool configures = entry.kind == EntryKind::configuration;
  if (configures && !decode_configuration(entry.bytes, configuration)) return false;
  if (entry.index <= last()) {
    entries_.resize(entry.index - first());
    configurations_.erase(configurations_.lower_bound(entry.index), configurations_.end());
  }
  if (configures) configurations_[entry.index] = std::move(configuration);
  entries_.push_back(std::move(entry));
  return true;
}

void Entries::compact(Index index) {
  TR_ASSERT(index <= last());
  if (index <= snapshot_index_) return;
  const Term term = term_at(index);
  Configuration configuration = configuration_at(index);
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(index - snapshot_index_));
  configurations_.erase(configurations_.begin(), configurations_.upper_bound(index));
  configurations_[index] = std::move(configuration);
  snapshot_index_ = index;
  snapshot_term_ = term;
}

}  // namespace tailrace::raft
