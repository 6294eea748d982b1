// TokenBucket: how much of a rate is left. It fills by `rate` a second up to a burst; what is taken
// beyond that is a debt, which fills up first, so that the rate holds over time whatever the size
// of what is taken at once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/time.h"

namespace tailrace {

struct TokenBucket {
  double rate = 0;    // per second, above zero
  double burst_s = 1; // seconds of the rate that may be saved up
  double tokens = 0;  // below zero: a debt
  Instant filled;

  static TokenBucket full(double rate, double burst_s, Instant now) {
    return {rate, burst_s, rate * burst_s, now};
  }
  // A change of the rate leaves the debt.
  void refill(double new_rate, Instant now) {
    rate = new_rate;
    if (now > filled) {
      tokens += rate * static_cast<double>((now - filled).ns) / 1e9;
      filled = now;
    }
    tokens = std::min(tokens, rate * burst_s);
  }
  void take(double count) { tokens -= count; }
  // How long until a debt is paid when `more` is taken as well; 0 when there is none.
  std::uint32_t wait_ms(double more = 0) const {
    if (tokens - more >= 0) return 0;
    const double ms = std::ceil((more - tokens) / rate * 1000);
    return ms >= INT32_MAX ? INT32_MAX : static_cast<std::uint32_t>(ms);
  }
};

}  // namespace tailrace
