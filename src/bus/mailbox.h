// Mailbox<T>: a bounded queue from one thread to one other (Lamport 1983, with cached positions).
// All that crosses a thread in Tailrace goes through one of these.
//
// Sleeping and waking. A receiver that wants to sleep calls prepare_sleep(), looks at empty()
// once more, sleeps, and calls end_sleep(). A sender, after push() and publish(), asks
// wants_wake() and if so wakes the receiver by its io::Idle. Lost wake-ups are the classic error:
// the sender writes the item, then reads the flag; the receiver writes the flag, then reads the
// item. Each must see the other's write, which only a sequentially consistent fence between the
// two accesses of each side promises (store-load order). Both fences are here and nowhere else.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

#include "base/assert.h"

namespace tailrace::bus {

template <class T>
class Mailbox {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Capacity in items, a power of two.
  explicit Mailbox(std::size_t capacity)
      : items_(std::make_unique<T[]>(capacity)), mask_(capacity - 1) {
    TR_ASSERT(capacity > 0);
    TR_ASSERT((capacity & mask_) == 0);
  }

  // Sender's side. False, and nothing changed, when full: the sender keeps the item.
  bool push(const T& item) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    items_[tail & mask_] = item;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Sender's side, after the last push of a turn: must the receiver be woken?
  bool wants_wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return sleeping_.load(std::memory_order_relaxed);
  }

  // Receiver's side. Fills `items` from the front; returns how many.
  std::size_t pop(std::span<T> items) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    const std::size_t available = tail_.load(std::memory_order_acquire) - head;
    const std::size_t count = available < items.size() ? available : items.size();
    for (std::size_t i = 0; i < count; ++i) items[i] = items_[(head + i) & mask_];
    if (count > 0) head_.store(head + count, std::memory_order_release);
    return count;
  }

  // Receiver's side.
  bool empty() const {
    return tail_.load(std::memory_order_acquire) == head_.load(std::memory_order_relaxed);
  }
  void prepare_sleep() {
    sleeping_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void end_sleep() { sleeping_.store(false, std::memory_order_relaxed); }

 private:
  static constexpr std::size_t line_bytes = 64;
  std::unique_ptr<T[]> items_;
  std::size_t mask_;
  alignas(line_bytes) std::atomic<std::size_t> tail_{0};
  std::size_t head_seen_ = 0;  // The sender's last look at head_.
  alignas(line_bytes) std::atomic<std::size_t> head_{0};
  alignas(line_bytes) std::atomic<bool> sleeping_{false};
};

}  // namespace tailrace::bus
