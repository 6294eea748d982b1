#include "io/uring/send_queue.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::io {

SendQueue::SendQueue(std::uint32_t sends_max, std::uint32_t slices_max)
    : slices_(slices_max), sends_(sends_max), iovecs_(scratch_iovecs), messages_(scratch_messages) {
  TR_ASSERT(sends_max > 0);
  TR_ASSERT(slices_max > 0);
  for (std::uint32_t i = slices_max; i > 0; --i) {
    slices_[i - 1].next = free_slice_;
    free_slice_ = i - 1;
  }
  free_slice_count_ = slices_max;
  for (std::uint32_t i = sends_max; i > 0; --i) {
    sends_[i - 1].next = free_send_;
    free_send_ = i - 1;
  }
}

bool SendQueue::push(SendList& list, std::span<const Bytes> slices, std::uint64_t token) {
  TR_ASSERT(slices.size() <= slices_.size());   // else no wait would ever help
  if (free_send_ == none || slices.size() > free_slice_count_) return false;
  const std::uint32_t slot = take_slot(token);
  std::uint32_t last = none;
  for (const Bytes slice : slices) {
    if (slice.empty()) continue;
    const std::uint32_t index = free_slice_;
    free_slice_ = slices_[index].next;
    --free_slice_count_;
    slices_[index] = {.data = slice.data(), .size = slice.size()};
    (last == none ? sends_[slot].slice_head : slices_[last].next) = index;
    last = index;
  }
  (list.empty() ? list.head : sends_[list.tail].next) = slot;
  list.tail = slot;
  return true;
}

std::uint32_t SendQueue::take_slot(std::uint64_t token) {
  if (free_send_ == none) return none;
  const std::uint32_t slot = free_send_;
  free_send_ = sends_[slot].next;
  sends_[slot] = {.token = token};
  return slot;
}

void SendQueue::free_slot(std::uint32_t slot) {
  TR_ASSERT(sends_[slot].slice_head == none);
  sends_[slot].next = free_send_;
  free_send_ = slot;
}

void SendQueue::advance(SendList& list, std::uint64_t bytes) {
  for (std::uint32_t slot = list.head; bytes > 0; slot = sends_[slot].next) {
    TR_ASSERT(slot != none);   // the kernel cannot have sent more than it was given
    Send& send = sends_[slot];
    while (send.slice_head != none && bytes > 0) {
      Slice& slice = slices_[send.slice_head];
      const std::size_t taken = std::min<std::uint64_t>(slice.size, bytes);
      slice.data += taken;
      slice.size -= taken;
      bytes -= taken;
      if (slice.size > 0) break;
      const std::uint32_t next = slice.next;
      slice.next = free_slice_;
      free_slice_ = send.slice_head;
      ++free_slice_count_;
      send.slice_head = next;
    }
  }
}

bool SendQueue::front_is_done(const SendList& list) const {
  return !list.empty() && sends_[list.head].slice_head == none;
}

std::uint32_t SendQueue::pop(SendList& list) {
  TR_ASSERT(!list.empty());
  const std::uint32_t slot = list.head;
  list.head = sends_[slot].next;
  if (list.head == none) list.tail = none;
  free_slices(sends_[slot].slice_head);
  sends_[slot].slice_head = none;
  sends_[slot].next = none;
  return slot;
}

void SendQueue::free_slices(std::uint32_t head) {
  while (head != none) {
    const std::uint32_t next = slices_[head].next;
    slices_[head].next = free_slice_;
    free_slice_ = head;
    ++free_slice_count_;
    head = next;
  }
}

msghdr* SendQueue::describe(const SendList& list) {
  if (messages_used_ == messages_.size()) return nullptr;
  if (iovecs_.size() - iovecs_used_ < iovecs_per_call_max) return nullptr;
  iovec* const first = &iovecs_[iovecs_used_];
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (std::uint32_t slot = list.head; slot != none; slot = sends_[slot].next) {
    for (std::uint32_t i = sends_[slot].slice_head; i != none; i = slices_[i].next) {
      if (count == iovecs_per_call_max || bytes >= bytes_per_call_min) break;
      first[count++] = {const_cast<std::byte*>(slices_[i].data), slices_[i].size};
      bytes += slices_[i].size;
    }
    if (count == iovecs_per_call_max || bytes >= bytes_per_call_min) break;
  }
  TR_ASSERT(count > 0);
  iovecs_used_ += count;
  msghdr& message = messages_[messages_used_++];
  message = {};
  message.msg_iov = first;
  message.msg_iovlen = count;
  return &message;
}

void SendQueue::forget_described() {
  iovecs_used_ = 0;
  messages_used_ = 0;
}

}  // namespace tailrace::io
