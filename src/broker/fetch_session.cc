#include "broker/fetch_session.h"

#include <algorithm>
#include <cstring>

namespace tailrace::broker {

FetchSessions::FetchSessions(const Limits& limits, std::uint16_t core, MemoryPool& memory)
    : limits_(limits), core_(core), memory_(memory), sessions_(limits.fetch_sessions_max),
      by_id_(limits.fetch_sessions_max), prng_(core, "fetch_session") {}

FetchSession* FetchSessions::create(Now now) {
  if (sessions_.full()) {
    FetchSession* oldest = use_order_.front();
    while (oldest != nullptr && oldest->in_use) oldest = use_order_.next(*oldest);
    if (oldest == nullptr) return nullptr;
    if (now.instant - oldest->last_used < limits_.fetch_session_idle_min) return nullptr;
    remove(*oldest);
  }
  const Handle<FetchSession> handle = sessions_.insert();
  FetchSession& session = sessions_.at(handle);
  session.handle = handle;
  session.session_id = new_id(now);
  session.last_used = now.instant;
  by_id_.insert(static_cast<std::uint64_t>(session.session_id), handle);
  use_order_.push_back(session);
  return &session;
}

// Numbers that a client of an earlier life of this broker, or of another core, is unlikely to
// come back with.
std::int32_t FetchSessions::new_id(Now now) {
  if (!is_seeded_) {
    prng_ = Prng(static_cast<std::uint64_t>(now.wall_ms) * 64 + core_, "fetch_session");
    is_seeded_ = true;
  }
  for (;;) {
    const auto id = static_cast<std::int32_t>(prng_.between(1, INT32_MAX - 1));
    if (by_id_.find(static_cast<std::uint64_t>(id)).is_null()) return id;
  }
}

FetchSession* FetchSessions::find(std::int32_t session_id) {
  return sessions_.find(by_id_.find(static_cast<std::uint64_t>(session_id)));
}

void FetchSessions::used(FetchSession& session, Now now) {
  session.last_used = now.instant;
  use_order_.remove(session);
  use_order_.push_back(session);
}

void FetchSessions::remove(FetchSession& session) {
  use_order_.remove(session);
  by_id_.erase(static_cast<std::uint64_t>(session.session_id));
  memory_.free(session.topic_memory);
  memory_.free(session.partition_memory);
  sessions_.erase(session.handle);
}

// Makes room for `more_bytes` behind the `used_bytes` that are kept.
bool FetchSessions::grow(MutableBytes& memory, std::size_t used_bytes, std::size_t more_bytes) {
  if (used_bytes + more_bytes <= memory.size()) return true;
  const std::size_t wanted = std::max(used_bytes + more_bytes, 2 * memory.size());
  MutableBytes bigger = memory_.allocate(wanted);
  if (bigger.empty()) return false;
  if (used_bytes > 0) std::memcpy(bigger.data(), memory.data(), used_bytes);
  memory_.free(memory);
  memory = bigger;
  return true;
}

std::uint32_t FetchSessions::find_topic(FetchSession& session, std::string_view name,
                                        const Uuid& id) const {
  const auto topics = session.topics();
  for (std::size_t i = 0; i < topics.size(); ++i) {
    const bool same = session.by_id ? topics[i].id == id : topics[i].name_text() == name;
    if (same) return static_cast<std::uint32_t>(i);
  }
  return UINT32_MAX;
}

std::uint32_t FetchSessions::add_topic(FetchSession& session, std::string_view name,
                                       const Uuid& id) {
  if (name.size() > sizeof(FetchSessionTopic::name)) return UINT32_MAX;
  const std::uint32_t known = find_topic(session, name, id);
  if (known != UINT32_MAX) return known;
  const std::size_t used = session.topic_count * sizeof(FetchSessionTopic);
  if (!grow(session.topic_memory, used, sizeof(FetchSessionTopic))) return UINT32_MAX;
  auto* topic = new (session.topic_memory.data() + used) FetchSessionTopic{};
  topic->id = id;
  topic->name_size = static_cast<std::uint8_t>(name.size());
  std::memcpy(topic->name, name.data(), name.size());
  return static_cast<std::uint32_t>(session.topic_count++);
}

// Requests name partitions in the session's order, mostly; so each search begins where the last
// one ended.
FetchSessionPartition* FetchSessions::find(FetchSession& session, std::uint32_t topic,
                                           std::int32_t partition) {
  const auto partitions = session.partitions();
  for (std::size_t i = 0; i < partitions.size(); ++i) {
    const std::size_t at = (search_hint_ + i) % partitions.size();
    if (partitions[at].topic != topic || partitions[at].partition != partition) continue;
    search_hint_ = at + 1;
    return &partitions[at];
  }
  return nullptr;
}

bool FetchSessions::put(FetchSession& session, const FetchSessionPartition& partition) {
  if (auto* known = find(session, partition.topic, partition.partition)) {
    known->fetch_offset = partition.fetch_offset;
    known->leader_epoch = partition.leader_epoch;
    known->last_fetched_epoch = partition.last_fetched_epoch;
    known->bytes_max = partition.bytes_max;
    return true;
  }
  const std::size_t used = session.partition_count * sizeof(FetchSessionPartition);
  if (!grow(session.partition_memory, used, sizeof(FetchSessionPartition))) return false;
  new (session.partition_memory.data() + used) FetchSessionPartition(partition);
  ++session.partition_count;
  return true;
}

void FetchSessions::forget(FetchSession& session, std::string_view name, const Uuid& id,
                           std::int32_t partition) {
  const std::uint32_t topic = find_topic(session, name, id);
  if (topic == UINT32_MAX) return;
  FetchSessionPartition* found = find(session, topic, partition);
  if (found == nullptr) return;
  const auto partitions = session.partitions();
  std::copy(found + 1, partitions.data() + partitions.size(), found);
  --session.partition_count;
}

}  // namespace tailrace::broker
