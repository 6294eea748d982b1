// Fetch sessions (KIP-227): the broker remembers which partitions a consumer fetches, so that
// requests and responses name only what changed.
//
// Their number, their partitions and their memory are bounded; a new one may take the place of the
// session that was used least recently, if that one has been idle for a while. A client without a
// session works as well: it is told session id 0.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/prng.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/uuid.h"
#include "broker/id_table.h"
#include "broker/intrusive_list.h"
#include "broker/limits.h"
#include "broker/memory_pool.h"
#include "kafka/topic_name.h"

namespace tailrace::broker {

struct FetchSessionTopic {
  Uuid id;
  std::uint32_t partition_count = 0;
  std::uint32_t next_free = 0;    // with is_free: of the session's free places
  bool is_free = false;           // its last partition was forgotten
  std::uint8_t name_size = 0;
  char name[kafka::topic_name_bytes_max];
  std::string_view name_text() const { return {name, name_size}; }
};

struct FetchSessionPartition {
  static constexpr std::int64_t untold = -1;

  std::uint32_t topic = 0;        // index into the session's topics
  std::int32_t partition = 0;
  std::int64_t fetch_offset = 0;
  std::int32_t leader_epoch = -1;
  std::int32_t last_fetched_epoch = -1;
  std::int32_t bytes_max = 0;
  bool is_forgotten = false;      // until drop_forgotten()
  // As last told to the client; `untold`: it must be told next time.
  std::int64_t high_watermark = untold;
  std::int64_t stable_end = untold;
  std::int64_t log_start = untold;
};

struct FetchSession {
  std::int32_t session_id = 0;
  std::int32_t epoch = 1;         // the one the next request must have
  bool by_id = false;             // made by version 13 or later
  bool in_use = false;            // a request of it is being answered
  Instant last_used;
  std::uint32_t start = 0;        // whose turn it is to come first
  Link<FetchSession> use_link;
  Handle<FetchSession> handle;

  MutableBytes topic_memory;
  MutableBytes partition_memory;
  MutableBytes index_memory;      // a hash table: where a topic or partition lies
  std::size_t topic_count = 0;    // free places among them
  std::size_t partition_count = 0;
  std::uint32_t free_topic = UINT32_MAX;  // the first free place
  bool has_forgotten = false;
  std::span<FetchSessionTopic> topics() {
    return {reinterpret_cast<FetchSessionTopic*>(topic_memory.data()), topic_count};
  }
  std::span<FetchSessionPartition> partitions() {
    return {reinterpret_cast<FetchSessionPartition*>(partition_memory.data()), partition_count};
  }
  std::span<std::uint32_t> cells() const {
    return {reinterpret_cast<std::uint32_t*>(index_memory.data()),
            index_memory.size() / sizeof(std::uint32_t)};
  }
};

class FetchSessions {
 public:
  // `memory` outlives the object.
  FetchSessions(const Limits& limits, std::uint16_t core, MemoryPool& memory);

  // Null when there is no slot and none may be evicted.
  FetchSession* create(Now now);
  // Null when there is none with this id.
  FetchSession* find(std::int32_t session_id);
  FetchSession* find(Handle<FetchSession> handle) { return sessions_.find(handle); }
  void used(FetchSession& session, Now now);
  void remove(FetchSession& session);
  std::size_t size() const { return sessions_.size(); }

  // Adds or changes a partition. `topic` from add_topic(). False: the session cannot hold it.
  bool put(FetchSession& session, const FetchSessionPartition& partition);
  // The topic's index; UINT32_MAX: the session cannot hold it. A partition of it is put next.
  std::uint32_t add_topic(FetchSession& session, std::string_view name, const Uuid& id);
  // Any number of them, and then drop_forgotten() before anything else.
  void forget(FetchSession& session, std::string_view name, const Uuid& id,
              std::int32_t partition);
  void drop_forgotten(FetchSession& session);
  FetchSessionPartition* find(FetchSession& session, std::uint32_t topic, std::int32_t partition);

  // After the last epoch comes 1; 0 and -1 have meanings of their own.
  static std::int32_t next_epoch(std::int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

 private:
  std::int32_t new_id(Now now);
  void evict_oldest(Now now);
  std::uint32_t find_topic(FetchSession& session, std::string_view name, const Uuid& id) const;

  std::uint64_t hash_topic(const FetchSession& session, std::string_view name,
                           const Uuid& id) const;
  std::uint64_t hash_partition(std::uint32_t topic, std::int32_t partition) const;
  bool reserve_cell(FetchSession& session);
  void fill_index(FetchSession& session);

  bool grow(MutableBytes& memory, std::size_t used_bytes, std::size_t more_bytes);
  MutableBytes allocate(std::size_t bytes);
  void free(MutableBytes& piece);

  Limits limits_;
  std::size_t partitions_max_;     // of a session
  std::uint16_t core_;
  MemoryPool& memory_;
  std::uint64_t held_bytes_ = 0;   // of it, by all sessions
  std::uint64_t held_bytes_max_;
  Slab<FetchSession> sessions_;
  IdTable<FetchSession> by_id_;
  List<FetchSession, &FetchSession::use_link> use_order_;  // the longest unused first
  Prng prng_;
  bool is_seeded_ = false;
  std::uint64_t hash_seed_ = 0;    // a client cannot choose names that collide
};

}  // namespace tailrace::broker
