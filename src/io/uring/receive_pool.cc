#include "io/uring/receive_pool.h"

#include <bit>

#include "base/assert.h"

namespace tailrace::io {

ReceivePool::ReceivePool(std::uint32_t buffer_bytes, std::uint32_t buffer_count)
    : buffer_bytes_(buffer_bytes),
      memory_(std::size_t{buffer_bytes} * buffer_count),
      entries_(std::bit_ceil(std::size_t{buffer_count}) * sizeof(io_uring_buf)),
      entry_count_(std::bit_ceil(buffer_count)),
      filled_(buffer_count),
      free_count_(buffer_count) {
  TR_ASSERT(buffer_bytes > 0);
  TR_ASSERT(buffer_count > 0);
  TR_ASSERT(buffer_count <= 32768);   // the kernel's bound on a buffer ring
}

int ReceivePool::register_with(io_uring& ring, std::uint16_t group) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_.data());
  registration.ring_entries = entry_count_;
  registration.bgid = group;
  const int result = io_uring_register_buf_ring(&ring, &registration, 0);
  if (result < 0) return -result;
  for (std::uint32_t i = 0; i < capacity(); ++i) give(i);
  return 0;
}

void ReceivePool::unregister_from(io_uring& ring, std::uint16_t group) {
  io_uring_unregister_buf_ring(&ring, group);
}

void ReceivePool::append(BufferList& list, std::uint32_t index, std::uint32_t bytes) {
  TR_ASSERT(index < filled_.size());
  TR_ASSERT(!filled_[index].is_out);
  TR_ASSERT(bytes <= buffer_bytes_);
  filled_[index] = {.bytes = bytes, .is_out = true};
  --free_count_;
  if (list.empty()) {
    list.head = index;
  } else {
    filled_[list.tail].next = index;
  }
  list.tail = index;
}

std::uint32_t ReceivePool::pop(BufferList& list) {
  TR_ASSERT(!list.empty());
  const std::uint32_t index = list.head;
  list.head = filled_[index].next;
  if (list.head == UINT32_MAX) list.tail = UINT32_MAX;
  return index;
}

Bytes ReceivePool::bytes_of(std::uint32_t index) const {
  return {memory_.data() + std::size_t{index} * buffer_bytes_, filled_[index].bytes};
}

void ReceivePool::recycle(std::uint32_t index) {
  TR_ASSERT(index < filled_.size());
  TR_ASSERT(filled_[index].is_out);   // else a token was released twice
  filled_[index].is_out = false;
  ++free_count_;
  give(index);
}

// The entries are written here and not with liburing's helper: its flexible array inside a
// union is not C++.
void ReceivePool::give(std::uint32_t index) {
  auto* entries = reinterpret_cast<io_uring_buf*>(entries_.data());
  std::uint16_t& tail = entries[0].resv;   // the kernel's layout: the tail lies in entry 0
  io_uring_buf& entry = entries[tail & (entry_count_ - 1)];
  entry.addr =
      reinterpret_cast<std::uintptr_t>(memory_.data() + std::size_t{index} * buffer_bytes_);
  entry.len = buffer_bytes_;
  entry.bid = static_cast<std::uint16_t>(index);
  __atomic_store_n(&tail, static_cast<std::uint16_t>(tail + 1), __ATOMIC_RELEASE);
}

}  // namespace tailrace::io
