// Group: the state machine of one group of the classic protocol. Requests and the time go in;
// answers, and what is to be written to the group's partition, come out as effects.
//
//             a member joins                      all have joined, or the time is over
//   [empty] ─────────────────▶ [preparing_rebalance] ───────────────▶ [completing_rebalance]
//      ▲                         │   ▲           ▲                        │            │
//      └──── nobody is left ─────┘   │           └─ a member comes, goes, ┘            │ the
//                                    │              changes or does not sync           │ leader's
//                                    └───────────── likewise ───────────── [stable] ◀──┘ plan is
//   [empty] ─▶ [dead]: being deleted                                                     durable
//
// A member joins (JoinGroup, held until all have), and after that syncs (SyncGroup, held until the
// leader's assignments are written). Heartbeats and commits only look and move a deadline.
// The rules are those of Kafka's own coordinator; where they surprise, the reason is told.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "control/group_records.h"
#include "kafka/errors.h"

namespace tailrace::bus {
struct ControlRequest;
}

namespace tailrace::control {

// The request that an answer belongs to; the group only carries it.
using Ticket = bus::ControlRequest*;

struct GroupProtocol {
  std::string name;
  ByteString metadata;
  friend bool operator==(const GroupProtocol&, const GroupProtocol&) = default;
};

struct GroupRules {
  std::uint32_t members_max = 1000;
  // An empty group waits so long for more members before its first generation.
  Duration initial_delay = seconds(3);
};

struct JoinAsk {
  Ticket ticket = nullptr;
  std::string member_id;  // empty: a new member
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  Duration session_timeout;
  Duration rebalance_timeout;
  std::string protocol_type;
  std::vector<GroupProtocol> protocols;  // the preferred first
  bool needs_known_id = false;  // a new member is first told its id and comes again (KIP-394)
  bool can_skip_assignment = false;
};

struct SyncAsk {
  Ticket ticket = nullptr;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::map<std::string, ByteString> assignments;  // the leader's
};

struct JoinAnswer {
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    ByteString metadata;
  };
  Ticket ticket = nullptr;
  kafka::ErrorCode error = kafka::ErrorCode::none;
  std::string member_id;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  std::string leader;
  bool skip_assignment = false;
  std::vector<Member> members;  // for the leader
};

struct SyncAnswer {
  Ticket ticket = nullptr;
  kafka::ErrorCode error = kafka::ErrorCode::none;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol;
  ByteString assignment;
};

// The group's record is to be written; on_stored(number, ...) when it is durable.
struct StoreAsk {
  std::uint64_t number = 0;
  GroupRecord record;
};

struct GroupEffects {
  std::vector<JoinAnswer> joins;
  std::vector<SyncAnswer> syncs;
  std::vector<StoreAsk> stores;
};

class Group {
 public:
  enum class State : std::uint8_t {
    empty, preparing_rebalance, completing_rebalance, stable, dead,
  };
  struct Member {
    std::string id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    Duration session_timeout;
    Duration rebalance_timeout;
    std::vector<GroupProtocol> protocols;
    ByteString assignment;
    Instant deadline;          // of its session
    Ticket join = nullptr;     // held
    Ticket sync = nullptr;     // held
    bool is_new = false;       // has not seen an answer yet, so it cannot send heartbeats
    std::uint64_t number = 0;  // in the order of coming
  };

  Group(std::string id, const GroupRules& rules);
  // As it was written; sessions begin anew.
  Group(std::string id, const GroupRules& rules, const GroupRecord& record, Now now);

  // --- requests. `new_member_id`: for a member that has none.
  void join(JoinAsk ask, const std::string& new_member_id, Now now);
  void sync(SyncAsk ask, Now now);
  kafka::ErrorCode heartbeat(std::string_view member_id,
                             const std::optional<std::string>& instance_id,
                             std::int32_t generation, Now now);
  kafka::ErrorCode leave(std::string_view member_id,
                         const std::optional<std::string>& instance_id, Now now);
  // May these commit offsets? Without member and generation: only while the group is empty.
  kafka::ErrorCode check_commit(std::string_view member_id,
                                const std::optional<std::string>& instance_id,
                                std::int32_t generation, Now now);

  // --- what comes back and what runs out
  void on_stored(std::uint64_t number, kafka::ErrorCode error, Now now);
  void step(Now now);
  // Not after step() would do something. O(members).
  Instant next_deadline() const;

  // All are to join again: the group comes from the other protocol.
  void ask_rebalance(Now now) { rebalance(now); }
  // The group is being deleted, or is not after all.
  void begin_delete(Now now);
  void undo_delete(Now now);
  // Everybody who waits is told `error`.
  void answer_all(kafka::ErrorCode error);

  // Since the last call.
  GroupEffects take_effects();

  const std::string& id() const { return id_; }
  State state() const { return state_; }
  std::string_view state_name() const;
  const std::string& protocol_type() const { return protocol_type_; }
  const std::optional<std::string>& protocol() const { return protocol_; }
  std::int32_t generation() const { return generation_; }
  std::string_view leader() const { return leader_; }
  std::int64_t state_ms() const { return state_ms_; }
  const std::map<std::string, Member, std::less<>>& members() const { return members_; }
  bool has_pending_members() const { return !pending_.empty(); }
  // A record of it is on its way to the log.
  bool is_storing() const { return !stores_.empty(); }
  // Of the protocol in force; empty when there is none.
  Bytes metadata_of(const Member& member) const;
  // Of a consumer group: does a member read `topic`? True also when that cannot be told.
  bool is_subscribed(std::string_view topic) const;
  // Held for members, roughly.
  std::uint64_t memory_bytes() const { return memory_bytes_ + pending_bytes_; }

 private:
  struct Store {
    enum class Kind : std::uint8_t { assignments, static_join, left };
    Kind kind = Kind::left;
    std::int32_t generation = 0;
    std::map<std::string, ByteString> assignments;
    JoinAnswer join;
  };

  kafka::ErrorCode check_member(std::string_view member_id,
                                const std::optional<std::string>& instance_id) const;
  bool has_room_for(std::string_view member_id) const;
  bool supports(const JoinAsk& ask) const;
  kafka::ErrorCode check_sync(const SyncAsk& ask) const;

  void join_new(JoinAsk ask, const std::string& new_member_id, Now now);
  void join_known(JoinAsk ask, Now now);
  void join_again(Member& member, JoinAsk ask, Now now);
  void replace_static(const std::string& old_id, JoinAsk ask, const std::string& new_id, Now now);
  void rejoin_static(Member& member, const JoinAsk& ask, const std::string& old_leader, Now now);
  void add_member(const std::string& member_id, JoinAsk ask, Now now);
  void update(Member& member, JoinAsk& ask);
  void hold_join(Member& member, Ticket ticket);
  void remove_member(const std::string& member_id, Now now);
  void remove_unjoined();
  void forget(const std::string& member_id);
  bool erase_pending(std::string_view member_id);
  void count_in(const Member& member);
  void count_out(const Member& member);

  void rebalance(Now now);
  void prepare_rebalance(Now now);
  void maybe_complete_join(Now now);
  void complete_join(Now now);
  bool elect_joined_leader();
  std::string select_protocol() const;
  void on_join_deadline(Now now);
  void on_sync_deadline(Now now);
  void expire_members(Now now);
  void end_syncs(kafka::ErrorCode error, Now now);

  void fail_join(Ticket ticket, std::string member_id, kafka::ErrorCode error);
  void fail_sync(Ticket ticket, kafka::ErrorCode error);
  void answer_join(Member& member);
  JoinAnswer current_join(const Member& member) const;
  void answer_sync(Member& member, Now now);
  void store(Store store);
  GroupRecord record_with(const std::map<std::string, ByteString>* assignments) const;
  Duration rebalance_timeout_max() const;
  void touch(Member& member, Now now) { member.deadline = now.instant + member.session_timeout; }
  void set_state(State state, Now now);

  std::string id_;
  GroupRules rules_;
  State state_ = State::empty;
  std::int64_t state_ms_ = -1;
  std::string protocol_type_;
  std::optional<std::string> protocol_;
  std::int32_t generation_ = 0;
  std::string leader_;  // empty: none

  std::map<std::string, Member, std::less<>> members_;
  std::map<std::string, std::string, std::less<>> statics_;  // instance id -> member id
  std::map<std::string, Instant, std::less<>> pending_;      // told their id, not joined yet
  std::map<std::string, std::uint32_t> supported_;           // protocol -> members that speak it
  std::set<std::string> unsynced_;                           // of this generation
  std::size_t joined_count_ = 0;                             // members with a held join
  std::uint64_t member_number_ = 0;
  std::uint64_t pending_bytes_ = 0;
  std::uint64_t memory_bytes_ = 0;                           // of members

  Instant join_deadline_ = never();
  Duration initial_left_{};          // by how much the first generation may still be put off
  bool is_initial_ = false;
  bool came_in_delay_ = false;       // a member, since the delay began
  Instant sync_deadline_ = never();

  std::map<std::uint64_t, Store> stores_;  // being written
  std::uint64_t store_number_ = 0;
  GroupEffects effects_;
};

}  // namespace tailrace::control
