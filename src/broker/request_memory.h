// RequestMemory: where frames are put together. A part is kept for small frames, so that a few
// peers that announce large ones can't make everybody wait.
#pragma once

#include <algorithm>

#include "broker/memory_pool.h"

namespace tailrace::broker {

class RequestMemory {
 public:
  static constexpr std::size_t small_bytes_max = std::size_t{64} << 10;

  // `bytes` for frames of any size, and a sixteenth more for small ones.
  explicit RequestMemory(std::uint64_t bytes) : large_(bytes), small_(bytes / 16) {}

  bool is_small(std::size_t bytes) const {
    return bytes <= std::min(small_bytes_max, small_.piece_bytes_max());
  }
  // As MemoryPool's.
  MutableBytes allocate(std::size_t bytes) {
    const MutableBytes piece = is_small(bytes) ? small_.allocate(bytes) : MutableBytes{};
    return piece.empty() ? large_.allocate(bytes) : piece;
  }
  void free(MutableBytes& piece) { (small_.owns(piece) ? small_ : large_).free(piece); }
  bool can_allocate(std::size_t bytes) const {
    return (is_small(bytes) && small_.can_allocate(bytes)) || large_.can_allocate(bytes);
  }
  std::size_t piece_bytes_max() const { return large_.piece_bytes_max(); }

 private:
  MemoryPool large_;
  MemoryPool small_;
};

}  // namespace tailrace::broker
