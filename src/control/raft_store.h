// RaftStore: makes raft::Updates durable in two journal files (control/journal_format.h) and
// reads them back at start. Logic without I/O; one disk operation is under way at a time.
//
//   [starting] -> no journal-0: [formatting] -> [basing] -> [placing] -> [idle]
//   [starting] -> [loading] -> (the mark of a crash in between: [marking]) -> [idle]
//       [idle] -> entries wait, room          -> [writing_log] -> [idle]
//       [idle] -> a snapshot was given        -> [basing] -> [marking] -> [idle]
//       [idle] -> the metadata outgrows files -> [growing] -> [idle], also when the disk is full
//       any    -> a failed write or sync, damage found -> [failed], for good
//
// Formatting works on files with other names and renames them at the end, journal-0 last: if it
// is there, it was whole once, and if it cannot be read now, that is damage.
//
// Deletes work on a full disk: both files are zero-filled to their full size before they count,
// and growing_room() is what may be added so that a base of all metadata still fits into either
// with a few groups to spare. Only changes that grow the metadata ask for it.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/ops.h"
#include "base/prng.h"
#include "base/time.h"
#include "control/journal_format.h"
#include "control/limits.h"
#include "raft/raft.h"

namespace tailrace::control {

class RaftStore {
 public:
  // `founder`: the configuration of a log that is made new.
  RaftStore(const Limits& limits, const raft::Configuration& founder, Prng& prng);

  // --- start: step() until loaded() or failed()
  bool loaded() const { return loaded_; }
  raft::Recovered take_recovered() { return std::move(recovered_); }

  // --- running
  // Takes over what an update wants durable.
  void persist(raft::Update& update);
  // The last entry that became durable, once for each advance.
  struct Persisted {
    raft::Index index = 0;
    raft::Term term = 0;
  };
  std::optional<Persisted> take_persisted();

  // Entries wait, and the open journal has no room for them: give a snapshot.
  bool wants_snapshot() const { return wants_snapshot_; }
  // Replaces all up to the snapshot's index. `rest`: the durable entries after it.
  void write_snapshot(const raft::HardState& state, const raft::Snapshot& snapshot,
                      std::span<const raft::Entry> rest);
  // A snapshot was written since the last call: its index.
  std::optional<raft::Index> take_compacted();

  // The size of a snapshot of the current state; the files grow after it.
  void set_state_bytes(std::uint64_t bytes) { state_bytes_ = bytes; }
  std::uint64_t growing_room() const;

  bool failed() const { return phase_ == Phase::failed; }
  const std::string& why() const { return why_; }

  void on_disk_done(const DiskDone& done, Now now);
  void step(Now now);
  std::span<const DiskOp> ops() const { return ops_; }
  void ops_taken(std::size_t count);
  // When a refused growth is tried again.
  Instant next_deadline() const { return grow_again_; }

 private:
  enum class Phase : std::uint8_t {
    starting, loading, formatting, basing, placing, marking, idle, writing_log, growing, failed,
  };
  // What the operation under way is for; the phase says what follows.
  enum class Step : std::uint8_t {
    none, make_directory, sync_name, open, read, fill, fill_sync, place, write, sync,
  };
  struct Journal {
    FileId file = no_file;
    std::uint64_t capacity = 0;  // zero-filled and durable
    std::vector<std::byte> bytes;  // only while loading
  };

  void submit(Step step, DiskOp op);
  void fail_with(std::string why);
  bool take_result(const DiskDone& done);

  void on_open_done(const DiskDone& done);
  void sync_names();
  void open_next(const std::string_view (&from)[2], std::uint8_t flags);
  void on_read_done(const DiskDone& done);
  void read_more();
  void choose_journal();
  void use_journal(std::size_t number, JournalScan& scan);
  void format();
  void fill_more();
  void on_fill_done(const DiskDone& done, Now now);
  void on_filled();
  void place_next();
  void refuse_growth(Now now);

  void start_base(std::vector<std::byte> base, std::size_t number, std::uint64_t generation);
  void write_base_part();
  void write_mark();
  void write_log();
  bool has_room_for(std::uint64_t bytes) const;
  void write_group(std::size_t number, const GroupHeader& header, std::uint64_t pos,
                   Bytes payload);
  void on_write_done();
  void on_sync_done();
  std::uint64_t base_bytes_max() const;
  std::uint64_t wanted_capacity() const;
  std::uint64_t base_group_bytes(std::uint64_t payload) const;

  const Limits limits_;
  const std::size_t payload_bytes_max_;  // of a group
  const std::uint64_t reserve_bytes_;
  raft::Configuration founder_;
  Prng& prng_;
  Phase phase_ = Phase::starting;
  Step step_ = Step::none;
  std::uint64_t write_bytes_ = 0;  // of Step::write
  bool loaded_ = false;
  std::string why_;
  std::vector<DiskOp> ops_;
  AlignedBuffer buffer_;
  AlignedBuffer zeros_;
  Journal journals_[2];
  std::size_t names_synced_ = 0;
  std::size_t loading_ = 0;   // the journal that is opened, read, filled
  std::size_t placing_ = 0;   // how much of placing is done
  raft::Recovered recovered_;

  // The open generation.
  Uuid store_;
  std::size_t open_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint32_t last_crc_ = 0;
  std::uint64_t end_pos_ = 0;
  // The end of the one before, where its mark goes.
  bool mark_is_due_ = false;
  std::uint64_t mark_pos_ = 0;
  GroupHeader mark_;

  std::optional<raft::HardState> hard_state_;  // waiting to be written
  std::deque<raft::Entry> entries_;            // the same
  Persisted writing_;                          // the last entry of the group under way
  std::optional<Persisted> persisted_;
  bool wants_snapshot_ = false;
  std::vector<std::byte> base_;
  std::size_t base_written_ = 0;
  raft::Index base_index_ = 0;
  std::optional<raft::Index> compacted_;

  std::uint64_t state_bytes_ = 0;
  std::uint64_t fill_from_ = 0;
  std::uint64_t fill_to_ = 0;
  std::uint64_t fill_pos_ = 0;
  Instant grow_again_ = never();
};

}  // namespace tailrace::control
