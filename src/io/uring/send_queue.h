// SendQueue: what send() accepted and the kernel has not yet taken, per connection, in order.
// Holds slices, never bytes.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace tailrace::io {

// The sends of one connection, oldest first, linked through the queue.
struct SendList {
  std::uint32_t head = UINT32_MAX;
  std::uint32_t tail = UINT32_MAX;
  bool empty() const { return head == UINT32_MAX; }
};

class SendQueue {
 public:
  SendQueue(std::uint32_t sends_max, std::uint32_t slices_max);

  // Appends one send; false when there is no room for it or for its slices.
  bool push(SendList& list, std::span<const Bytes> slices, std::uint64_t token);
  // A send without bytes, outside any list: only its slot and token. UINT32_MAX when full.
  std::uint32_t take_slot(std::uint64_t token);
  // Takes `bytes` off the front.
  void advance(SendList& list, std::uint64_t bytes);
  // True when the oldest send has no bytes left; then pop() takes it off and gives its slot,
  // which stays taken until free_slot().
  bool front_is_done(const SendList& list) const;
  std::uint32_t pop(SendList& list);
  std::uint64_t token(std::uint32_t slot) const { return sends_[slot].token; }
  void free_slot(std::uint32_t slot);

  // Describes the bytes at the front of `list` for one sendmsg. The description lives in a
  // scratch area until forget_described(): as long as the kernel has not seen the request.
  // Null when the scratch area is full.
  msghdr* describe(const SendList& list);
  void forget_described();

  std::uint32_t slices_max() const { return static_cast<std::uint32_t>(slices_.size()); }

 private:
  struct Slice {
    const std::byte* data = nullptr;
    std::size_t size = 0;
    std::uint32_t next = UINT32_MAX;
  };
  struct Send {
    std::uint64_t token = 0;
    std::uint32_t slice_head = UINT32_MAX;
    std::uint32_t next = UINT32_MAX;
  };
  static constexpr std::uint32_t none = UINT32_MAX;
  static constexpr std::size_t iovecs_per_call_max = 1024;   // UIO_MAXIOV
  // Regathering after a partial send costs one step per slice: no more than a socket may take.
  static constexpr std::size_t bytes_per_call_min = 1 << 20;
  static constexpr std::size_t scratch_iovecs = 8192;
  static constexpr std::size_t scratch_messages = 1024;

  void free_slices(std::uint32_t head);

  std::vector<Slice> slices_;
  std::vector<Send> sends_;
  std::uint32_t free_slice_ = none;
  std::uint32_t free_slice_count_ = 0;
  std::uint32_t free_send_ = none;
  std::vector<iovec> iovecs_;
  std::vector<msghdr> messages_;
  std::size_t iovecs_used_ = 0;
  std::size_t messages_used_ = 0;
};

}  // namespace tailrace::io
