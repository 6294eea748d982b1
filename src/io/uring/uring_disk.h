// UringDisk: files over io_uring, O_DIRECT, below one root directory.
//
// Everything runs asynchronously but for two blocking calls: list() by contract, and ftruncate
// where the kernel has no opcode for it (before 6.9); a truncate is a background operation.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/ring.h"
#include "io/disk.h"
#include "io/uring/ring.h"

namespace tailrace::io {

struct DiskOptions {
  // In flight at once, by DiskClass: wal, segment, read, background.
  std::array<std::uint32_t, 4> class_caps{64, 16, 64, 8};
  std::uint32_t open_files_max = 4096;
  bool direct = true;   // false: no file is opened with O_DIRECT
};

class UringDisk final : public Disk, private RingClient {
 public:
  // `root` must exist. `ring` outlives the object. Errors: not_found, io with the errno; `why`
  // gets a line for the operator.
  static Result<std::unique_ptr<UringDisk>> create(Ring& ring, const std::string& root,
                                                   const DiskOptions& options, std::string& why);
  // On the ring's thread: waits for what is in flight, since the kernel still uses the callers'
  // memory. Elsewhere the owner thread must have ended, which also ended its requests.
  ~UringDisk();

  std::size_t submit(std::span<const DiskOp> ops) override;
  std::size_t poll(std::span<DiskDone> done) override;
  Result<std::vector<DirEntry>> list(std::string_view directory) override;
  DiskSpace space() override;

  // On the ring's thread: waits until nothing is in flight. False: something still was at
  // `deadline`.
  bool wait_idle(Instant deadline);

  std::uint32_t in_flight(DiskClass disk_class) const {
    return in_flight_[std::size_t(disk_class)];
  }

 private:
  // An operation from submit() until poll() has given its completion out.
  struct Operation {
    DiskOp op;
    std::uint64_t bytes_done = 0;     // of a read that needs more than one request
    std::uint32_t retry_count = 0;
    int directory_fd = -1;            // of sync_directory, between its two steps
    bool in_use = false;
  };
  struct File {
    int fd = -1;                      // -1: free
    bool direct = false;
  };

  UringDisk(Ring& ring, int root_fd, const DiskOptions& options);
  void before_submit() override {}
  void process_completions();
  void start(std::uint32_t index);
  void start_transfer(std::uint32_t index);
  void start_on_file(std::uint32_t index);
  void start_on_name(std::uint32_t index);
  void start_truncate(std::uint32_t index);
  void start_sync_directory(std::uint32_t index);
  void on_completion(const Completion& completion);
  std::int64_t result_of(Operation& operation, std::int32_t result);
  // True when the operation goes on with another request.
  bool continues(std::uint32_t index, std::int32_t result);
  void finish(std::uint32_t index, std::int64_t result);
  io_uring_sqe* request(std::uint32_t index);
  File& file_of(const DiskOp& op);
  std::int64_t adopt_file(int fd, const DiskOp& op);
  bool opens_direct(const DiskOp& op) const;

  Ring& ring_;
  const int root_fd_;
  const DiskOptions options_;
  std::vector<File> files_;
  std::vector<FileId> free_files_;
  std::vector<Operation> operations_;
  std::vector<std::uint32_t> free_operations_;
  struct Finished {
    DiskDone done;
    DiskClass disk_class;
  };
  tailrace::Ring<Finished> finished_;
  std::array<std::uint32_t, 4> in_flight_{};
  std::uint64_t pump_seen_ = 0;
  DiskSpace space_{};
  Instant space_read_at_{};
};

}  // namespace tailrace::io
