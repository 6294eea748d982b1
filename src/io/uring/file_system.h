// What the file system under a directory can promise, and the process's descriptor limit: looked
// at once, at start, so that an operator hears about a bad place before data is in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace tailrace::io {

enum class Durability : std::uint8_t {
  durable,     // a sync reaches the device
  trial,       // works, but nobody should keep data here (overlay of a container)
  unknown,     // not on our list: depends on a server or a daemon
  none,        // memory: gone with the machine
};

struct FileSystemReport {
  std::string type;                 // "ext4", "xfs", ... or "0x..." when unknown to us
  std::string directory;
  bool direct_works = false;        // an O_DIRECT write of 4 KiB was tried and went through
  int direct_errno = 0;             // why not
  bool is_full = false;             // no space for the trial: taken to work
  std::uint32_t direct_memory_align = 0;   // bytes, from statx; 0: the kernel does not tell
  std::uint32_t direct_offset_align = 0;
  bool dsync_works = true;          // RWF_DSYNC reaches the device (FUSE sends no FSYNC for it)
  Durability durability = Durability::unknown;
  bool discards = false;            // mounted with `discard`: space is trimmed as it is freed

  // One line for the banner.
  std::string description() const;
};

// Blocks; writes and removes a small file in `directory`, which must exist. Errors: not_found,
// io with the errno.
Result<FileSystemReport> examine_file_system(const std::string& directory);

// Whether a file system of that device (st_dev) is mounted with the option `discard`. `mountinfo`:
// what /proc/self/mountinfo says, proc_pid_mountinfo(5).
bool mounted_with_discard(std::string_view mountinfo, unsigned major, unsigned minor);

struct StorageWish {
  bool direct = true;
  bool dsync = false;   // sync = "dsync"
};
struct StorageVerdict {
  bool allowed = true;
  std::vector<std::string> lines;   // for the operator: what is wrong and what to do
};
StorageVerdict judge_storage(const FileSystemReport& report, const StorageWish& wish);

struct FileLimit {
  std::uint64_t before = 0;
  std::uint64_t now = 0;
  std::uint64_t hard = 0;
  bool enough = false;
  std::string line;   // for the operator
};
// Raises the soft limit of open descriptors to the hard one; `needed` is what the profile asks.
FileLimit raise_file_limit(std::uint64_t needed);

}  // namespace tailrace::io
