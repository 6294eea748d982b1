// WalRecovery: brings one WAL's CoreLog back: its format block, the newer of its two checkpoints,
// and every frame behind it, replayed in order.
//
//   opening -> format -> checkpoint_a -> checkpoint_b -> replaying <-> stalled
//           -> settling -> closing -> done
#pragma once

#include <memory>
#include <string>

#include "log/core_log.h"
#include "log/file_reader.h"
#include "log/wal_scanner.h"

namespace tailrace::log {

class WalRecovery {
 public:
  // `path` without its ending. `core` is empty; all outlive the object.
  WalRecovery(const Limits& limits, std::string path, CoreLog& core, OpQueue& queue);

  void step(Now now);
  void on_disk_done(const DiskDone& done);  // Asker::boot, wal_scanner
  bool done() const { return phase_ == Phase::done; }
  bool failed() const { return phase_ == Phase::failed; }
  const std::string& why() const { return why_; }  // lines for the operator
  std::uint64_t replayed_bytes() const { return replayed_bytes_; }

  // Once done: makes the log ready to be used; see CoreLog::attach.
  void attach(std::uint16_t life, Now now);

 private:
  friend class Boot;
  enum class Phase : std::uint8_t {
    opening, format, checkpoint_a, checkpoint_b, replaying, settling, closing, done,
    failed,
  };
  void give_up(std::string why);
  std::string segments_failed() const;
  void on_checkpoint();
  void restore();
  void replay(Now now);
  bool replay_frame(Now now);
  void push(Phase phase, DiskOp op);

  const Limits limits_;
  std::string path_;
  CoreLog& core_;
  OpQueue& queue_;
  Phase phase_ = Phase::opening;
  bool begun_ = false;
  FileId file_ = no_file;
  AlignedBuffer block_{disk_block_bytes};
  WalFormatBlock format_;
  FileReader reader_;
  Checkpoint checkpoint_;
  bool has_checkpoint_ = false;
  std::string checkpoint_faults_;
  std::unique_ptr<WalScanner> scanner_;
  std::uint32_t entry_index_ = 0;  // of the frame in hand, the next to be replayed
  std::uint64_t replayed_bytes_ = 0;
  std::string why_;
};

}  // namespace tailrace::log
