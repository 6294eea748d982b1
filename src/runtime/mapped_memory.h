// Zeroed memory in whole pages that costs nothing until it is touched: what a core reserves at
// start for its log is mostly not resident while the node is idle.
#pragma once

#include <sys/mman.h>

#include "base/aligned.h"

namespace tailrace::runtime {

class MappedMemory {
 public:
  explicit MappedMemory(std::size_t bytes) : size_(round_up(bytes, disk_block_bytes)) {
    memory_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory_ == MAP_FAILED) size_ = 0;
  }
  ~MappedMemory() {
    if (size_ > 0) munmap(memory_, size_);
  }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  bool good() const { return size_ > 0; }
  MutableBytes bytes() { return {static_cast<std::byte*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  std::size_t size_;
};

}  // namespace tailrace::runtime
