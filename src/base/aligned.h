// Memory for O_DIRECT: whole 4 KiB blocks on 4 KiB boundaries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/assert.h"
#include "base/bytes.h"

namespace tailrace {

inline constexpr std::size_t disk_block_bytes = 4096;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}
constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t unit) {
  return value / unit * unit;
}

// Owns zeroed, 4 KiB-aligned bytes; the size is rounded up to whole blocks.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::size_t bytes) : size_(round_up(bytes, disk_block_bytes)) {
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(disk_block_bytes, size_)));
    TR_ASSERT(memory_ != nullptr);
    std::memset(memory_.get(), 0, size_);
  }
  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  std::size_t size() const { return size_; }
  MutableBytes bytes() { return {memory_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t size_;
};

}  // namespace tailrace
