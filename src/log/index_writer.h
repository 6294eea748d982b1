// IndexWriter: stores the index of a segment, one at a time. No sync: an index is a hint with a
// CRC, and whoever finds none, or a torn one, reads the segment from its front.
//
//   idle --start--> opening -> writing -> closing -> idle
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/aligned.h"
#include "log/index.h"
#include "log/op_queue.h"

namespace tailrace::log {

class IndexWriter {
 public:
  explicit IndexWriter(OpQueue& queue);

  // Not while busy. Encodes at once; `index` may die at return. The directory of `path` exists.
  // `covered_bytes`: how much of the segment the index was told of.
  void start(const FileName& path, const Index& index, std::uint64_t covered_bytes);
  bool busy() const { return state_ != State::idle; }
  void on_disk_done(const DiskDone& done);  // Asker::index

  // Of all so far. A failure is harmless, so it is counted and logged, not reported.
  std::uint64_t failures() const { return failures_; }

 private:
  enum class State : std::uint8_t { idle, opening, writing, closing };

  OpQueue& queue_;
  State state_ = State::idle;
  FileName path_;
  FileId file_ = no_file;
  std::vector<std::byte> encoded_;
  std::unique_ptr<AlignedBuffer> block_;  // at least as large as the last index
  std::uint64_t failures_ = 0;
};

}  // namespace tailrace::log
