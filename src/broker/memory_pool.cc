#include "broker/memory_pool.h"

#include <bit>
#include <cstdlib>

#include "base/aligned.h"
#include "base/assert.h"

namespace tailrace::broker {

void MemoryPool::Unmap::operator()(std::byte* at) const { std::free(at); }

MemoryPool::MemoryPool(std::uint64_t bytes)
    : unit_count_(round_up(bytes, disk_block_bytes) / unit_bytes), tags_(unit_count_, inner) {
  memory_.reset(
      static_cast<std::byte*>(std::aligned_alloc(disk_block_bytes, unit_count_ * unit_bytes)));
  TR_ASSERT(memory_ != nullptr);
  // Any size is a row of falling powers of two, and each then begins at a multiple of itself.
  std::size_t unit = 0;
  for (std::size_t order = order_count; order > 0; --order) {
    if ((unit_count_ & (std::size_t{1} << (order - 1))) == 0) continue;
    put(unit, order - 1);
    unit += std::size_t{1} << (order - 1);
    if (piece_bytes_max_ == 0) piece_bytes_max_ = unit_bytes << (order - 1);
  }
  TR_ASSERT(unit == unit_count_);
}

std::size_t MemoryPool::order_of(std::size_t bytes) {
  const std::size_t units = (bytes + unit_bytes - 1) / unit_bytes;
  return static_cast<std::size_t>(std::bit_width(units - 1));
}

MutableBytes MemoryPool::allocate(std::size_t bytes) {
  TR_ASSERT(bytes > 0);
  if (bytes > piece_bytes_max_) return {};
  const std::size_t wanted = order_of(bytes);
  std::size_t order = wanted;
  while (order < order_count && free_[order] == nullptr) ++order;
  if (order == order_count) return {};
  const std::size_t unit = unit_of(free_[order]);
  take(unit, order);
  while (order > wanted) {
    --order;
    put(unit + (std::size_t{1} << order), order);
  }
  tags_[unit] = static_cast<std::uint8_t>(order);
  used_bytes_ += unit_bytes << order;
  return {memory_.get() + unit * unit_bytes, bytes};
}

void MemoryPool::free(MutableBytes& piece) {
  if (piece.empty()) return;
  std::size_t unit = unit_of(piece.data());
  std::size_t order = tags_[unit];
  TR_ASSERT(order < order_count);  // Not free already, and the front of a piece.
  TR_ASSERT(order == order_of(piece.size()));
  used_bytes_ -= unit_bytes << order;
  tags_[unit] = inner;
  for (; order + 1 < order_count; ++order) {
    const std::size_t buddy = unit ^ (std::size_t{1} << order);
    if (buddy >= unit_count_ || tags_[buddy] != (free_flag | order)) break;
    take(buddy, order);
    tags_[buddy] = inner;
    if (buddy < unit) unit = buddy;
  }
  put(unit, order);
  piece = {};
}

bool MemoryPool::can_allocate(std::size_t bytes) const {
  if (bytes > piece_bytes_max_) return false;
  for (std::size_t order = order_of(bytes); order < order_count; ++order) {
    if (free_[order] != nullptr) return true;
  }
  return false;
}

MemoryPool::Node* MemoryPool::node_at(std::size_t unit) {
  return reinterpret_cast<Node*>(memory_.get() + unit * unit_bytes);
}

std::size_t MemoryPool::unit_of(const void* at) const {
  const auto distance = static_cast<const std::byte*>(at) - memory_.get();
  TR_ASSERT(distance >= 0);
  const auto unit = static_cast<std::size_t>(distance) / unit_bytes;
  TR_ASSERT(unit < unit_count_);
  return unit;
}

void MemoryPool::put(std::size_t unit, std::size_t order) {
  Node* node = new (node_at(unit)) Node{nullptr, free_[order]};
  if (node->after != nullptr) node->after->before = node;
  free_[order] = node;
  tags_[unit] = static_cast<std::uint8_t>(free_flag | order);
}

void MemoryPool::take(std::size_t unit, std::size_t order) {
  Node* node = node_at(unit);
  TR_ASSERT(tags_[unit] == (free_flag | order));
  (node->before == nullptr ? free_[order] : node->before->after) = node->after;
  if (node->after != nullptr) node->after->before = node->before;
  tags_[unit] = inner;
}

}  // namespace tailrace::broker
