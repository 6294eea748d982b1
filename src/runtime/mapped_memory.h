// Zeroed memory in whole pages that costs nothing until it is touched: what a core reserves at
// start for its log is mostly not resident while the node is idle. With DPDK it is DPDK's, in huge
// pages, so that a NIC and a drive may both read it.
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
  // Memory that somebody else has, and keeps for longer.
  explicit MappedMemory(MutableBytes lent)
      : memory_(lent.data()), size_(lent.size()), is_lent_(true) {}
  ~MappedMemory() {
    if (size_ > 0 && !is_lent_) munmap(memory_, size_);
  }
  MappedMemory(const MappedMemory&) = delete;
  MappedMemory& operator=(const MappedMemory&) = delete;

  bool good() const { return size_ > 0; }
  MutableBytes bytes() { return {static_cast<std::byte*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  std::size_t size_;
  bool is_lent_ = false;
};

}  // namespace tailrace::runtime
