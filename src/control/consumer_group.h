// ConsumerGroup: the state machine of one group of the consumer protocol (KIP-848), where the
// coordinator assigns partitions and members only send heartbeats.
//
// Three epochs. The group's grows when members, subscriptions or topics change. The target
// assignment is made for an epoch of the group. Each member walks towards the target on its own:
//
//               gives nothing up, all it gets is free
//        ┌───────────────────────────────────────────────────────┐
//        │                                                       ▼
//   [stable, or a new target] ── must give up ──▶ [unrevoked]   [stable] at the target's epoch
//        │                        some; its epoch      │         ▲
//        │                        stays                │ gave up │ others gave up
//        │ what it gets is not free                    ▼         │
//        └───────────────────────────────────▶ [unreleased] ─────┘ at the target's epoch
//
// so that a partition has at most one owner at any time (owners_). A member that does not give up
// within its rebalance timeout, or is silent for a session, is put out.
//
//   group: [empty] no members · [assigning] no target for its epoch yet · [reconciling] a member
//          is on its way · [stable]
//
// Changes are made in memory at once; the records that tell of them come out of take_records(),
// and whoever learned of a change must not hear of it before they are durable.
//
// Members that speak the classic protocol live here too, while a group moves to this one or back
// (consumer_group_classic.cc): a JoinGroup is their heartbeat, the epoch their generation.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "control/assignor.h"
#include "control/cluster_state.h"
#include "control/consumer_group_records.h"
#include "control/group.h"
#include "control/log_appender.h"
#include "kafka/errors.h"

namespace tailrace::control {

struct ConsumerGroupRules {
  std::uint32_t members_max = 1000;
  Duration session_timeout = seconds(45);
};

inline constexpr std::int32_t epoch_join = 0;
inline constexpr std::int32_t epoch_leave = -1;
inline constexpr std::int32_t epoch_leave_static = -2;

// Without value: as it was said last.
struct ConsumerAsk {
  std::string member_id;
  std::int32_t epoch = 0;
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string>> topics;
  std::optional<std::string> regex;     // valid; empty: none any more
  std::optional<std::string> assignor;  // known
  std::optional<Assignment> owned;
  std::string client_id;
  std::string client_host;
  std::optional<ClassicMember> classic;
};

struct ConsumerAnswer {
  kafka::ErrorCode error = kafka::ErrorCode::none;
  std::string_view message;
  std::string member_id;
  std::int32_t epoch = 0;
  std::optional<Assignment> assigned;   // only when it may be news
};

// In order, each once.
std::vector<std::string> sorted_topics(std::vector<std::string> names);

class ConsumerGroup {
 public:
  enum class State : std::uint8_t { empty, assigning, reconciling, stable };
  struct Member {
    std::string id;
    std::uint64_t number = 0;
    ConsumerMemberRecord about;
    CurrentAssignmentRecord current;
    Assignment target;
    Instant session_deadline = never();
    Instant rebalance_deadline = never();  // until then it must give up, or join again
    bool is_loaded = false;                // from the log, with a record of its own
  };
  using Members = std::map<std::string, Member, std::less<>>;
  using Records = std::vector<LogAppender::Record>;

  ConsumerGroup(std::string id, const ConsumerGroupRules& rules);
  // Each member of a classic group with what it was given. None: one cannot be understood.
  static std::optional<ConsumerGroup> from_classic(const Group& group,
                                                   const ConsumerGroupRules& rules,
                                                   const ClusterState& state, Now now);

  // --- requests
  ConsumerAnswer heartbeat(const ConsumerAsk& ask, const ClusterState& state, Now now);
  // none, unknown_member_id, stale_member_epoch (illegal_generation for a classic member).
  kafka::ErrorCode check_commit(std::string_view member_id, std::int32_t epoch) const;
  // Of members that speak the classic protocol.
  JoinAnswer join_classic(const JoinAsk& ask, const std::string& new_member_id,
                          const ClusterState& state, Now now);
  SyncAnswer sync_classic(const SyncAsk& ask, const ClusterState& state, Now now);
  kafka::ErrorCode heartbeat_classic(std::string_view member_id,
                                     const std::optional<std::string>& instance_id,
                                     std::int32_t generation, Now now);
  // An operator, or a member that speaks the classic protocol. Without id: by the instance.
  kafka::ErrorCode remove(std::string_view member_id,
                          const std::optional<std::string>& instance_id,
                          const ClusterState& state);

  // --- what changes around it
  void on_new_image() { is_stale_ = true; }
  // A session that has begun ends as it was to; the next begins at a heartbeat.
  void set_rules(const ConsumerGroupRules& rules) { rules_ = rules; }
  void step(const ClusterState& state, Now now);
  Instant next_deadline() const;

  // All members speak the classic protocol: the group goes back to it.
  bool wants_classic() const;
  GroupRecord to_classic(const ClusterState& state) const;
  // Takes back all that was written of the group.
  void erase_records();

  // --- as it was written
  void load(const ConsumerGroupRecord& record);
  void load_member(std::string_view id, const ConsumerMemberRecord* record);
  void load_target_epoch(std::int32_t epoch) { assignment_epoch_ = epoch; }
  void load_target(std::string_view id, const Assignment* target);
  void load_current(std::string_view id, const CurrentAssignmentRecord* record);
  void finish_load(const ClusterState& state, Now now);

  // Since the last call.
  Records take_records() { return std::exchange(records_, {}); }

  State state() const;
  std::string_view state_name() const;
  std::int32_t epoch() const { return epoch_; }
  std::int32_t assignment_epoch() const { return assignment_epoch_; }
  std::string_view assignor() const;
  const Members& members() const { return members_; }
  bool is_subscribed(std::string_view topic) const;
  // Held, roughly.
  std::uint64_t memory_bytes() const;

 private:
  struct Found {
    kafka::ErrorCode error = kafka::ErrorCode::none;
    std::string_view message;
    Member* member = nullptr;
    bool is_new = false;
  };

  Found find(const ConsumerAsk& ask);
  std::uint64_t measure() const;
  Found find_static(const ConsumerAsk& ask);
  static bool is_epoch_good(const Member& member, const ConsumerAsk& ask);
  Member& add(const std::string& id);
  Member& replace_static(Member& old, const std::string& id);
  ConsumerAnswer leave(const ConsumerAsk& ask, const ClusterState& state);
  void remove(Member& member, const ClusterState& state);
  void rejoin(Member& member);
  void advance(Member& member, const ConsumerAsk& ask, bool is_new, const ClusterState& state,
               Now now);
  // True: the subscription is another one.
  bool update(Member& member, const ConsumerAsk& ask);

  void resolve(const ClusterState& state);
  // Resolves what is not, and begins a new epoch if that is another set of topics.
  void refresh(bool has_changed, const ClusterState& state);
  void bump();
  void update_target(const ClusterState& state);
  std::vector<std::string_view> topics_of(const Member& member) const;
  void reconcile(Member& member, const std::optional<Assignment>& owned, Now now);
  CurrentAssignmentRecord next_current(const Member& member,
                                       const std::optional<Assignment>& owned) const;
  CurrentAssignmentRecord towards_target(const Member& member, std::int32_t epoch,
                                         const std::optional<Assignment>& owned) const;
  bool is_free_for(const Member& member, const TopicPartition& at) const;
  void set_current(Member& member, CurrentAssignmentRecord next);
  void release(const Member& member);
  void touch(Member& member, Now now);
  // The one that all who speak the classic protocol know; `joining` included when given.
  std::string classic_protocol(const ClassicMember* joining) const;
  kafka::ErrorCode check_classic(std::string_view member_id,
                                 const std::optional<std::string>& instance_id,
                                 std::int32_t generation, Member*& member);
  bool must_join_again(const Member& member) const;
  // Null: an error is in `answer`.
  Member* find_classic(const JoinAsk& ask, const std::string& new_member_id, JoinAnswer& answer,
                       bool& is_new);

  void write(RecordKey::Kind kind, std::string_view member, ByteString value);
  void erase(RecordKey::Kind kind, std::string_view member = {});

  std::string id_;
  ConsumerGroupRules rules_;
  std::int32_t epoch_ = 0;
  std::int32_t assignment_epoch_ = 0;
  std::uint64_t metadata_hash_ = 0;
  mutable std::uint64_t memory_bytes_ = 0;
  mutable bool is_measured_ = false;  // since the last change
  bool is_stale_ = true;     // topics may have changed since the hash was made
  Members members_;
  std::map<std::string, std::string, std::less<>> statics_;  // instance id -> member id
  // Who has it, or is giving it up: Member::number.
  std::map<TopicPartition, std::uint64_t> owners_;
  std::map<std::string, std::vector<std::string>, std::less<>> regex_topics_;
  std::uint64_t member_number_ = 0;
  Records records_;
};

}  // namespace tailrace::control
