// The loop of a thread of the node: turn after turn, asleep when a turn found nothing to do.
#pragma once

#include <atomic>

#include "io/clock.h"
#include "io/idle.h"
#include "runtime/exchange.h"

namespace tailrace::runtime {

// `Turn` has run_once(Now) -> work count and next_deadline() -> Instant. Returns once `stop` is
// set (wake the idle after setting it).
template <class Turn>
void run_until_stopped(Turn& turn, bus::CoreId thread, Exchange& exchange, io::Clock& clock,
                       io::Idle& idle, const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_acquire)) {
    if (turn.run_once(clock.now()) > 0) continue;
    if (!exchange.prepare_sleep(thread)) continue;
    idle.wait(turn.next_deadline());
    exchange.end_sleep(thread);
  }
}

}  // namespace tailrace::runtime
