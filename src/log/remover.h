// Remover: removes the files and directories of deleted segments, partitions and topics in the
// background, strictly in the order they were named: a directory waits until everything named
// before it is gone. Needs no space, so it works on a full disk.
#pragma once

#include <cstdint>
#include <deque>

#include "log/op_queue.h"

namespace tailrace::log {

class Remover {
 public:
  explicit Remover(OpQueue& queue);

  // A missing file or directory is fine, and one that is not empty stays. Other errors are logged
  // once and dropped: what stays behind is found, and removed, at the next start (sweep.h). The
  // caller has closed the file (FileTable::forget) or does not mind that its space is freed only
  // at the close.
  void enqueue(const FileName& path);
  void enqueue_directory(const FileName& path);

  void step();
  void on_disk_done(const DiskDone& done);  // Asker::remover
  bool idle() const { return items_.empty(); }

  static constexpr std::size_t in_flight_max = 8;

 private:
  struct Item {
    FileName path;
    bool is_directory = false;
    bool done = false;
  };

  OpQueue& queue_;
  std::deque<Item> items_;      // from the front: under way (or done, waiting for older), waiting
  std::size_t begun_ = 0;       // of items_
  std::size_t in_flight_ = 0;   // of them, not done
  std::uint64_t number_ = 0;    // of items_.front(), in the tags
};

}  // namespace tailrace::log
