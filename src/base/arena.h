// Arena: a bump allocator over memory reserved at start; everything in it dies at once with
// reset(). Decoded requests put their arrays here. T must need no destructor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "base/assert.h"

namespace tailrace {

class Arena {
 public:
  explicit Arena(std::size_t capacity_bytes)
      : memory_(std::make_unique_for_overwrite<std::byte[]>(capacity_bytes)),
        capacity_(capacity_bytes) {}

  // `count` value-initialised objects; an empty span with a null pointer when there is no room.
  template <class T>
  std::span<T> allocate(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    const std::size_t start = (used_ + alignof(T) - 1) & ~(alignof(T) - 1);
    if (start > capacity_ || count > (capacity_ - start) / sizeof(T)) return {};
    used_ = start + count * sizeof(T);
    T* first = reinterpret_cast<T*>(memory_.get() + start);
    for (std::size_t i = 0; i < count; ++i) new (first + i) T{};
    return {first, count};
  }
  void reset() { used_ = 0; }
  std::size_t used_bytes() const { return used_; }
  std::size_t capacity_bytes() const { return capacity_; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t capacity_;
  std::size_t used_ = 0;
};

}  // namespace tailrace
