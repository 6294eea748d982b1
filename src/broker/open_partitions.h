// OpenPartitions: where the transaction of a connection's producer is known to be open, so that
// requests on these partitions may run side by side.
//
// The log keeps the order of requests that are appended as they come. One whose partition is not
// open yet is appended only after the coordinator was asked (verification.h), and what came behind
// it would overtake it: its sequence would be refused, and clients give the transaction up. So a
// request runs beside others only when all its partitions were written to by requests that have
// been answered; any other runs alone, and opens its partitions.
//
// A transaction ends only when nothing of it is under way. So a connection that has nothing
// unanswered knows nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace tailrace::broker {

class OpenPartitions {
 public:
  // Beyond so many a request runs alone.
  static constexpr std::size_t partitions_max = 64;

  // Does a request that runs alone open partitions now? Nothing else may begin.
  bool is_opening() const { return is_opening_; }
  bool contains(std::uint64_t key) const {
    return std::find(keys_.begin(), keys_.begin() + count_, key) != keys_.begin() + count_;
  }

  void begin_opening() {
    count_ = 0;
    is_opening_ = true;
  }
  void add(std::uint64_t key) {
    if (count_ < partitions_max) keys_[count_++] = key;
  }
  // The request was answered, or is gone.
  void end_opening() { is_opening_ = false; }
  // A request was refused somewhere: who knows what is open.
  void forget() { count_ = 0; }

 private:
  std::array<std::uint64_t, partitions_max> keys_;
  std::uint8_t count_ = 0;
  bool is_opening_ = false;
};

}  // namespace tailrace::broker
