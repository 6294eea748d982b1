// The idleness seam: what a thread does when a turn found nothing to do.
#pragma once

#include "base/time.h"

namespace tailrace::io {

class Idle {
 public:
  virtual ~Idle() = default;

  // Called after a turn without work: returns when an event may have come, wake() was called or
  // `deadline` has passed. A spinning policy returns at once, but never longer in a row than its
  // bound before it yields the processor (a pure spin starves kernel workers).
  virtual void wait(Instant deadline) = 0;

  // From any thread: makes a wait() in progress, or the next one, return.
  virtual void wake() = 0;
};

// Does not wait; for tests, the simulator and hosts that step the cores themselves.
class NoIdle final : public Idle {
 public:
  void wait(Instant) override {}
  void wake() override {}
};

}  // namespace tailrace::io
