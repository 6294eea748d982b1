// Pool<T>: a fixed number of objects handed out by number. T has a field `next`, which links free
// ones here and is its owner's while it is out. Numbers instead of pointers: half the size, and a
// list's links can be checked.
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.h"

namespace tailrace::net {

inline constexpr std::uint32_t none = UINT32_MAX;

template <class T>
class Pool {
 public:
  explicit Pool(std::uint32_t capacity) : items_(capacity), free_count_(capacity) {
    for (std::uint32_t i = 0; i < capacity; ++i) items_[i].next = i + 1 < capacity ? i + 1 : none;
    free_ = capacity > 0 ? 0 : none;
  }

  T& operator[](std::uint32_t index) {
    TR_ASSERT(index < items_.size());
    return items_[index];
  }
  const T& operator[](std::uint32_t index) const {
    TR_ASSERT(index < items_.size());
    return items_[index];
  }
  // The number of an object with whatever it held before, or `none`.
  std::uint32_t take() {
    if (free_ == none) return none;
    const std::uint32_t index = free_;
    free_ = items_[index].next;
    --free_count_;
    return index;
  }
  void give(std::uint32_t index) {
    TR_ASSERT(index < items_.size());
    items_[index].next = free_;
    free_ = index;
    ++free_count_;
  }
  std::uint32_t free_count() const { return free_count_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(items_.size()); }
  std::uint32_t used_count() const { return capacity() - free_count_; }
  void prefetch(std::uint32_t index) const { __builtin_prefetch(&items_[index]); }

 private:
  std::vector<T> items_;
  std::uint32_t free_ = none;
  std::uint32_t free_count_;
};

}  // namespace tailrace::net
