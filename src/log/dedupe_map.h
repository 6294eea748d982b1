// DedupeMap: for each key of a compaction pass the newest offset that has it, in memory that was
// set aside at the start.
//
// Keys are known by 128 bits of SipHash keyed with the topic's random id. Two of n different keys
// share them with a probability below n^2 / 2^129: 2^-69 for a thousand million keys in a pass. And
// nobody gains by looking for such a pair: who may write one key of a topic may write the other.
//
// A pass is a number in each slot, so that a new one begins without touching the memory; it uses no
// more of it than its records can fill.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/sip_hash.h"

namespace tailrace::log {

class DedupeMap {
 public:
  // Touched only as far as it is used.
  explicit DedupeMap(std::size_t memory_bytes);

  // Forgets everything. Offsets from `base_offset` on; at most `records_most` of them will come.
  void begin(std::int64_t base_offset, std::uint64_t records_most);
  // False: it is full, or the offset lies too far from the first; nothing was changed.
  bool put(const Hash128& key, std::int64_t offset);
  // -1: not there.
  std::int64_t find(const Hash128& key) const;

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }  // keys that fit now
  static constexpr std::size_t slot_bytes = 24;

 private:
  struct Slot {
    Hash128 key;
    std::uint32_t offset = 0;  // from base_offset_
    std::uint32_t pass = 0;
  };
  static_assert(sizeof(Slot) == slot_bytes);
  struct Free {
    void operator()(Slot* slots) const { std::free(slots); }
  };
  std::size_t place_of(const Hash128& key) const;

  std::unique_ptr<Slot[], Free> slots_;
  std::size_t slots_most_;    // a power of two, as is slot_count_
  std::size_t slot_count_ = 0;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::int64_t base_offset_ = 0;
  std::uint32_t pass_ = 0;
};

}  // namespace tailrace::log
