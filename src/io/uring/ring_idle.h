// RingIdle: sleeps in the thread's io_uring, so that one wait covers sockets, disk and other
// threads' wakes.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/idle.h"
#include "io/uring/ring.h"

namespace tailrace::io {

enum class IdlePolicy : std::uint8_t {
  wait,   // blocks in the kernel at once
  spin,   // looks at the completion queue for spin_max first
};

class RingIdle final : public Idle {
 public:
  // `ring` outlives the object. Errors: io with the errno.
  static Result<std::unique_ptr<RingIdle>> create(Ring& ring, IdlePolicy policy,
                                                  Duration spin_max, std::string& why);
  ~RingIdle() override;
  RingIdle(const RingIdle&) = delete;
  RingIdle& operator=(const RingIdle&) = delete;

  void wait(Instant deadline) override;
  void wake() override;

 private:
  RingIdle(Ring& ring, IdlePolicy policy, Duration spin_max, int event_fd)
      : ring_(ring), policy_(policy), spin_max_(spin_max), event_fd_(event_fd) {}
  void listen_for_wakes();
  // True when an event or a wake came within spin_max_.
  bool spin(Instant deadline);
  void take_wakes();

  Ring& ring_;
  const IdlePolicy policy_;
  const Duration spin_max_;
  const int event_fd_;
  std::uint64_t event_value_ = 0;   // the kernel reads the eventfd into it
  bool is_listening_ = false;
  std::atomic<bool> wake_wanted_{false};
  std::atomic<bool> is_asleep_{false};
};

}  // namespace tailrace::io
