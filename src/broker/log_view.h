// What the broker asks of a partition's log beyond its ends.
#pragma once

#include <algorithm>
#include <cstdint>

#include "log/core_log.h"

namespace tailrace::broker {

// About how many bytes lie between `offset` and `end`: the records' share of the log's size. Good
// enough to decide whether a fetch has waited for enough; reads count exactly.
inline std::uint64_t bytes_ahead(const log::PartitionLog& log, std::int64_t offset,
                                 std::int64_t end) {
  const std::int64_t records = end - offset;
  const std::int64_t total = log.durable_end() - log.log_start();
  if (records <= 0 || total <= 0) return 0;
  const double share = static_cast<double>(records) / static_cast<double>(total);
  const double bytes = share * static_cast<double>(log.size_bytes());
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(bytes));
}

}  // namespace tailrace::broker
