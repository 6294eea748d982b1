// ReceivePool: the buffers that the kernel picks from when bytes arrive on any connection.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.h"
#include "base/bytes.h"
#include "io/uring/ring.h"

namespace tailrace::io {

// Filled buffers of one connection, oldest first, linked through the pool.
struct BufferList {
  std::uint32_t head = UINT32_MAX;
  std::uint32_t tail = UINT32_MAX;
  bool empty() const { return head == UINT32_MAX; }
};

class ReceivePool {
 public:
  ReceivePool(std::uint32_t buffer_bytes, std::uint32_t buffer_count);

  // Gives the buffers to the kernel under this group; 0 or an errno.
  int register_with(io_uring& ring, std::uint16_t group);
  void unregister_from(io_uring& ring, std::uint16_t group);

  // The kernel filled `index` with `bytes`: to the end of `list`.
  void append(BufferList& list, std::uint32_t index, std::uint32_t bytes);
  std::uint32_t pop(BufferList& list);
  Bytes bytes_of(std::uint32_t index) const;
  // Back to the kernel.
  void recycle(std::uint32_t index);
  // Buffers the kernel can pick from, as far as completions have told.
  std::uint32_t free_count() const { return free_count_; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(filled_.size()); }

 private:
  struct Filled {
    std::uint32_t next = UINT32_MAX;
    std::uint32_t bytes = 0;
    bool is_out = false;   // not with the kernel
  };
  void give(std::uint32_t index);

  const std::uint32_t buffer_bytes_;
  AlignedBuffer memory_;
  AlignedBuffer entries_;   // the ring of io_uring_buf shared with the kernel
  std::uint32_t entry_count_;
  std::vector<Filled> filled_;
  std::uint32_t free_count_;
};

}  // namespace tailrace::io
