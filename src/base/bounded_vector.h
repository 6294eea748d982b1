// A vector whose capacity is fixed when it is made: memory is reserved once, push on a full one
// is refused, elements never move.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "base/assert.h"

namespace tailrace {

template <class T>
class BoundedVector {
 public:
  explicit BoundedVector(std::size_t capacity)
      : items_(capacity == 0 ? nullptr : std::allocator<T>().allocate(capacity)),
        capacity_(capacity) {}
  ~BoundedVector() {
    clear();
    if (items_ != nullptr) std::allocator<T>().deallocate(items_, capacity_);
  }
  BoundedVector(BoundedVector&& other) noexcept
      : items_(std::exchange(other.items_, nullptr)),
        capacity_(std::exchange(other.capacity_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  BoundedVector(const BoundedVector&) = delete;
  BoundedVector& operator=(const BoundedVector&) = delete;
  BoundedVector& operator=(BoundedVector&&) = delete;

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == capacity_; }

  // False, and nothing changed, when full.
  template <class... Args>
  bool push(Args&&... args) {
    if (full()) return false;
    new (items_ + size_) T{std::forward<Args>(args)...};
    ++size_;
    return true;
  }
  void pop_back() {
    TR_ASSERT(size_ > 0);
    items_[--size_].~T();
  }
  // Constant time; the last element takes the place of the removed one.
  void swap_remove(std::size_t index) {
    TR_ASSERT(index < size_);
    if (index + 1 != size_) items_[index] = std::move(items_[size_ - 1]);
    pop_back();
  }
  void clear() {
    while (size_ > 0) pop_back();
  }

  T& operator[](std::size_t index) {
    TR_ASSERT(index < size_);
    return items_[index];
  }
  const T& operator[](std::size_t index) const {
    TR_ASSERT(index < size_);
    return items_[index];
  }
  T& back() { return (*this)[size_ - 1]; }
  T* begin() { return items_; }
  T* end() { return items_ + size_; }
  const T* begin() const { return items_; }
  const T* end() const { return items_ + size_; }
  operator std::span<T>() { return {items_, size_}; }
  operator std::span<const T>() const { return {items_, size_}; }

 private:
  T* items_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

}  // namespace tailrace
