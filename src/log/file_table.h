// FileTable: the segment files a core has open, at most `open_files_max`, least recently used
// first to be closed. Opening is a disk operation, so a file may have to be waited for.
#pragma once

#include <cstdint>
#include <string_view>

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

  // Closes the file at `path` as soon as nobody leases it (before it is removed).
  void forget(const FileName& path);
  // Closes everything that is not leased; done when idle().
  void close_all();
  bool idle() const;  // no open or close under way
  std::size_t open_count() const;

  void on_disk_done(const DiskDone& done);  // Asker::file_table
};

}  // namespace tailrace::log
