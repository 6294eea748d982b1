// A first-in-first-out queue of fixed capacity for one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/assert.h"

namespace tailrace {

template <class T>
class Ring {
 public:
  explicit Ring(std::size_t capacity)
      : items_(std::make_unique<T[]>(capacity)), capacity_(capacity) {
    TR_ASSERT(capacity > 0);
  }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return capacity_; }
  std::size_t free_count() const { return capacity_ - size_; }
  bool empty() const { return size_ == 0; }
  bool full() const { return size_ == capacity_; }

  // False, and nothing changed, when full.
  bool push(T item) {
    if (full()) return false;
    items_[(head_ + size_) % capacity_] = std::move(item);
    ++size_;
    return true;
  }
  T pop() {
    TR_ASSERT(size_ > 0);
    T item = std::move(items_[head_]);
    head_ = (head_ + 1) % capacity_;
    --size_;
    return item;
  }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  void pop_back() {
    TR_ASSERT(size_ > 0);
    --size_;
  }
  // Index 0 is the oldest.
  T& operator[](std::size_t index) {
    TR_ASSERT(index < size_);
    return items_[(head_ + index) % capacity_];
  }
  const T& operator[](std::size_t index) const {
    TR_ASSERT(index < size_);
    return items_[(head_ + index) % capacity_];
  }
  void clear() {
    head_ = 0;
    size_ = 0;
  }

 private:
  std::unique_ptr<T[]> items_;
  std::size_t capacity_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tailrace
