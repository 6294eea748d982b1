// DataDirectory: who may use a data directory. A meta file ("tailrace") says whose it is and which
// format it has; a lock keeps a second process out. Both are looked at before anything else in it
// is touched, so that a foreign, newer or busy directory stays as it was.
//
// The lock (flock) must outlive the process's disk writes: the kernel finishes them after the
// process was killed and its descriptors are closed, and the next process must not read the logs
// before that. So every ring that writes here holds lock_fd() (io/uring/ring.h), and the kernel
// gives the lock back after the last write; who opens a killed process's directory waits for that.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/result.h"
#include "base/uuid.h"

namespace tailrace::runtime {

struct DirectoryMeta {
  static constexpr std::uint32_t version_now = 1;
  Uuid directory_id;
  Uuid cluster_id;
  std::int32_t node_id = 0;
  // The first start got through: from now on missing files are a loss, not a fresh directory.
  bool is_complete = false;
  friend bool operator==(const DirectoryMeta&, const DirectoryMeta&) = default;
};

// Meta <-> bytes: magic, version, fields, CRC-32C. Errors of parsing: malformed (not ours),
// unsupported (newer; detail is its version), truncated, corrupt.
std::vector<std::byte> encode_directory_meta(const DirectoryMeta& meta);
Result<DirectoryMeta> parse_directory_meta(Bytes bytes);

inline constexpr const char* directory_meta_file = "tailrace";
inline constexpr const char* directory_lock_file = "lock";

class DataDirectory {
 public:
  // Creates the directory if it is missing and writes the meta file if it is empty; takes the
  // lock. Null when it may not be used; `why` then says what was found and what to do. `prng`:
  // new identities.
  static std::unique_ptr<DataDirectory> open(const std::string& path, Prng& prng,
                                             std::string& why);
  // Closes the lock; it is free once no ring holds it, which the kernel may see a little later.
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  // Gives the lock back at once. Only when no disk operation is in flight.
  void release();

  const std::string& path() const { return path_; }  // absolute
  int lock_fd() const { return lock_fd_; }
  const DirectoryMeta& meta() const { return meta_; }
  bool was_empty() const { return was_empty_; }
  // Once everything has been formatted. False: `why` says what failed.
  bool mark_complete(std::string& why);

 private:
  DataDirectory() = default;
  bool lock(std::string& why);
  bool wait_for_lock(std::string& why);
  bool read_meta(std::string& why);
  bool format(Prng& prng, std::string& why);
  bool write_meta(std::string& why);

  std::string path_;
  DirectoryMeta meta_;
  bool was_empty_ = false;
  int lock_fd_ = -1;
};

}  // namespace tailrace::runtime
