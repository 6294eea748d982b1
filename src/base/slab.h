// Slab<T>: a fixed number of slots, handed out by index. A Handle also carries the slot's
// generation, so that a stale handle (a late completion, a closed connection) finds nothing
// instead of somebody else's object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace tailrace {

template <class T>
struct Handle {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;

  bool is_null() const { return index == UINT32_MAX; }
  // Both numbers in one word, for DiskOp tags and ConnIds.
  std::uint64_t packed() const { return (std::uint64_t{generation} << 32) | index; }
  static Handle unpacked(std::uint64_t word) {
    return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32)};
  }
  friend bool operator==(Handle, Handle) = default;
};

template <class T>
class Slab {
 public:
  explicit Slab(std::size_t capacity) : slots_(capacity) {
    free_.reserve(capacity);
    for (std::size_t i = capacity; i > 0; --i) free_.push_back(static_cast<std::uint32_t>(i - 1));
  }

  std::size_t size() const { return slots_.size() - free_.size(); }
  std::size_t capacity() const { return slots_.size(); }
  bool full() const { return free_.empty(); }

  // A null handle when full. The object is built from `args` in its slot and never moves.
  template <class... Args>
  Handle<T> insert(Args&&... args) {
    if (free_.empty()) return {};
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    new (&slot.storage) T(std::forward<Args>(args)...);
    slot.used = true;
    return {index, slot.generation};
  }

  // Null for a stale handle.
  T* find(Handle<T> handle) {
    if (handle.index >= slots_.size()) return nullptr;
    Slot& slot = slots_[handle.index];
    return slot.used && slot.generation == handle.generation ? slot.object() : nullptr;
  }
  const T* find(Handle<T> handle) const { return const_cast<Slab*>(this)->find(handle); }
  T& at(Handle<T> handle) {
    T* object = find(handle);
    TR_ASSERT(object != nullptr);
    return *object;
  }
  // The live object in slot `index`, or null; for walking over all slots.
  T* at_index(std::size_t index) {
    return slots_[index].used ? slots_[index].object() : nullptr;
  }
  Handle<T> handle_at(std::size_t index) const {
    return {static_cast<std::uint32_t>(index), slots_[index].generation};
  }

  void erase(Handle<T> handle) {
    T* object = find(handle);
    TR_ASSERT(object != nullptr);
    object->~T();
    Slot& slot = slots_[handle.index];
    slot.used = false;
    ++slot.generation;
    free_.push_back(handle.index);
  }

  ~Slab() {
    for (Slot& slot : slots_) {
      if (slot.used) slot.object()->~T();
    }
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

 private:
  struct Slot {
    alignas(T) std::byte storage[sizeof(T)];
    std::uint32_t generation = 0;
    bool used = false;
    T* object() { return std::launder(reinterpret_cast<T*>(&storage)); }
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace tailrace
