// Disk operations that a core's log wants done, one queue per class, so that a full class never
// holds up another; and the tags that bring completions back to who asked.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ops.h"

namespace tailrace::log {

// Who asked: the top byte of a DiskOp's tag. The rest is the asker's own.
enum class Asker : std::uint8_t {
  commit_log = 1, checkpoint, file_table, segment_writer, reader, index, wal_scanner, wal_format,
  remover, boot, tail, wal_file, compactor,
};
constexpr std::uint64_t make_tag(Asker asker, std::uint64_t word) {
  return (static_cast<std::uint64_t>(asker) << 56) | (word & 0x00ff'ffff'ffff'ffffU);
}
constexpr Asker asker_of(std::uint64_t tag) { return static_cast<Asker>(tag >> 56); }
constexpr std::uint64_t word_of(std::uint64_t tag) { return tag & 0x00ff'ffff'ffff'ffffU; }

class OpQueue {
 public:
  // Each asker has a bound of its own on operations under way, so the queue has one as well.
  void push(const DiskOp& op) { queues_[static_cast<std::size_t>(op.disk_class)].push_back(op); }

  std::span<const DiskOp> ops(DiskClass disk_class) const {
    return queues_[static_cast<std::size_t>(disk_class)];
  }
  // The first `count` of ops(disk_class) have been submitted.
  void taken(DiskClass disk_class, std::size_t count) {
    auto& queue = queues_[static_cast<std::size_t>(disk_class)];
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
  }
  bool empty() const {
    for (const auto& queue : queues_) {
      if (!queue.empty()) return false;
    }
    return true;
  }

 private:
  std::array<std::vector<DiskOp>, 4> queues_;
};
inline constexpr std::array disk_classes = {DiskClass::wal, DiskClass::segment, DiskClass::read,
                                            DiskClass::background};

}  // namespace tailrace::log
