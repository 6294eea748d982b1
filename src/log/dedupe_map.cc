#include "log/dedupe_map.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace tailrace::log {
namespace {

constexpr std::size_t slots_least = 64;

// With so many slots in use a search still takes two or three looks.
std::size_t usable(std::size_t slots) { return slots / 4 * 3; }

}  // namespace

DedupeMap::DedupeMap(std::size_t memory_bytes)
    : slots_most_(std::bit_floor(std::max(memory_bytes / slot_bytes, slots_least))) {
  // calloc's zeros are the kernel's: pages come when they are used.
  slots_.reset(static_cast<Slot*>(std::calloc(slots_most_, sizeof(Slot))));
  TR_ASSERT(slots_ != nullptr);
  begin(0, 0);
}

void DedupeMap::begin(std::int64_t base_offset, std::uint64_t records_most) {
  base_offset_ = base_offset;
  const std::uint64_t wanted = std::min<std::uint64_t>(records_most, slots_most_) * 4 / 3 + 1;
  slot_count_ = std::clamp(std::bit_ceil(static_cast<std::size_t>(wanted)), slots_least,
                           slots_most_);
  capacity_ = usable(slot_count_);
  size_ = 0;
  ++pass_;
  if (pass_ != 0) return;
  std::memset(static_cast<void*>(slots_.get()), 0, slots_most_ * sizeof(Slot));
  pass_ = 1;
}

// Of the key, or of the free slot where it would be.
std::size_t DedupeMap::place_of(const Hash128& key) const {
  std::size_t place = key.low & (slot_count_ - 1);
  while (slots_[place].pass == pass_ && !(slots_[place].key == key)) {
    place = (place + 1) & (slot_count_ - 1);
  }
  return place;
}

bool DedupeMap::put(const Hash128& key, std::int64_t offset) {
  TR_ASSERT(offset >= base_offset_);
  if (offset - base_offset_ > INT64_C(0xffff'ffff)) return false;
  Slot& slot = slots_[place_of(key)];
  const auto distance = static_cast<std::uint32_t>(offset - base_offset_);
  if (slot.pass == pass_) {
    slot.offset = std::max(slot.offset, distance);
    return true;
  }
  if (size_ == capacity_) return false;
  slot = {key, distance, pass_};
  ++size_;
  return true;
}

std::int64_t DedupeMap::find(const Hash128& key) const {
  const Slot& slot = slots_[place_of(key)];
  return slot.pass == pass_ ? base_offset_ + slot.offset : -1;
}

}  // namespace tailrace::log
