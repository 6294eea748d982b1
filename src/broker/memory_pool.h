// MemoryPool: pieces of any size from one region reserved at start (a buddy allocator). Full is an
// ordinary answer; who gets it stops reading until memory is free again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace tailrace::broker {

class MemoryPool {
 public:
  // Pages of the region are first touched when they are first used.
  explicit MemoryPool(std::uint64_t bytes);

  // 512-byte aligned, not zeroed; empty when there is no room. `bytes` > 0.
  MutableBytes allocate(std::size_t bytes);
  // A piece exactly as it came from allocate(); an empty one is ignored and stays empty.
  void free(MutableBytes& piece);

  bool can_allocate(std::size_t bytes) const;
  bool owns(Bytes piece) const {
    return piece.data() >= memory_.get() && piece.data() < memory_.get() + unit_count_ * unit_bytes;
  }
  // What allocate() can give when nothing is in use.
  std::size_t piece_bytes_max() const { return piece_bytes_max_; }
  // In whole blocks.
  std::uint64_t used_bytes() const { return used_bytes_; }

 private:
  static constexpr std::size_t unit_bytes = 512;
  static constexpr std::size_t order_count = 32;
  static constexpr std::uint8_t free_flag = 0x80;
  static constexpr std::uint8_t inner = 0x7f;  // not the first unit of a block
  struct Node {  // Lies in the free block itself.
    Node* before;
    Node* after;
  };

  static std::size_t order_of(std::size_t bytes);
  Node* node_at(std::size_t unit);
  std::size_t unit_of(const void* at) const;
  void put(std::size_t unit, std::size_t order);
  void take(std::size_t unit, std::size_t order);

  struct Unmap {
    void operator()(std::byte* at) const;
  };
  std::unique_ptr<std::byte, Unmap> memory_;
  std::size_t unit_count_;
  std::size_t piece_bytes_max_ = 0;
  std::uint64_t used_bytes_ = 0;
  std::vector<std::uint8_t> tags_;  // per unit: order of the block that begins there, or inner
  std::array<Node*, order_count> free_{};
};

}  // namespace tailrace::broker
