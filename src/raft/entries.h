// The vocabulary of the replicated log, and the log itself as far as it is not in a snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/bytes.h"

namespace tailrace::raft {

using NodeId = std::int32_t;
inline constexpr NodeId no_node = -1;
using Term = std::uint64_t;
using Index = std::uint64_t;  // the first entry has index 1

enum class EntryKind : std::uint8_t {
  no_op = 1,          // appended by each new leader, so that it can commit what went before
  data = 2,           // bytes are the state machine's
  configuration = 3,  // bytes are an encoded Configuration
};

struct Entry {
  Index index = 0;
  Term term = 0;
  EntryKind kind = EntryKind::data;
  std::vector<std::byte> bytes;
  friend bool operator==(const Entry&, const Entry&) = default;
};

// What must survive a restart besides entries.
struct HardState {
  Term term = 0;
  NodeId vote = no_node;
  friend bool operator==(const HardState&, const HardState&) = default;
};

struct Configuration {
  std::vector<NodeId> voters;    // ascending
  std::vector<NodeId> learners;  // ascending; receive entries, do not count
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// The state after all entries up to `index`, in place of them. `configuration` is the one of
// that index, not the newest.
struct Snapshot {
  Index index = 0;
  Term term = 0;
  Configuration configuration;
  std::vector<std::byte> bytes;
  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// Configuration <-> bytes: counts and ids as little-endian 32-bit numbers.
std::vector<std::byte> encode_configuration(const Configuration& configuration);
// False for bytes that are not one.
bool decode_configuration(Bytes bytes, Configuration& configuration);

// Entries after a snapshot, without gaps. Configurations are kept in a map by index that
// append (which may cut) and compact edit, and nothing else.
class Entries {
 public:
  Entries(Index snapshot_index, Term snapshot_term, const Configuration& configuration);

  Index first() const { return snapshot_index_ + 1; }
  Index last() const { return snapshot_index_ + entries_.size(); }
  Term last_term() const { return term_at(last()); }
  Index snapshot_index() const { return snapshot_index_; }
  // `index` in [snapshot_index, last].
  Term term_at(Index index) const;
  const Entry& at(Index index) const;
  // The newest configuration at or before `index`; committed or not, it is in force (Raft 4.1).
  const Configuration& configuration_at(Index index) const;

  // Appends an entry at last() + 1, or cuts the log back to entry.index - 1 first. False for an
  // entry that leaves a gap, lies in the snapshot, or whose configuration cannot be decoded.
  bool append(Entry entry);
  // Everything up to `index` is in a snapshot now.
  void compact(Index index);

 private:
  Index snapshot_index_;
  Term snapshot_term_;
  std::vector<Entry> entries_;
  std::map<Index, Configuration> configurations_;
};

}  // namespace tailrace::raft
