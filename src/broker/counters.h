// What a core's data plane counts. One thread writes, any thread reads (relaxed: each number is
// right by itself, not against the others).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "base/time.h"

namespace tailrace::broker {

class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::uint64_t n) { add(~n + 1); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Durations by powers of two of a microsecond.
class LatencyHistogram {
 public:
  static constexpr std::size_t bucket_count = 32;
  void record(Duration duration) {
    const auto us = static_cast<std::uint64_t>(duration.ns > 0 ? duration.ns / 1000 : 0);
    const auto bucket = static_cast<std::size_t>(std::bit_width(us));
    buckets_[bucket < bucket_count ? bucket : bucket_count - 1].add();
    sum_us_.add(us);
  }
  // Durations below 2^bucket microseconds that are in no lower bucket.
  std::uint64_t count(std::size_t bucket) const { return buckets_[bucket].value(); }
  std::uint64_t sum_us() const { return sum_us_.value(); }

 private:
  std::array<Counter, bucket_count> buckets_;
  Counter sum_us_;
};

struct Counters {
  // By API key; keys from 96 on are counted in the last.
  static constexpr std::size_t api_keys_max = 96;
  std::array<Counter, api_keys_max> requests;

  Counter connections_opened;
  Counter connections_closed;
  Counter connections_refused;   // over connections_max
  Counter connections_idle;      // closed for idleness
  Counter protocol_errors;       // closed for what the peer sent
  Counter bytes_in;
  Counter bytes_out;
  Counter pauses;
  Counter error_responses;       // partitions or resources answered with an error
  Counter records_appended;
  Counter bytes_appended;
  Counter bytes_fetched;
  Counter append_stalls;         // produce requests that had to wait for the log
  Counter tasks_sent;            // to other cores
  LatencyHistogram produce;      // from the whole request to its response
  LatencyHistogram fetch;        // the same, waiting for data included
};

}  // namespace tailrace::broker
