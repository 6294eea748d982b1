// FileTable: the segment files a core has open, at most `open_files_max`, least recently used
// first to be closed. Opening is a disk operation, so a file may have to be waited for.
//
//   unused --acquire--> opening --done--> open --forget, close_all--> closing --done--> unused
//                        ^   |             |
//                        |   failed        acquire of another path, when no slot is unused:
//                        |   (till the     replacing, which closes first, then opens
//                        |   last lease    |
//                        |   is gone)      |
//                        |_________________|
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "log/op_queue.h"

namespace tailrace::log {

class FileTable {
 public:
  FileTable(std::size_t files_max, OpQueue& queue);

  struct Lease {
    std::uint32_t slot = UINT32_MAX;
    FileId file = no_file;  // no_file: being opened; ask again with poll()
  };
  // The file at `path`, opened (created if `create`) when it is not open yet. A lease holds the
  // file open until release(). Errors: full (every file is leased: try again later).
  Result<Lease> acquire(const FileName& path, bool create);
  // Result of an acquire() that had to wait: the same lease with its file; file still no_file:
  // wait on. Errors: io (detail: errno) - the lease is then gone; not_found.
  Result<Lease> poll(Lease lease);
  void release(Lease lease);

  // How far the leased file is known to have its space (DiskOpKind::allocate); 0 after an open.
  std::uint64_t reserved_bytes(Lease lease) const { return slots_[lease.slot].reserved_bytes; }
  void set_reserved_bytes(Lease lease, std::uint64_t bytes) {
    slots_[lease.slot].reserved_bytes = bytes;
  }

  // Closes the file at `path` as soon as nobody leases it (before it is removed).
  void forget(const FileName& path);
  // Closes everything that is not leased; done when idle().
  void close_all();
  bool idle() const { return busy_count_ == 0; }  // no open or close under way
  std::size_t open_count() const { return open_count_; }

  void on_disk_done(const DiskDone& done);  // Asker::file_table

 private:
  enum class State : std::uint8_t { unused, opening, open, closing, replacing, failed };
  static constexpr std::uint32_t no_slot = UINT32_MAX;
  struct Slot {
    FileName path;
    FileId file = no_file;
    std::uint32_t leases = 0;
    std::uint64_t reserved_bytes = 0;
    std::uint32_t newer = no_slot;  // neighbours in the list of open files that nobody leases
    std::uint32_t older = no_slot;
    std::int32_t error_number = 0;  // of a failed open
    State state = State::unused;
    bool create = false;            // somebody wants the file made if it is missing
    bool opened_to_create = false;  // the open under way makes it
    bool forgotten = false;         // found by path no more; closed with its last lease
  };

  std::uint32_t slot_for_new();
  void begin_open(std::uint32_t index);
  void begin_close(std::uint32_t index);
  void on_opened(std::uint32_t index, std::int64_t result);
  void drop_lease(std::uint32_t index);
  void unmap(std::uint32_t index);
  void free_slot(std::uint32_t index);
  void push_newest(std::uint32_t index);
  void unlink(std::uint32_t index);

  OpQueue& queue_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> unused_;
  std::unordered_map<std::string_view, std::uint32_t> by_path_;  // keys lie in the slots
  std::uint32_t newest_ = no_slot;
  std::uint32_t oldest_ = no_slot;
  std::size_t busy_count_ = 0;
  std::size_t open_count_ = 0;
};

}  // namespace tailrace::log
