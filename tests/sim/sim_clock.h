// SimClock: a number that the simulator advances. The wall clock follows it, but may be moved.
#pragma once

#include <algorithm>

#include "base/assert.h"
#include "io/clock.h"

namespace tailrace::sim {

class SimClock final : public io::Clock {
 public:
  Now now() override { return {instant_, wall_at_zero_ms_ + instant_.ns / 1'000'000}; }
  Instant instant() const { return instant_; }
  void advance_to(Instant at) {
    TR_ASSERT(instant_ <= at);
    instant_ = at;
  }
  // As an operator or a time server does it.
  void move_wall(std::int64_t by_ms) {
    wall_most_ms_ = wall_most_ms();
    wall_at_zero_ms_ += by_ms;
  }
  // The latest time that the wall clock ever showed.
  std::int64_t wall_most_ms() { return std::max(wall_most_ms_, now().wall_ms); }

 private:
  std::int64_t wall_most_ms_ = 0;
  Instant instant_{1'000'000};
  std::int64_t wall_at_zero_ms_ = 1'750'000'000'000;
};

}  // namespace tailrace::sim
