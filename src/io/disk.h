// The disk seam. Implementations: io/uring/uring_disk (production), tests/sim/sim_disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ops.h"
#include "base/result.h"

namespace tailrace::io {

struct DirEntry {
  std::string name;
  bool is_directory = false;
  std::uint64_t size_bytes = 0;
};

struct DiskSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t usable_bytes = 0;
};

// One owner thread; paths are relative to the disk's root directory. No call but the two marked
// "at start" blocks.
class Disk {
 public:
  virtual ~Disk() = default;

  // Takes operations from the front; returns how many. What was not taken (the cap of its class
  // is reached) is the caller's to offer again. Operations may complete in any order: a caller
  // that needs an order waits for the completion.
  virtual std::size_t submit(std::span<const DiskOp> ops) = 0;

  // Fills `done` from the front; returns how many. Never blocks.
  virtual std::size_t poll(std::span<DiskDone> done) = 0;

  // At start and in the admin path only: blocks. Missing directory: not_found.
  virtual Result<std::vector<DirEntry>> list(std::string_view directory) = 0;

  // Space of the file system under the root, refreshed at most once a second. Never blocks long.
  virtual DiskSpace space() = 0;
};

}  // namespace tailrace::io
