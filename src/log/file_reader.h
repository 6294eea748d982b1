// FileReader: reads a small file whole, at start: open, read block by block, sync, close.
#pragma once

#include <memory>

#include "base/aligned.h"
#include "base/result.h"
#include "log/op_queue.h"

namespace tailrace::log {

class FileReader {
 public:
  explicit FileReader(OpQueue& queue);

  // Not while busy. A file above `bytes_max` ends in too_large.
  void start(const FileName& path, std::size_t bytes_max);
  void on_disk_done(const DiskDone& done);  // Asker::boot, while busy
  bool busy() const { return phase_ != Phase::idle; }
  // Of the last file, valid until the next start(). Errors: not_found, too_large, io (errno).
  Result<Bytes> content() const;

 private:
  enum class Phase : std::uint8_t { idle, opening, reading, syncing, closing };
  void push_read();
  void push_close();

  OpQueue& queue_;
  Phase phase_ = Phase::idle;
  std::size_t bytes_max_ = 0;
  FileId file_ = no_file;
  std::unique_ptr<AlignedBuffer> buffer_;
  std::size_t size_ = 0;
  Result<void> status_;
};

}  // namespace tailrace::log
