// Time as a value. Logic is handed a Now and never reads a clock (ARCHITECTURE: the time seam).
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace tailrace {

struct Duration {
  std::int64_t ns = 0;

  friend constexpr auto operator<=>(Duration, Duration) = default;
};

constexpr Duration nanoseconds(std::int64_t n) { return {n}; }
constexpr Duration microseconds(std::int64_t n) { return {n * 1'000}; }
constexpr Duration milliseconds(std::int64_t n) { return {n * 1'000'000}; }
constexpr Duration seconds(std::int64_t n) { return {n * 1'000'000'000}; }

// A point on a clock that never goes back; its zero means nothing.
struct Instant {
  std::int64_t ns = 0;

  friend constexpr auto operator<=>(Instant, Instant) = default;
  // Saturates at never(), so "wait for ever" needs no special case.
  friend constexpr Instant operator+(Instant a, Duration d) {
    return {a.ns > std::numeric_limits<std::int64_t>::max() - d.ns
                ? std::numeric_limits<std::int64_t>::max()
                : a.ns + d.ns};
  }
  friend constexpr Duration operator-(Instant a, Instant b) { return {a.ns - b.ns}; }
};

// A deadline that never comes.
constexpr Instant never() { return {std::numeric_limits<std::int64_t>::max()}; }

// Both clocks of one turn: deadlines use `instant`; record timestamps and retention, which a
// user compares with a calendar, use `wall_ms` (milliseconds since 1970 UTC; may jump).
struct Now {
  Instant instant;
  std::int64_t wall_ms = 0;
};

}  // namespace tailrace
