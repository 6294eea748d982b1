#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace tailrace::net {

TimerWheel::TimerWheel(std::uint32_t timer_count, Instant start)
    : nodes_(timer_count), current_(static_cast<std::uint64_t>(start.ns) >> tick_shift) {
  heads_.fill(no_timer);
}

void TimerWheel::link(std::uint32_t id, std::uint16_t slot) {
  Node& node = nodes_[id];
  node.slot = slot;
  node.previous = no_timer;
  node.next = heads_[slot];
  if (node.next != no_timer) nodes_[node.next].previous = id;
  heads_[slot] = id;
  if (slot < due_slot) used_[slot / slot_count][slot % slot_count / 64] |= 1ULL << (slot % 64);
}

void TimerWheel::unlink(std::uint32_t id) {
  Node& node = nodes_[id];
  if (node.previous != no_timer) {
    nodes_[node.previous].next = node.next;
  } else {
    heads_[node.slot] = node.next;
  }
  if (node.next != no_timer) nodes_[node.next].previous = node.previous;
  if (heads_[node.slot] == no_timer && node.slot < due_slot) {
    used_[node.slot / slot_count][node.slot % slot_count / 64] &= ~(1ULL << (node.slot % 64));
  }
  node.slot = no_slot;
}

// In the lowest level that reaches so far; beyond the highest, at its end, to be placed again.
void TimerWheel::place(std::uint32_t id) {
  const std::uint64_t tick = nodes_[id].tick;
  if (tick <= current_) return link(id, due_slot);
  for (std::uint32_t level = 0; level < level_count; ++level) {
    const std::uint32_t shift = 8 * level;
    const std::uint64_t distance = (tick >> shift) - (current_ >> shift);
    if (distance < slot_count) {
      const std::uint64_t slot = level * slot_count + (tick >> shift) % slot_count;
      return link(id, static_cast<std::uint16_t>(slot));
    }
  }
  const std::uint64_t last = (current_ >> 24) + slot_count - 1;
  link(id, static_cast<std::uint16_t>(3 * slot_count + last % slot_count));
}

void TimerWheel::arm(std::uint32_t id, Instant deadline) {
  TR_ASSERT(id < nodes_.size());
  if (nodes_[id].slot != no_slot) unlink(id);
  // Rounded up: never early.
  const auto ns = static_cast<std::uint64_t>(std::max<std::int64_t>(deadline.ns, 0));
  nodes_[id].tick = (ns + (1U << tick_shift) - 1) >> tick_shift;
  place(id);
}

void TimerWheel::cancel(std::uint32_t id) {
  TR_ASSERT(id < nodes_.size());
  if (nodes_[id].slot != no_slot) unlink(id);
}

void TimerWheel::cascade(std::uint32_t level) {
  const auto slot = static_cast<std::uint32_t>(level * slot_count +
                                               (current_ >> (8 * level)) % slot_count);
  std::uint32_t id = heads_[slot];
  while (id != no_timer) {
    const std::uint32_t next = nodes_[id].next;
    unlink(id);
    place(id);
    id = next;
  }
}

bool TimerWheel::has_level(std::uint32_t level) const {
  return std::any_of(used_[level].begin(), used_[level].end(),
                     [](std::uint64_t word) { return word != 0; });
}

std::uint32_t TimerWheel::next_used(std::uint32_t level) const {
  auto slot = static_cast<std::uint32_t>((current_ >> (8 * level)) % slot_count) + 1;
  while (slot < slot_count) {
    const std::uint64_t word = used_[level][slot / 64] >> (slot % 64);
    if (word != 0) return std::min(slot + static_cast<std::uint32_t>(std::countr_zero(word)),
                                   slot_count);
    slot = (slot / 64 + 1) * 64;
  }
  return slot_count;
}

// The next tick at which anything happens: a used slot of level 0, or the one at which a used slot
// of a higher level must be spread over the lower ones. A level that is empty below a used one is
// passed in one step.
std::uint64_t TimerWheel::next_tick() const {
  for (std::uint32_t level = 0; level < level_count; ++level) {
    const std::uint32_t shift = 8 * level;
    const std::uint64_t base = current_ >> (shift + 8) << (shift + 8);
    const std::uint32_t slot = next_used(level);
    if (slot < slot_count) return base + (std::uint64_t{slot} << shift);
    // Slots at or before the current one are of the level's next turn.
    if (has_level(level)) return base + (std::uint64_t{slot_count} << shift);
  }
  return UINT64_MAX;
}

std::uint32_t TimerWheel::take_due(Instant now) {
  const std::uint64_t target = static_cast<std::uint64_t>(now.ns) >> tick_shift;
  while (heads_[due_slot] == no_timer) {
    const std::uint64_t next = next_tick();
    if (next > target) {
      current_ = std::max(current_, target);
      return no_timer;
    }
    current_ = next;
    for (std::uint32_t level = level_count - 1; level > 0; --level) {
      if (current_ % (1ULL << (8 * level)) == 0) cascade(level);
    }
    cascade(0);
  }
  const std::uint32_t id = heads_[due_slot];
  unlink(id);
  return id;
}

Instant TimerWheel::next_deadline() const {
  if (heads_[due_slot] != no_timer) return {static_cast<std::int64_t>(current_ << tick_shift)};
  const std::uint64_t next = next_tick();
  return next == UINT64_MAX ? never() : Instant{static_cast<std::int64_t>(next << tick_shift)};
}

}  // namespace tailrace::net
