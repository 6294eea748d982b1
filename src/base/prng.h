// Deterministic random numbers: xoshiro256** (Blackman and Vigna, 2018), seeded by splitmix64.
// One named stream per concern: Prng(seed, "network") and Prng(seed, "disk") are independent.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "base/assert.h"

namespace tailrace {

class Prng {
 public:
  explicit Prng(std::uint64_t seed, std::string_view stream = {}) {
    for (const char c : stream) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    for (std::uint64_t& word : state_) word = splitmix(seed);
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound); the bias of the multiply method is below 2^-32 for our bounds.
  std::uint64_t below(std::uint64_t bound) {
    TR_ASSERT(bound > 0);
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((Wide{next()} * bound) >> 64);
  }

  // Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    TR_ASSERT(low <= high);
    return low + below(high - low + 1);
  }

  // True with a chance of numerator in denominator.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  static std::uint64_t splitmix(std::uint64_t& x) {
    x += 0x9e3779b97f4a7c15U;
    std::uint64_t z = x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  std::array<std::uint64_t, 4> state_{};
};

}  // namespace tailrace
