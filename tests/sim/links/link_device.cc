#include "link_device.h"

#include <algorithm>

#include "../../support/cut_segments.h"

namespace tailrace::sim {

std::uint64_t sum_of(std::span<const Bytes> slices) {
  std::uint64_t sum = 0x9e3779b97f4a7c15U;
  const auto add = [&](std::uint64_t word) {
    sum = (sum ^ word) * 0xbf58476d1ce4e5b9U;
    sum ^= sum >> 29;
  };
  for (Bytes slice : slices) {
    for (; slice.size() >= 8; slice = slice.subspan(8)) {
      std::uint64_t word;
      std::memcpy(&word, slice.data(), 8);
      add(word);
    }
    for (const std::byte byte : slice) add(static_cast<std::uint64_t>(byte));
  }
  return sum;
}

LinkDevice::LinkDevice(const DevicePlan& plan, Prng prng, SimClock& clock, Wire wire)
    : plan_(plan), prng_(prng), clock_(clock), wire_(std::move(wire)),
      lent_(plan.offers.frames_max) {
  for (std::uint64_t i = 0; i < plan.offers.frames_max; ++i) free_tokens_.push_back(i);
}

void LinkDevice::arrive(std::vector<std::byte> frame) {
  if (arrived_.size() >= plan_.receive_ring) return;
  arrived_.push_back(std::move(frame));
}

std::size_t LinkDevice::receive(std::span<RxFrame> frames) {
  std::size_t count = 0;
  while (count < frames.size() && !arrived_.empty() && !free_tokens_.empty()) {
    const std::uint64_t token = free_tokens_.back();
    free_tokens_.pop_back();
    lent_[token] = std::move(arrived_.front());
    arrived_.pop_front();
    frames[count++] = {.bytes = lent_[token], .token = token};
  }
  return count;
}

void LinkDevice::release(std::span<const std::uint64_t> tokens) {
  for (const std::uint64_t token : tokens) {
    if (token >= lent_.size() || lent_[token].empty()) {
      ++misuses_;
      continue;
    }
    // Whoever still looks at it is found out.
    std::fill(lent_[token].begin(), lent_[token].end(), std::byte{0xdd});
    lent_[token].clear();
    free_tokens_.push_back(token);
  }
}

std::size_t LinkDevice::transmit(std::span<const TxFrame> frames) {
  finish();
  const auto draw = [&](Duration most) {
    return most.ns == 0 ? Duration{} : nanoseconds(static_cast<std::int64_t>(
                                           prng_.below(static_cast<std::uint64_t>(most.ns))));
  };
  std::size_t count = 0;
  for (; count < frames.size(); ++count) {
    if (taken_.size() + held_.size() >= plan_.transmit_ring) break;
    if (plan_.refuse != 0 && prng_.chance(plan_.refuse, 1000)) break;
    Taken taken{.frame = frames[count], .read_at = clock_.instant() + draw(plan_.read_delay_max)};
    if (!taken_.empty()) taken.read_at = std::max(taken.read_at, taken_.back().read_at);
    taken.sum = sum_of(taken.frame.payload());
    taken.finish_at = taken.read_at + draw(plan_.finish_delay_max);
    taken_.push_back(taken);
  }
  work();
  return count;
}

void LinkDevice::work() {
  while (!taken_.empty() && taken_.front().read_at <= clock_.instant()) {
    const Taken& taken = taken_.front();
    if (!is_unplugged_) {
      cut_segments(taken.frame, [&](std::vector<std::byte> bytes) { wire_(std::move(bytes)); });
    }
    if (taken.frame.hold != no_hold) held_.push_back({taken.frame, taken.sum, taken.finish_at});
    taken_.pop_front();
  }
}

void LinkDevice::finish() {
  work();
  std::erase_if(held_, [&](const Held& held) {
    if (clock_.instant() < held.finish_at) return false;
    if (sum_of(held.frame.payload()) != held.sum) ++changed_payloads_;
    if (plant_lose_hold && prng_.chance(1, 64)) return true;
    finished_.push_back(held.frame.hold);
    return true;
  });
}

std::size_t LinkDevice::take_finished(std::span<std::uint32_t> holds) {
  finish();
  const std::size_t count = std::min(holds.size(), finished_.size());
  std::copy_n(finished_.begin(), count, holds.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

// What wakes a thread in production, too: a frame that came, and a look for holds that are over.
Instant LinkDevice::next_deadline() const {
  if (!arrived_.empty() && !free_tokens_.empty()) return clock_.instant();
  if (!finished_.empty()) return clock_.instant();
  Instant next = never();
  for (const Taken& taken : taken_) {
    if (taken.frame.hold != no_hold) next = std::min(next, taken.finish_at);
  }
  for (const Held& held : held_) next = std::min(next, held.finish_at);
  return next;
}

Instant LinkDevice::work_deadline() const {
  return taken_.empty() ? never() : taken_.front().read_at;
}

}  // namespace tailrace::sim
