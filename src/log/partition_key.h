// What names a partition's log on disk and in the WAL. The incarnation grows when a replica moves
// or is made again, so that entries of an earlier life never replay into a later one.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "base/uuid.h"

namespace tailrace::log {

struct PartitionKey {
  Uuid topic;
  std::int32_t partition = 0;
  std::uint32_t incarnation = 0;

  friend auto operator<=>(const PartitionKey&, const PartitionKey&) = default;
};

}  // namespace tailrace::log

template <>
struct std::hash<tailrace::log::PartitionKey> {
  std::size_t operator()(const tailrace::log::PartitionKey& key) const noexcept {
    const std::uint64_t mix = (std::uint64_t{key.incarnation} << 32) |
                              static_cast<std::uint32_t>(key.partition);
    return std::hash<tailrace::Uuid>{}(key.topic) ^ (mix * 0x9e3779b97f4a7c15U);
  }
};
