// ControlUnit: all that the control thread consists of in production: its ring, disk and control
// plane, and the turn that drives them. Made on the main thread, used by one thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "io/uring/ring_idle.h"
#include "io/uring/uring_disk.h"
#include "runtime/control_thread.h"
#include "runtime/profile.h"

namespace tailrace::runtime {

class ControlUnit {
 public:
  // `directory`: absolute; `lock_fd`: of the directory, -1: it has none. `exchange` outlives the
  // object. Null: `why` says it.
  static std::unique_ptr<ControlUnit> create(const Profile& profile, const std::string& directory,
                                             int lock_fd, const control::NodeSetup& setup,
                                             Prng& prng, Exchange& exchange, std::string& why);

  // One turn: what thread_loop.h asks of a thread.
  std::size_t run_once(Now now);
  Instant next_deadline() const { return thread_->next_deadline(); }
  io::Idle& idle() { return *idle_; }
  // On its thread, after the last turn. False: the disk still worked at `deadline`.
  bool wait_disk(Instant deadline) { return disk_->wait_idle(deadline); }

  // From any thread. ready: the metadata is read and the cores get their first image.
  bool ready() const { return ready_.load(std::memory_order_acquire); }
  const control::GroupCounters& group_counters() const { return plane_->group_counters(); }
  const control::TransactionCounters& transaction_counters() const {
    return plane_->transaction_counters();
  }
  bool failed() const { return failed_.load(std::memory_order_acquire); }

 private:
  ControlUnit() = default;

  std::atomic<bool> ready_{false};
  std::atomic<bool> failed_{false};
  // In the order in which they depend on each other; destroyed from the last.
  std::unique_ptr<control::ControlPlane> plane_;
  std::unique_ptr<io::Ring> ring_;
  std::unique_ptr<io::RingIdle> idle_;
  std::unique_ptr<io::UringDisk> disk_;
  std::unique_ptr<ControlThread> thread_;
};

}  // namespace tailrace::runtime
