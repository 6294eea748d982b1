// IdTable: finds a slot's handle by a 64-bit number that somebody else gave (a ConnId, a fetch
// session's id). Open addressing with backward shifting, so it needs no tombstones, and a size
// fixed at start, so it never allocates.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/slab.h"

namespace tailrace::broker {

template <class T>
class IdTable {
 public:
  explicit IdTable(std::size_t capacity)
      : cells_(std::bit_ceil(capacity * 2 + 1)), mask_(cells_.size() - 1) {}

  // Null when there is none.
  Handle<T> find(std::uint64_t id) const { return cells_[position(id)].handle; }

  // `id` must not be in the table, and the table not be fuller than promised.
  void insert(std::uint64_t id, Handle<T> handle) {
    Cell& cell = cells_[position(id)];
    TR_ASSERT(cell.handle.is_null());
    cell = {id, handle};
    ++size_;
    TR_ASSERT(size_ * 2 <= cells_.size());
  }

  void erase(std::uint64_t id) {
    std::size_t hole = position(id);
    TR_ASSERT(!cells_[hole].handle.is_null());
    // What was pushed beyond the hole by a collision moves back into it.
    for (std::size_t i = (hole + 1) & mask_; !cells_[i].handle.is_null(); i = (i + 1) & mask_) {
      const std::size_t home = hash(cells_[i].id);
      if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
      cells_[hole] = cells_[i];
      hole = i;
    }
    cells_[hole] = {};
    --size_;
  }
  std::size_t size() const { return size_; }

 private:
  struct Cell {
    std::uint64_t id = 0;
    Handle<T> handle;
  };
  std::size_t hash(std::uint64_t id) const {
    const std::uint64_t mixed = id * 0x9e3779b97f4a7c15U;
    return static_cast<std::size_t>(mixed ^ (mixed >> 32)) & mask_;
  }
  std::size_t position(std::uint64_t id) const {
    std::size_t i = hash(id);
    while (!cells_[i].handle.is_null() && cells_[i].id != id) i = (i + 1) & mask_;
    return i;
  }

  std::vector<Cell> cells_;
  std::size_t mask_;
  std::size_t size_ = 0;
};

}  // namespace tailrace::broker
