// Which number belongs to a flow: open addressing with linear probing, slots of eight bytes (half
// of the hash, the number), at most half full. Whether a number is really the flow's the caller
// says, who knows the objects; with 32 bits of hash the first one nearly always is.
//
// The hash is keyed, so that a peer who chooses its ports can't make us walk.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "net/address.h"

namespace tailrace::net {

class FlowTable {
 public:
  static constexpr std::uint32_t no_value = UINT32_MAX;

  FlowTable(std::uint32_t capacity, std::uint64_t key)
      : slots_(std::bit_ceil(std::uint64_t{capacity} * 2)), key_(key | 1), capacity_(capacity) {}

  std::uint32_t hash_of(const Flow& flow) const {
    __extension__ using Wide = unsigned __int128;
    const auto mix = [](std::uint64_t a, std::uint64_t b) {
      const Wide product = Wide{a} * b;
      return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    };
    const std::uint64_t ports = std::uint64_t{flow.remote.port} << 16 | flow.local.port;
    const std::uint64_t remote = mix(flow.remote.address.low() ^ key_,
                                     flow.remote.address.high() ^ 0x9e3779b97f4a7c15U);
    const std::uint64_t local =
        mix(flow.local.address.low() ^ ports ^ std::rotl(key_, 32), remote ^ 0xd1b54a32d192ed03U);
    return static_cast<std::uint32_t>(mix(local ^ key_, 0xaef17502108ef2d9U ^ ports) >> 32);
  }
  void prefetch(std::uint32_t hash) const { __builtin_prefetch(&slots_[place(hash)]); }

  // The first value under this hash that `is_it(value)` agrees with.
  template <class IsIt>
  std::uint32_t find(std::uint32_t hash, IsIt&& is_it) const {
    for (std::size_t at = place(hash); slots_[at].value != no_value; at = after(at)) {
      if (slots_[at].hash == hash && is_it(slots_[at].value)) return slots_[at].value;
    }
    return no_value;
  }
  // The first value under this hash without asking anyone: good enough to prefetch.
  std::uint32_t peek(std::uint32_t hash) const {
    for (std::size_t at = place(hash); slots_[at].value != no_value; at = after(at)) {
      if (slots_[at].hash == hash) return slots_[at].value;
    }
    return no_value;
  }
  void insert(std::uint32_t hash, std::uint32_t value) {
    TR_ASSERT(size_ < capacity_);
    std::size_t at = place(hash);
    while (slots_[at].value != no_value) at = after(at);
    slots_[at] = {hash, value};
    ++size_;
  }
  void erase(std::uint32_t hash, std::uint32_t value) {
    std::size_t at = place(hash);
    while (slots_[at].hash != hash || slots_[at].value != value) {
      TR_ASSERT(slots_[at].value != no_value);
      at = after(at);
    }
    // Whatever was pushed past this slot moves back, so that no search stops at the gap.
    std::size_t gap = at;
    for (std::size_t next = after(at); slots_[next].value != no_value; next = after(next)) {
      const std::size_t home = place(slots_[next].hash);
      const bool may_move = ((next - home) & (slots_.size() - 1)) >=
                            ((next - gap) & (slots_.size() - 1));
      if (!may_move) continue;
      slots_[gap] = slots_[next];
      gap = next;
    }
    slots_[gap].value = no_value;
    --size_;
  }
  std::size_t size() const { return size_; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t value = no_value;
  };
  std::size_t place(std::uint32_t hash) const { return hash & (slots_.size() - 1); }
  std::size_t after(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }

  std::vector<Slot> slots_;
  std::uint64_t key_;
  std::size_t size_ = 0;
  std::size_t capacity_;
};

}  // namespace tailrace::net
