// Numbers that one thread writes and any thread may read: metrics.
//
// An increment is a plain load and store, not a locked instruction, which is right because there
// is only one writer; the atomic only makes the reader's load whole. Relaxed, because a metric
// orders nothing: two counters read together may be from different moments.
#pragma once

#include <atomic>
#include <cstdint>

namespace tailrace {

// Only grows.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter& other) : value_(other.load()) {}
  Counter& operator=(const Counter& other) {
    value_.store(other.load(), std::memory_order_relaxed);
    return *this;
  }

  void add(std::uint64_t amount = 1) {
    value_.store(load() + amount, std::memory_order_relaxed);
  }
  std::uint64_t load() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Goes up and down: a queue's length, bytes in use.
class Gauge {
 public:
  Gauge() = default;
  Gauge(const Gauge& other) : value_(other.load()) {}
  Gauge& operator=(const Gauge& other) {
    set(other.load());
    return *this;
  }

  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t amount) { set(load() + amount); }
  std::int64_t load() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace tailrace
