// Raft (Ongaro and Ousterhout, 2014) without I/O: an Event goes in, an Update comes out, and the
// caller makes the Update durable before it says so with `persisted`.
//
// One voter is what works today: it elects itself by its own vote, appends a no-op, and commits
// each entry when its own copy is durable. A configuration with more voters is read and kept, but
// this node then never stands for election (is_alone()), instead of pretending to have a quorum.
//
//              +---------- not the only voter ----------+
//              v                                        |
//         [follower] -- tick, only voter: term + 1, own vote, no-op --> [leader]
//
// Terms, votes, configurations and snapshots are on disk as they will be with several voters.
#pragma once

#include <optional>

#include "base/time.h"
#include "raft/entries.h"

namespace tailrace::raft {

struct Event {
  enum class Kind : std::uint8_t {
    tick,       // time has passed
    propose,    // bytes: append them as a data entry; ignored unless leader
    persisted,  // index, term: the log is durable up to the entry with this index and term
    compacted,  // index: the caller has a snapshot of the state after this applied entry
  };
  Kind kind = Kind::tick;
  std::vector<std::byte> bytes;
  Index index = 0;
  Term term = 0;
};

// What the caller must do, in this order: persist `hard_state`, persist `entries` (each replaces
// everything at and after its index), then apply up to `committed`.
struct Update {
  std::optional<HardState> hard_state;
  std::vector<Entry> entries;
  Index committed = 0;
};

// What a restart finds on disk.
struct Recovered {
  HardState hard_state;
  Snapshot snapshot;  // bytes are not looked at
  std::vector<Entry> entries;
};

enum class Role : std::uint8_t { follower, leader };

class Raft {
 public:
  // False when the recovered entries are not a log (gaps, falling terms); nothing else may be
  // called then.
  Raft(NodeId self, Recovered recovered);
  bool valid() const { return valid_; }

  Update step(Event event, Instant now);
  Role role() const { return role_; }
  Term term() const { return hard_state_.term; }
  NodeId leader() const { return role_ == Role::leader ? self_ : no_node; }
  const HardState& hard_state() const { return hard_state_; }
  Index committed() const { return committed_; }
  Index last() const { return entries_.last(); }
  Index durable() const { return durable_; }
  // A leader may answer from its state once an entry of its own term is committed.
  bool has_committed_own_term() const;
  bool is_alone() const;
  // For index in (snapshot, last].
  const Entry& entry(Index index) const { return entries_.at(index); }
  // For a snapshot of the state after `index`, which lies in [snapshot, committed].
  Term term_at(Index index) const { return entries_.term_at(index); }
  const Configuration& configuration_at(Index index) const {
    return entries_.configuration_at(index);
  }

 private:
  bool wants_election() const { return valid_ && role_ == Role::follower && is_alone(); }
  void elect(Update& update);
  void append(EntryKind kind, std::vector<std::byte> bytes, Update& update);
  void on_persisted(Index index, Term term);

  NodeId self_;
  HardState hard_state_;
  Entries entries_;
  bool valid_ = true;
  Role role_ = Role::follower;
  Index durable_ = 0;
  Index committed_ = 0;
};

}  // namespace tailrace::raft
