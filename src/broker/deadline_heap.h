// DeadlineHeap: the items that wait for a time, the earliest first. Items know their place, so
// that one that is done early leaves at once instead of piling up.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace tailrace::broker {

// T has `Instant deadline` and `std::uint32_t heap_index`, no_deadline while it is not in.
inline constexpr std::uint32_t no_deadline = UINT32_MAX;

template <class T>
class DeadlineHeap {
 public:
  explicit DeadlineHeap(std::size_t capacity) { items_.reserve(capacity); }

  bool empty() const { return items_.empty(); }
  T* earliest() const { return items_.empty() ? nullptr : items_.front(); }
  Instant next_deadline() const { return items_.empty() ? never() : items_.front()->deadline; }

  void insert(T& item) {
    TR_ASSERT(item.heap_index == no_deadline);
    TR_ASSERT(items_.size() < items_.capacity());
    items_.push_back(&item);
    place(items_.size() - 1, item);
    rise(items_.size() - 1);
  }
  // Nothing happens when it is not in.
  void remove(T& item) {
    if (item.heap_index == no_deadline) return;
    const std::size_t index = item.heap_index;
    TR_ASSERT(items_[index] == &item);
    item.heap_index = no_deadline;
    T* last = items_.back();
    items_.pop_back();
    if (last == &item) return;
    place(index, *last);
    rise(index);
    sink(last->heap_index);
  }

 private:
  void place(std::size_t index, T& item) {
    items_[index] = &item;
    item.heap_index = static_cast<std::uint32_t>(index);
  }
  void swap(std::size_t a, std::size_t b) {
    T& first = *items_[a];
    place(a, *items_[b]);
    place(b, first);
  }
  void rise(std::size_t index) {
    while (index > 0 && items_[index]->deadline < items_[(index - 1) / 2]->deadline) {
      swap(index, (index - 1) / 2);
      index = (index - 1) / 2;
    }
  }
  void sink(std::size_t index) {
    for (;;) {
      std::size_t least = index;
      for (std::size_t child = 2 * index + 1; child <= 2 * index + 2; ++child) {
        if (child < items_.size() && items_[child]->deadline < items_[least]->deadline) {
          least = child;
        }
      }
      if (least == index) return;
      swap(index, least);
      index = least;
    }
  }

  std::vector<T*> items_;
};

}  // namespace tailrace::broker
