// The system's clocks, behind the clock seam.
#pragma once

#include <ctime>

#include "io/clock.h"

namespace tailrace::runtime {

class ClockSystem final : public io::Clock {
 public:
  Now now() override {
    timespec monotonic{};
    timespec wall{};
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME_COARSE, &wall);
    return {.instant = {monotonic.tv_sec * 1'000'000'000 + monotonic.tv_nsec},
            .wall_ms = wall.tv_sec * 1'000 + wall.tv_nsec / 1'000'000};
  }
};

}  // namespace tailrace::runtime
