// Deadlines of many numbered things: a hierarchical timing wheel (Varghese, Lauck 1987) of four
// levels of 256 slots and ticks of 33 us. Arming and cancelling take constant time whatever the
// number of timers. A deadline never comes early, and at most a tick late.
//
// TCP moves its deadlines at each acknowledgement. The owner therefore arms only what got earlier;
// what got later is found out when the old deadline comes (tcp.cc, schedule()).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace tailrace::net {

class TimerWheel {
 public:
  static constexpr std::uint32_t no_timer = UINT32_MAX;

  TimerWheel(std::uint32_t timer_count, Instant start);

  // Sets the deadline of timer `id`, armed or not.
  void arm(std::uint32_t id, Instant deadline);
  void cancel(std::uint32_t id);
  // The next timer whose deadline is not after `now`, no longer armed; no_timer when there is none.
  std::uint32_t take_due(Instant now);
  // A time at or before which nothing is due but after which something may be; never() when no
  // timer is armed. It can be early (a slot of a higher level), and is then looked at again.
  Instant next_deadline() const;

 private:
  static constexpr int tick_shift = 15;
  static constexpr int level_count = 4;
  static constexpr std::uint32_t slot_count = 256;
  static constexpr std::uint16_t no_slot = UINT16_MAX;
  static constexpr std::uint16_t due_slot = level_count * slot_count;

  struct Node {
    std::uint64_t tick = 0;
    std::uint32_t next = no_timer;
    std::uint32_t previous = no_timer;
    std::uint16_t slot = no_slot;
  };

  void link(std::uint32_t id, std::uint16_t slot);
  void unlink(std::uint32_t id);
  void place(std::uint32_t id);
  void cascade(std::uint32_t level);
  bool has_level(std::uint32_t level) const;
  // The first used slot of a level after the current one and before the level turns round, or
  // slot_count.
  std::uint32_t next_used(std::uint32_t level) const;
  std::uint64_t next_tick() const;

  std::vector<Node> nodes_;
  std::array<std::uint32_t, level_count * slot_count + 1> heads_;
  std::array<std::array<std::uint64_t, slot_count / 64>, level_count> used_{};
  std::uint64_t current_;
};

}  // namespace tailrace::net
