// Boot: opens the logs of a node. It recovers every WAL there is, whatever the number of cores was
// last time; if the cores or the ring size changed (or nothing is there yet) it drains the old
// WALs into segments and makes a new generation of WALs, one per core, before the old is dropped.
//
//   manifest -> recovering i -> (draining i ->) ... -> sweeping -> done, if the layout is the same
//                 -> formatting j -> first checkpoint j -> ... -> switching -> sweeping -> done
//
// Runs on one thread and one Disk, before any core does. A crash at any point leaves either the
// old generation or the new one in force.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/prng.h"
#include "log/core_log.h"
#include "log/manifest.h"
#include "log/sweep.h"
#include "log/wal_format.h"
#include "log/wal_recovery.h"

namespace tailrace::log {

class Boot {
 public:
  // Which core owns a partition, for the given number of cores.
  using OwnerOf = std::uint16_t (*)(const PartitionKey& key, std::uint16_t core_count);

  struct Options {
    std::uint16_t core_count = 1;
    OwnerOf owner_of = nullptr;
    // One region of CoreLog::memory_bytes(limits) per core.
    std::span<const MutableBytes> core_memory;
    // A missing manifest means that nothing is there yet. False: it means that something is lost.
    bool may_format = false;
    // Of the disk that the operations go to. Without it nothing is swept.
    ListDirectory list = nullptr;
  };
  Boot(const Limits& limits, const Options& options, Prng& prng);
  ~Boot();

  void step(Now now);
  void on_disk_done(const DiskDone& done, Now now);
  std::span<const DiskOp> ops(DiskClass disk_class) const;
  void ops_taken(DiskClass disk_class, std::size_t count);

  bool done() const { return phase_ == Phase::done; }
  bool failed() const { return phase_ == Phase::failed; }
  const std::string& why() const { return why_; }  // lines for the operator

  struct Progress {
    const char* what = "";
    std::uint64_t done_bytes = 0;
    std::uint64_t total_bytes = 0;  // 0: not known
  };
  Progress progress() const;

  // Once done: core i's log, all files closed. Each opens its own again on its core's Disk.
  std::vector<std::unique_ptr<CoreLog>> take_logs() { return std::move(logs_); }

 private:
  enum class Phase : std::uint8_t {
    directories, manifest, recovering, draining, formatting, checkpointing, syncing, switching,
    sweeping, done, failed,
  };
  void give_up(std::string why);
  void sync_directories();
  void on_manifest(Now now);
  void recover_next(Now now);
  void on_recovered(Now now);
  void on_drained(Now now);
  void distribute();
  void format_next();
  void on_formatted();
  void finish(Now now);
  void remove_old_generation();
  void begin_sweep(std::uint64_t generation);
  bool same_layout() const;
  std::string new_path(std::uint32_t core) const { return wal_path(generation_, core); }

  const Limits limits_;
  const Options options_;
  Prng& prng_;
  OpQueue queue_;
  Phase phase_ = Phase::directories;
  std::string why_;
  std::uint32_t directories_made_ = 0;
  bool directories_asked_ = false;

  FileReader reader_;
  bool has_manifest_ = false;
  Manifest manifest_;                      // in force
  std::uint64_t generation_ = 0;           // being made
  std::uint32_t core_ = 0;                 // the old or new core being worked on
  std::unique_ptr<CoreLog> recovered_;     // core_'s, while it is being recovered or drained
  std::unique_ptr<WalRecovery> recovery_;
  std::uint64_t replayed_bytes_ = 0;
  std::vector<PartitionCheckpoint> drained_;
  std::vector<Checkpoint> firsts_;         // of the new cores
  std::unique_ptr<WalFormat> format_;
  CheckpointWriter checkpoint_writer_;
  // Both files are made now: a name that is made later would not be durable without a sync of
  // its directory.
  bool second_checkpoint_ = false;
  ManifestWriter manifest_writer_;
  Remover remover_;
  bool removing_ = false;
  std::vector<std::unique_ptr<CoreLog>> logs_;
};

}  // namespace tailrace::log
