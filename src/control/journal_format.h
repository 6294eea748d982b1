// The bytes of a metadata journal file. Problem: the log must be readable after a crash at any
// moment, must say where it is damaged, and must be appendable on a full disk.
//
// A file is a run of groups, each starting on a 4 KiB block and written once, so that no write
// touches a block that holds acknowledged bytes. A group is one write and one sync, and the next
// is written only when it is durable: what is broken at the end is a torn group nobody was told
// of; a whole group after a broken one is damage.
//
//   [base | base_last] [log] [log] ... [moved]        then zeros, or groups of older generations
//
// Two files take turns. A generation starts in one with the base (hard state, snapshot, entries
// after it) and goes on with log groups; when the file is full the next generation starts in the
// other, and `moved` closes the old one: without it a lost newer file would go unnoticed and
// acknowledged changes with it. Both files stay zero-filled at full size (zeros are space), so a
// full disk stops neither appends nor compaction.
//
//   group:  magic u32, crc u32 (of all after it), store id 16, generation u64, sequence u64,
//           payload bytes u32, version u16, kind u16, crc of the group before u32, zeros 12
//   log payload, repeated: type u8 (1 hard state, 2 entry), bytes u32, content
// All numbers are little-endian.
#pragma once

#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/uuid.h"
#include "raft/raft.h"

namespace tailrace::control {

inline constexpr std::size_t group_header_bytes = 64;
inline constexpr std::uint16_t journal_version = 1;

enum class GroupKind : std::uint16_t { base = 1, base_last = 2, log = 3, moved = 4 };

struct GroupHeader {
  Uuid store;
  std::uint64_t generation = 0;
  std::uint64_t sequence = 0;  // 0 for the first group of a generation
  GroupKind kind = GroupKind::log;
  std::uint32_t previous_crc = 0;
};

constexpr std::uint64_t group_bytes(std::uint64_t payload_bytes) {
  return round_up(group_header_bytes + payload_bytes, disk_block_bytes);
}

// Writes header and padding around the payload, which already lies at to + group_header_bytes.
// Returns the group's crc.
std::uint32_t seal_group(const GroupHeader& header, MutableBytes to, std::size_t payload_bytes);

// Appends one item of a log payload.
void put_hard_state(std::vector<std::byte>& payload, const raft::HardState& state);
void put_entry(std::vector<std::byte>& payload, const raft::Entry& entry);
std::size_t entry_item_bytes(const raft::Entry& entry);

// The base of a generation, cut into base groups by the writer.
std::vector<std::byte> encode_base(const raft::HardState& state, const raft::Snapshot& snapshot,
                                   std::span<const raft::Entry> entries);

enum class JournalState : std::uint8_t {
  blank,       // nothing but zeros, or no bytes at all
  unfinished,  // a base that was being written; nothing after it
  whole,       // base and log; a torn group may follow, which nobody was told of
  damaged,     // acknowledged groups cannot be read
};

struct JournalScan {
  JournalState state = JournalState::blank;
  Uuid store;
  std::uint64_t generation = 0;  // whole, damaged: its own; unfinished: the newest seen
  bool moved = false;            // closed: the next generation is in the other file
  std::uint64_t end_pos = 0;     // where the next group goes
  std::uint64_t sequence_next = 0;
  std::uint32_t last_crc = 0;
  bool torn_tail = false;        // bytes of a group that was not finished
  std::uint64_t damage_pos = 0;
  std::string why;               // damaged: one sentence
  raft::Recovered recovered;
};

// Called by scan_journal for each whole group, for the dump.
struct GroupView {
  GroupHeader header;
  std::uint64_t pos = 0;
  Bytes payload;
};
class GroupVisitor {
 public:
  virtual ~GroupVisitor() = default;
  virtual void on_group(const GroupView& group) = 0;
};

// Any bytes may be given.
JournalScan scan_journal(Bytes file, GroupVisitor* visitor = nullptr);

// The items of a log payload, added to `recovered` as they would be replayed. False: malformed.
bool replay_log(Bytes payload, raft::Recovered& recovered);
// The same without regard to what went before: the items as they stand.
bool read_log(Bytes payload, raft::Recovered& items);
bool decode_base(Bytes base, raft::Recovered& recovered);

}  // namespace tailrace::control
