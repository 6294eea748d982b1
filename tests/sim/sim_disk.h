// SimDisk: one thread's io::Disk on a SimFileSystem. Completions come late and out of order, as
// the seeded stream has it; operations fail as `DiskFaults` says.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "io/disk.h"
#include "sim_clock.h"
#include "sim_file_system.h"
#include "trace.h"

namespace tailrace::sim {

// Chances are per million operations of the kind.
struct DiskFaults {
  std::uint32_t read_error = 0;    // EIO
  std::uint32_t write_error = 0;   // EIO, some sectors written
  std::uint32_t write_short = 0;   // fewer bytes than asked
  std::uint32_t sync_error = 0;    // EIO; what it covered is old or new
  std::uint32_t open_error = 0;    // EIO, also of names: remove, rename, directories
  std::uint32_t read_rot = 0;      // one bit of what was read from a segment is wrong, once
  bool garbage = false;            // at a power cut a sector may be neither old nor new

  bool any_error() const {
    return (read_error | write_error | write_short | sync_error | open_error) != 0;
  }
};

// How fast the device is. Drawn per seed.
struct DiskPace {
  Duration delay_min = microseconds(20);
  Duration delay_max = microseconds(200);
  std::uint32_t slow = 0;             // per million operations that take slow_delay
  Duration slow_delay = milliseconds(50);
  std::array<std::uint32_t, 4> in_flight_max = {8, 8, 8, 8};  // by DiskClass
};

class SimDisk final : public io::Disk {
 public:
  // All but `faults`, which is looked at all the time, are copied or outlive the object.
  SimDisk(SimFileSystem& files, SimClock& clock, Trace& trace, Prng prng, const DiskPace& pace,
          const DiskFaults& faults, std::string name);

  std::size_t submit(std::span<const DiskOp> ops) override;
  std::size_t poll(std::span<DiskDone> done) override;
  Result<std::vector<io::DirEntry>> list(std::string_view directory) override;
  io::DiskSpace space() override;

  // When poll() will have something; never() if nothing is under way.
  Instant next_deadline() const;
  std::size_t in_flight() const { return waiting_.size(); }

  // The process died, or the power: what was under way is done, partly done or not done, and
  // nothing completes. The memory of the operations must still be there.
  void crash(bool power_cut);

  // Faults that were injected so far.
  std::uint64_t faults_injected() const { return faults_injected_; }
  // Writes whose block changed between submit() and completion.
  std::uint64_t blocks_changed() const { return blocks_changed_; }
  // Planted: somebody writes into blocks under way.
  bool plant_spoil = false;
  // Planted: what is written to a WAL is called durable and is not.
  bool plant_sync_lies = false;
  bool plant_compaction_lies = false;

 private:
  struct Waiting {
    Instant due;
    std::uint64_t seq = 0;
    DiskOp op;
    std::uint32_t block_crc = 0;    // of a write: its memory must not change under way
    std::uint64_t covered_end = 0;  // of a sync: writes or entry changes before this
  };
  static bool later(const Waiting& a, const Waiting& b) {
    return a.due != b.due ? b.due < a.due : b.seq < a.seq;
  }
  void check(const DiskOp& op) const;
  void take(const DiskOp& op);
  static bool is_compacted(std::string_view path);
  std::int64_t perform(const Waiting& item);
  std::int64_t perform_fault(const Waiting& item, std::int64_t error);
  std::int64_t fault_of(const DiskOp& op);
  std::int64_t open(const DiskOp& op);
  std::int64_t write(const DiskOp& op);
  std::int64_t read(const DiskOp& op);
  bool strikes(std::uint32_t per_million);
  Inode& file(FileId id) const;

  struct OpenFile {
    InodeRef inode;
    std::string path;
    bool buffered = false;
  };
  SimFileSystem& files_;
  SimClock& clock_;
  Trace& trace_;
  Prng prng_;
  DiskPace pace_;
  const DiskFaults& faults_;
  std::string name_;
  std::vector<Waiting> waiting_;  // a heap: the earliest due in front
  std::array<std::uint32_t, 4> in_flight_{};
  std::vector<OpenFile> open_;    // by FileId
  std::uint64_t next_seq_ = 0;
  std::uint64_t faults_injected_ = 0;
  std::uint64_t blocks_changed_ = 0;
};

}  // namespace tailrace::sim
