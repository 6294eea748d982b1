// A TCP sequence number (RFC 9293, 3.4): a place on a circle of 2^32. The only type that may
// compare them; all comparisons are by the shorter way round.
#pragma once

#include <cstdint>

namespace tailrace::net {

struct Seq {
  std::uint32_t value = 0;

  friend constexpr Seq operator+(Seq a, std::uint32_t n) { return {a.value + n}; }
  friend constexpr Seq operator-(Seq a, std::uint32_t n) { return {a.value - n}; }
  // How far a lies behind b; the caller knows that it does not lie before.
  friend constexpr std::uint32_t operator-(Seq a, Seq b) { return a.value - b.value; }
  Seq& operator+=(std::uint32_t n) {
    value += n;
    return *this;
  }
  friend constexpr bool operator==(Seq, Seq) = default;
  friend constexpr bool operator<(Seq a, Seq b) { return signed_distance(a, b) < 0; }
  friend constexpr bool operator<=(Seq a, Seq b) { return signed_distance(a, b) <= 0; }
  friend constexpr bool operator>(Seq a, Seq b) { return signed_distance(a, b) > 0; }
  friend constexpr bool operator>=(Seq a, Seq b) { return signed_distance(a, b) >= 0; }

 private:
  static constexpr std::int32_t signed_distance(Seq a, Seq b) {
    return static_cast<std::int32_t>(a.value - b.value);
  }
};

constexpr Seq later(Seq a, Seq b) { return a < b ? b : a; }
constexpr Seq earlier(Seq a, Seq b) { return a < b ? a : b; }

// Bytes [start, end) of the circle.
struct SeqRange {
  Seq start;
  Seq end;
  constexpr bool empty() const { return start == end; }
  constexpr std::uint32_t size() const { return end - start; }
  friend constexpr bool operator==(SeqRange, SeqRange) = default;
};

}  // namespace tailrace::net
