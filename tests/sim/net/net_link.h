// The wire between two simulated hosts: a rate, a queue that overflows, delay, and everything that
// a bad network does to frames, drawn from a seed.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "base/prng.h"
#include "base/time.h"

namespace tailrace::sim {

struct LinkFaults {
  std::uint32_t loss = 0;        // of 10,000 frames, as all of these
  std::uint32_t duplication = 0;
  std::uint32_t reordering = 0;  // held back for up to reorder_delay
  std::uint32_t corruption = 0;  // one bit
  Duration delay = microseconds(50);
  Duration jitter{};             // keeps the order
  Duration reorder_delay{};
  std::uint64_t bytes_per_second = 1'250'000'000;
  std::uint32_t queue_bytes_max = 1U << 20;
  std::uint32_t mark_above_bytes = UINT32_MAX;  // ECN
  std::uint32_t mtu = 1500;
  bool tells_mtu = true;         // with ICMP; else it swallows what is too long
};

struct FlyingFrame {
  Instant arrives;
  std::uint64_t number = 0;      // of equal times the first sent comes first
  std::uint8_t to = 0;
  std::vector<std::byte> bytes;
  friend bool operator<(const FlyingFrame& a, const FlyingFrame& b) {
    return a.arrives != b.arrives ? a.arrives > b.arrives : a.number > b.number;
  }
};

class NetLink {
 public:
  NetLink(const LinkFaults& faults, std::uint64_t seed) : faults_(faults), prng_(seed, "link") {}

  // A frame leaves host 0 or 1.
  void transmit(std::uint8_t from, std::vector<std::byte> frame, Instant now);
  Instant next_arrival() const { return flying_.empty() ? never() : flying_.top().arrives; }
  // The next frame that has arrived; there is one.
  FlyingFrame take();

  // From now on nothing gets through.
  void cut() { is_cut_ = true; }
  // From now on it loses and changes nothing.
  void heal();
  void set_mtu(std::uint32_t mtu) { faults_.mtu = mtu; }
  std::uint64_t lost_count() const { return lost_; }
  std::uint64_t frame_count() const { return number_; }
  std::uint64_t bytes_carried() const { return bytes_; }

 private:
  bool answer_too_long(std::uint8_t from, const std::vector<std::byte>& frame, Instant now);
  void fly(std::uint8_t to, std::vector<std::byte> frame, Instant arrives);
  void mark(std::vector<std::byte>& frame);

  LinkFaults faults_;
  Prng prng_;
  std::priority_queue<FlyingFrame> flying_;
  std::uint64_t number_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t bytes_ = 0;
  Instant free_at_[2]{};
  Instant last_arrival_[2]{};
  bool is_cut_ = false;
};

}  // namespace tailrace::sim
