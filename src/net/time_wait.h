// Flows at rest after a close of ours (RFC 9293, 3.6.1), at most 80 bytes each. All rest equally
// long, so they lie in a ring by the time they began, and the ring is the timer. A FIN that comes
// again lets a flow rest anew; then its old place in the ring is empty and a new one is taken.
//
// When the ring is full, the oldest goes: better a peer's late duplicate gets a reset than that
// a core which closes many connections must remember all of them.
#pragma once

#include <cstdint>
#include <memory>

#include "base/assert.h"
#include "base/time.h"
#include "net/address.h"
#include "net/seq.h"

namespace tailrace::net {

struct TimeWait {
  Flow flow;
  std::uint32_t hash = 0;
  Seq send_next;
  Seq receive_next;
  std::uint32_t timestamp_recent = 0;
  std::uint32_t timestamp_offset = 0;
  std::uint16_t window = 0;           // as on the wire
  bool uses_timestamps = false;
  bool is_used = false;
  Instant until{};
  Instant answered_at{};
};
static_assert(sizeof(TimeWait) <= 88);

class TimeWaitTable {
 public:
  static constexpr std::uint32_t no_entry = UINT32_MAX;
  explicit TimeWaitTable(std::uint32_t capacity)
      : entries_(std::make_unique<TimeWait[]>(capacity)), capacity_(capacity) {
    TR_ASSERT(capacity > 0);
  }

  TimeWait& operator[](std::uint32_t index) {
    TR_ASSERT(index < capacity_);
    return entries_[index];
  }
  bool full() const { return size_ == capacity_; }
  // The place of the oldest one; no_entry when there is none.
  std::uint32_t oldest() const { return size_ == 0 ? no_entry : first_; }
  // There is room. The entry must be filled.
  std::uint32_t push() {
    TR_ASSERT(!full());
    const std::uint32_t index = (first_ + size_) % capacity_;
    ++size_;
    entries_[index] = {};
    entries_[index].is_used = true;
    return index;
  }
  // Ends one; the place is free once all older ones are.
  void drop(std::uint32_t index) {
    entries_[index].is_used = false;
    while (size_ > 0 && !entries_[first_].is_used) {
      first_ = (first_ + 1) % capacity_;
      --size_;
    }
  }
  std::uint32_t size() const { return size_; }

 private:
  std::unique_ptr<TimeWait[]> entries_;
  std::uint32_t capacity_;
  std::uint32_t first_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace tailrace::net
