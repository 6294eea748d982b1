#include "broker/fetch_session.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tailrace::broker {
namespace {

constexpr std::uint32_t none = UINT32_MAX;
constexpr std::size_t cells_min = 128;

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

// A cell of the index: 0 when it is empty, or 1 + what it names.
struct Named {
  bool is_topic;
  std::uint32_t place;
};
std::uint32_t to_cell(Named named) { return 1 + (named.place << 1 | (named.is_topic ? 1U : 0U)); }
Named from_cell(std::uint32_t cell) { return {((cell - 1) & 1) != 0, (cell - 1) >> 1}; }

// Where the first of its kind lies for which `is_same`.
template <class IsSame>
std::uint32_t look_up(std::span<const std::uint32_t> cells, std::uint64_t hash, bool is_topic,
                      IsSame is_same) {
  if (cells.empty()) return none;
  const std::size_t mask = cells.size() - 1;
  for (std::size_t i = hash & mask; cells[i] != 0; i = (i + 1) & mask) {
    const Named named = from_cell(cells[i]);
    if (named.is_topic == is_topic && is_same(named.place)) return named.place;
  }
  return none;
}

void enter(std::span<std::uint32_t> cells, std::uint64_t hash, Named named) {
  const std::size_t mask = cells.size() - 1;
  std::size_t i = hash & mask;
  while (cells[i] != 0) i = (i + 1) & mask;
  cells[i] = to_cell(named);
}

}  // namespace

FetchSessions::FetchSessions(const Limits& limits, std::uint16_t core, MemoryPool& memory)
    : limits_(limits),
      // Each partition may stand below a topic of its own in a response.
      partitions_max_(std::min(limits.fetch_session_partitions_max, limits.asked_max() / 2)),
      core_(core), memory_(memory), held_bytes_max_(limits.answer_memory_bytes / 4),
      sessions_(limits.fetch_sessions_max),
      by_id_(limits.fetch_sessions_max), prng_(core, "fetch_session") {}

FetchSession* FetchSessions::create(Now now) {
  if (sessions_.full() || held_bytes_ > held_bytes_max_ / 2) evict_oldest(now);
  if (sessions_.full()) return nullptr;
  const Handle<FetchSession> handle = sessions_.insert();
  FetchSession& session = sessions_.at(handle);
  session.handle = handle;
  session.session_id = new_id(now);
  session.last_used = now.instant;
  by_id_.insert(static_cast<std::uint64_t>(session.session_id), handle);
  use_order_.push_back(session);
  return &session;
}

void FetchSessions::evict_oldest(Now now) {
  FetchSession* oldest = use_order_.front();
  while (oldest != nullptr && oldest->in_use) oldest = use_order_.next(*oldest);
  if (oldest == nullptr) return;
  if (now.instant - oldest->last_used >= limits_.fetch_session_idle_min) remove(*oldest);
}

// Numbers that a client of an earlier life of this broker, or of another core, is unlikely to
// come back with.
std::int32_t FetchSessions::new_id(Now now) {
  if (!is_seeded_) {
    prng_ = Prng(static_cast<std::uint64_t>(now.wall_ms) * 64 + core_, "fetch_session");
    hash_seed_ = prng_.next();
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
  free(session.topic_memory);
  free(session.partition_memory);
  free(session.index_memory);
  sessions_.erase(session.handle);
}

// --- topics

std::uint32_t FetchSessions::find_topic(FetchSession& session, std::string_view name,
                                        const Uuid& id) const {
  const auto topics = session.topics();
  return look_up(session.cells(), hash_topic(session, name, id), true, [&](std::uint32_t place) {
    return session.by_id ? topics[place].id == id : topics[place].name_text() == name;
  });
}

std::uint32_t FetchSessions::add_topic(FetchSession& session, std::string_view name,
                                       const Uuid& id) {
  if (name.size() > kafka::topic_name_bytes_max) return none;
  const std::uint32_t known = find_topic(session, name, id);
  if (known != none) return known;
  const std::size_t used = session.topic_count * sizeof(FetchSessionTopic);
  const bool reuses = session.free_topic != none;
  if (!reuses && !grow(session.topic_memory, used, sizeof(FetchSessionTopic))) return none;
  if (!reserve_cell(session)) return none;
  const auto place = reuses ? session.free_topic : static_cast<std::uint32_t>(session.topic_count);
  if (reuses) {
    session.free_topic = session.topics()[place].next_free;
  } else {
    ++session.topic_count;
  }
  auto& topic = *new (&session.topics()[place]) FetchSessionTopic{};
  topic.id = id;
  topic.name_size = static_cast<std::uint8_t>(name.size());
  if (!name.empty()) std::memcpy(topic.name, name.data(), name.size());  // Else by its id.
  enter(session.cells(), hash_topic(session, name, id), {true, place});
  return place;
}

// --- partitions

FetchSessionPartition* FetchSessions::find(FetchSession& session, std::uint32_t topic,
                                           std::int32_t partition) {
  const auto partitions = session.partitions();
  const std::uint32_t place =
      look_up(session.cells(), hash_partition(topic, partition), false, [&](std::uint32_t at) {
        return partitions[at].topic == topic && partitions[at].partition == partition;
      });
  return place == none ? nullptr : &partitions[place];
}

bool FetchSessions::put(FetchSession& session, const FetchSessionPartition& partition) {
  TR_ASSERT(!session.has_forgotten);
  if (auto* known = find(session, partition.topic, partition.partition)) {
    known->fetch_offset = partition.fetch_offset;
    known->leader_epoch = partition.leader_epoch;
    known->last_fetched_epoch = partition.last_fetched_epoch;
    known->bytes_max = partition.bytes_max;
    return true;
  }
  if (session.partition_count >= partitions_max_) return false;
  const std::size_t used = session.partition_count * sizeof(FetchSessionPartition);
  if (!grow(session.partition_memory, used, sizeof(FetchSessionPartition))) return false;
  if (!reserve_cell(session)) return false;
  const auto place = static_cast<std::uint32_t>(session.partition_count++);
  new (&session.partitions()[place]) FetchSessionPartition(partition);
  ++session.topics()[partition.topic].partition_count;
  enter(session.cells(), hash_partition(partition.topic, partition.partition), {false, place});
  return true;
}

void FetchSessions::forget(FetchSession& session, std::string_view name, const Uuid& id,
                           std::int32_t partition) {
  const std::uint32_t topic = find_topic(session, name, id);
  if (topic == none) return;
  FetchSessionPartition* found = find(session, topic, partition);
  if (found == nullptr || found->is_forgotten) return;
  found->is_forgotten = true;
  session.has_forgotten = true;
  --session.topics()[topic].partition_count;
}

// All at once: each by itself would move all that stand behind it.
void FetchSessions::drop_forgotten(FetchSession& session) {
  if (!session.has_forgotten) return;
  session.has_forgotten = false;
  const auto partitions = session.partitions();
  const auto end = std::remove_if(partitions.begin(), partitions.end(),
                                  [](const auto& partition) { return partition.is_forgotten; });
  session.partition_count = static_cast<std::size_t>(end - partitions.begin());
  const auto topics = session.topics();
  for (std::size_t i = 0; i < topics.size(); ++i) {
    if (topics[i].is_free || topics[i].partition_count > 0) continue;
    topics[i].is_free = true;
    topics[i].next_free = session.free_topic;
    session.free_topic = static_cast<std::uint32_t>(i);
  }
  fill_index(session);
}

// --- the index

std::uint64_t FetchSessions::hash_topic(const FetchSession& session, std::string_view name,
                                        const Uuid& id) const {
  std::uint64_t hash = hash_seed_;
  const auto add = [&hash](const auto& bytes) {
    for (const auto byte : bytes) {
      hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
    }
  };
  session.by_id ? add(id.bytes) : add(name);
  return mix(hash);
}

std::uint64_t FetchSessions::hash_partition(std::uint32_t topic, std::int32_t partition) const {
  const std::uint64_t both = std::uint64_t{topic} << 32 | static_cast<std::uint32_t>(partition);
  return mix(hash_seed_ ^ both);
}

// Room for one more entry, with half of the cells still empty.
bool FetchSessions::reserve_cell(FetchSession& session) {
  const std::size_t wanted = 2 * (session.topic_count + session.partition_count + 1);
  if (wanted <= session.cells().size()) return true;
  const std::size_t cell_count = std::max(cells_min, std::bit_ceil(wanted));
  MutableBytes bigger = allocate(cell_count * sizeof(std::uint32_t));
  if (bigger.empty()) return false;
  free(session.index_memory);
  session.index_memory = bigger;
  fill_index(session);
  return true;
}

void FetchSessions::fill_index(FetchSession& session) {
  const auto cells = session.cells();
  std::fill(cells.begin(), cells.end(), 0U);
  const auto topics = session.topics();
  for (std::uint32_t i = 0; i < topics.size(); ++i) {
    if (topics[i].is_free) continue;
    enter(cells, hash_topic(session, topics[i].name_text(), topics[i].id), {true, i});
  }
  const auto partitions = session.partitions();
  for (std::uint32_t i = 0; i < partitions.size(); ++i) {
    enter(cells, hash_partition(partitions[i].topic, partitions[i].partition), {false, i});
  }
}

// --- memory

// Makes room for `more_bytes` behind the `used_bytes` that are kept.
bool FetchSessions::grow(MutableBytes& memory, std::size_t used_bytes, std::size_t more_bytes) {
  if (used_bytes + more_bytes <= memory.size()) return true;
  const std::size_t wanted = std::max(used_bytes + more_bytes, 2 * memory.size());
  MutableBytes bigger = allocate(wanted);
  if (bigger.empty()) return false;
  if (used_bytes > 0) std::memcpy(bigger.data(), memory.data(), used_bytes);
  free(memory);
  memory = bigger;
  return true;
}

MutableBytes FetchSessions::allocate(std::size_t bytes) {
  const std::uint64_t before = memory_.used_bytes();
  MutableBytes piece = memory_.allocate(bytes);
  held_bytes_ += memory_.used_bytes() - before;
  if (held_bytes_ > held_bytes_max_) free(piece);
  return piece;
}

void FetchSessions::free(MutableBytes& piece) {
  const std::uint64_t before = memory_.used_bytes();
  memory_.free(piece);
  held_bytes_ -= before - memory_.used_bytes();
}

}  // namespace tailrace::broker
