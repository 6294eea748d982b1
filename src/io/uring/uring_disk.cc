#include "io/uring/uring_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>

#include "base/aligned.h"
#include "base/assert.h"
#include "base/log.h"

namespace tailrace::io {
namespace {

constexpr unsigned opcode_ftruncate = 55;   // since Linux 6.9; not in liburing 2.3
constexpr std::uint32_t retries_max = 16;   // of interrupted requests, before the error is told
constexpr std::size_t block_bytes_max = std::size_t{1} << 30;   // the kernel's is 2 GiB
constexpr mode_t file_mode = 0640;
constexpr mode_t directory_mode = 0750;

// Both name the root: sync_directory and list must reach it too.
bool names_root(std::string_view name) { return name.empty() || name == "."; }

const char* path_or_dot(const FileName& name) {
  return name.text().empty() ? "." : name.c_str();
}

bool is_transfer(DiskOpKind kind) {
  return kind == DiskOpKind::read || kind == DiskOpKind::write ||
         kind == DiskOpKind::write_durable;
}

}  // namespace

Result<std::unique_ptr<UringDisk>> UringDisk::create(Ring& ring, const std::string& root,
                                                     const DiskOptions& options,
                                                     std::string& why) {
  const int fd = ::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    why = fmt::format("cannot open the directory {}: {}", root, std::strerror(error));
    if (error == ENOENT) return fail(Errc::not_found, ENOENT);
    return fail(Errc::io, static_cast<std::uint16_t>(error));
  }
  return std::unique_ptr<UringDisk>(new UringDisk(ring, fd, options));
}

UringDisk::UringDisk(Ring& ring, int root_fd, const DiskOptions& options)
    : ring_(ring),
      root_fd_(root_fd),
      options_(options),
      files_(options.open_files_max),
      operations_(std::accumulate(options.class_caps.begin(), options.class_caps.end(), 0u)),
      finished_(std::max<std::size_t>(operations_.size(), 1)) {
  free_files_.reserve(files_.size());
  for (std::size_t i = files_.size(); i > 0; --i) free_files_.push_back(FileId(i - 1));
  free_operations_.reserve(operations_.size());
  for (std::size_t i = operations_.size(); i > 0; --i) {
    free_operations_.push_back(std::uint32_t(i - 1));
  }
  ring_.attach(RingUser::disk, this);
}

UringDisk::~UringDisk() {
  if (ring_.owned_here()) wait_idle(never());
  ring_.attach(RingUser::disk, nullptr);
  for (const File& file : files_) {
    if (file.fd >= 0) ::close(file.fd);
  }
  for (const Operation& operation : operations_) {
    if (operation.directory_fd >= 0) ::close(operation.directory_fd);
  }
  ::close(root_fd_);
}

// What has finished waits in finished_, in its slot no more.
bool UringDisk::wait_idle(Instant deadline) {
  process_completions();
  while (free_operations_.size() < operations_.size()) {
    const Instant now = Ring::monotonic_now();
    if (deadline <= now) return false;
    ring_.wait(std::min(deadline, now + milliseconds(100)));
    process_completions();
  }
  return true;
}

std::size_t UringDisk::submit(std::span<const DiskOp> ops) {
  std::size_t count = 0;
  for (const DiskOp& op : ops) {
    const auto disk_class = std::size_t(op.disk_class);
    if (in_flight_[disk_class] == options_.class_caps[disk_class]) break;
    ++in_flight_[disk_class];
    const std::uint32_t index = free_operations_.back();
    free_operations_.pop_back();
    operations_[index] = {.op = op, .in_use = true};
    start(index);
    ++count;
  }
  return count;
}

std::size_t UringDisk::poll(std::span<DiskDone> done) {
  if (finished_.empty()) {
    ring_.pump_if_stale(pump_seen_);
    process_completions();
  }
  std::size_t count = 0;
  while (count < done.size() && !finished_.empty()) {
    const Finished finished = finished_.pop();
    --in_flight_[std::size_t(finished.disk_class)];
    done[count++] = finished.done;
  }
  return count;
}

void UringDisk::start(std::uint32_t index) {
  const DiskOp& op = operations_[index].op;
  switch (op.kind) {
    case DiskOpKind::read:
    case DiskOpKind::write:
    case DiskOpKind::write_durable:
      return start_transfer(index);
    case DiskOpKind::sync:
    case DiskOpKind::allocate:
    case DiskOpKind::close:
      return start_on_file(index);
    case DiskOpKind::truncate:
      return start_truncate(index);
    case DiskOpKind::sync_directory:
      return start_sync_directory(index);
    case DiskOpKind::open:
    case DiskOpKind::remove:
    case DiskOpKind::remove_directory:
    case DiskOpKind::rename:
    case DiskOpKind::make_directory:
      return start_on_name(index);
  }
}

void UringDisk::start_on_file(std::uint32_t index) {
  const DiskOp& op = operations_[index].op;
  File& file = file_of(op);
  io_uring_sqe* sqe = request(index);
  sqe->fd = file.fd;
  if (op.kind == DiskOpKind::sync) {
    sqe->opcode = IORING_OP_FSYNC;
    sqe->fsync_flags = IORING_FSYNC_DATASYNC;
  } else if (op.kind == DiskOpKind::allocate) {
    sqe->opcode = IORING_OP_FALLOCATE;
    sqe->off = op.file_pos;
    sqe->addr = op.size;   // The kernel's layout: the length is in addr, the mode in len.
  } else {
    sqe->opcode = IORING_OP_CLOSE;
    // The descriptor's number may be taken again as soon as the kernel has closed it.
    file.fd = -1;
  }
}

// The names lie in the operation's slot, so they outlive the submission.
void UringDisk::start_on_name(std::uint32_t index) {
  const DiskOp& op = operations_[index].op;
  if (op.kind == DiskOpKind::open && free_files_.empty()) return finish(index, -EMFILE);
  io_uring_sqe* sqe = request(index);
  sqe->fd = root_fd_;
  sqe->addr = reinterpret_cast<std::uintptr_t>(op.name.c_str());
  if (op.kind == DiskOpKind::open) {
    sqe->opcode = IORING_OP_OPENAT;
    sqe->len = file_mode;
    sqe->open_flags = O_RDWR | O_CLOEXEC;
    if ((op.flags & open_create) != 0) sqe->open_flags |= O_CREAT;
    if (opens_direct(op)) sqe->open_flags |= O_DIRECT;
  } else if (op.kind == DiskOpKind::make_directory) {
    sqe->opcode = IORING_OP_MKDIRAT;
    sqe->len = directory_mode;
  } else if (op.kind == DiskOpKind::rename) {
    sqe->opcode = IORING_OP_RENAMEAT;
    sqe->len = static_cast<std::uint32_t>(root_fd_);
    sqe->addr2 = reinterpret_cast<std::uintptr_t>(op.name_to.c_str());
  } else {
    sqe->opcode = IORING_OP_UNLINKAT;
    sqe->unlink_flags = op.kind == DiskOpKind::remove_directory ? AT_REMOVEDIR : 0;
  }
}

void UringDisk::start_transfer(std::uint32_t index) {
  const Operation& operation = operations_[index];
  const DiskOp& op = operation.op;
  const File& file = file_of(op);
  TR_ASSERT(op.block.size() <= block_bytes_max);
  if (file.direct) {
    TR_ASSERT(reinterpret_cast<std::uintptr_t>(op.block.data()) % disk_block_bytes == 0);
    TR_ASSERT(op.block.size() % disk_block_bytes == 0);
    TR_ASSERT(op.file_pos % disk_block_bytes == 0);
  }
  const MutableBytes rest = op.block.subspan(operation.bytes_done);
  const int buffer = ring_.registered_buffer(rest);
  const bool is_read = op.kind == DiskOpKind::read;
  io_uring_sqe* sqe = request(index);
  if (buffer >= 0) {
    sqe->opcode = is_read ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
    sqe->buf_index = static_cast<std::uint16_t>(buffer);
  } else {
    sqe->opcode = is_read ? IORING_OP_READ : IORING_OP_WRITE;
  }
  sqe->fd = file.fd;
  sqe->off = op.file_pos + operation.bytes_done;
  sqe->addr = reinterpret_cast<std::uintptr_t>(rest.data());
  sqe->len = static_cast<std::uint32_t>(rest.size());
  if (op.kind == DiskOpKind::write_durable) sqe->rw_flags = RWF_DSYNC;
}

void UringDisk::start_truncate(std::uint32_t index) {
  const DiskOp& op = operations_[index].op;
  const int fd = file_of(op).fd;
  if (ring_.supports(opcode_ftruncate)) {
    io_uring_sqe* sqe = request(index);
    sqe->opcode = opcode_ftruncate;
    sqe->fd = fd;
    sqe->off = op.file_pos;
    return;
  }
  // Blocks this thread for a journal entry's time: at the end of a segment, and in recovery.
  finish(index, ::ftruncate(fd, static_cast<off_t>(op.file_pos)) == 0 ? 0 : -errno);
}

// Two requests: open the directory, sync it. The root is open already.
void UringDisk::start_sync_directory(std::uint32_t index) {
  const Operation& operation = operations_[index];
  const FileName& name = operation.op.name;
  io_uring_sqe* sqe = request(index);
  if (operation.directory_fd >= 0 || names_root(name.text())) {
    sqe->opcode = IORING_OP_FSYNC;
    sqe->fd = operation.directory_fd >= 0 ? operation.directory_fd : root_fd_;
    return;
  }
  sqe->opcode = IORING_OP_OPENAT;
  sqe->fd = root_fd_;
  sqe->addr = reinterpret_cast<std::uintptr_t>(path_or_dot(name));
  sqe->open_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
}

void UringDisk::process_completions() {
  Completion completion;
  while (ring_.take(RingUser::disk, completion)) {
    const std::uint32_t index = completion.name.index;
    TR_ASSERT(index < operations_.size());
    TR_ASSERT(operations_[index].in_use);
    if (continues(index, completion.result)) continue;
    finish(index, result_of(operations_[index], completion.result));
  }
}

bool UringDisk::continues(std::uint32_t index, std::int32_t result) {
  Operation& operation = operations_[index];
  const DiskOp& op = operation.op;
  // Only transfers: a failed sync is never retried, and the others are not interrupted.
  if (is_transfer(op.kind) && (result == -EINTR || result == -EAGAIN) &&
      operation.retry_count < retries_max) {
    ++operation.retry_count;
    start_transfer(index);
    return true;
  }
  if (op.kind == DiskOpKind::read && result > 0) {
    operation.bytes_done += static_cast<std::uint32_t>(result);
    // Short only at the end of the file: whatever else cut it short, the rest is read. A part
    // of a block from an O_DIRECT file is its end.
    const bool at_end = file_of(op).direct && result % int(disk_block_bytes) != 0;
    if (operation.bytes_done == op.block.size() || at_end) return false;
    start_transfer(index);
    return true;
  }
  if (op.kind == DiskOpKind::sync_directory && operation.directory_fd < 0 &&
      !names_root(op.name.text()) && result >= 0) {
    operation.directory_fd = result;
    start_sync_directory(index);
    return true;
  }
  return false;
}

std::int64_t UringDisk::result_of(Operation& operation, std::int32_t result) {
  const DiskOp& op = operation.op;
  switch (op.kind) {
    case DiskOpKind::open:
      return result >= 0 ? adopt_file(result, op) : result;
    case DiskOpKind::close:
      // Linux has let go of the descriptor even when close reports an error.
      files_[op.file] = {};
      free_files_.push_back(op.file);
      return result;
    case DiskOpKind::read:
      return result >= 0 ? static_cast<std::int64_t>(operation.bytes_done) : result;
    case DiskOpKind::remove:
    case DiskOpKind::remove_directory:
      return result == -ENOENT ? 0 : result;
    case DiskOpKind::make_directory:
      return result == -EEXIST ? 0 : result;
    case DiskOpKind::sync_directory:
      if (operation.directory_fd >= 0) ::close(operation.directory_fd);
      operation.directory_fd = -1;
      return result;
    case DiskOpKind::write:
    case DiskOpKind::write_durable:
    case DiskOpKind::sync:
    case DiskOpKind::allocate:
    case DiskOpKind::truncate:
    case DiskOpKind::rename:
      return result;
  }
  return result;
}

void UringDisk::finish(std::uint32_t index, std::int64_t result) {
  Operation& operation = operations_[index];
  const bool pushed = finished_.push(
      {{.tag = operation.op.tag, .result = result}, operation.op.disk_class});
  TR_ASSERT(pushed);
  operation.in_use = false;
  free_operations_.push_back(index);
}

io_uring_sqe* UringDisk::request(std::uint32_t index) {
  return ring_.request({.user = RingUser::disk, .index = index});
}

UringDisk::File& UringDisk::file_of(const DiskOp& op) {
  TR_ASSERT(op.file < files_.size());
  TR_ASSERT(files_[op.file].fd >= 0);
  return files_[op.file];
}

bool UringDisk::opens_direct(const DiskOp& op) const {
  return options_.direct && (op.flags & open_buffered) == 0;
}

std::int64_t UringDisk::adopt_file(int fd, const DiskOp& op) {
  // Checked at the start too, but several opens may have been in flight.
  if (free_files_.empty()) {
    ::close(fd);
    return -EMFILE;
  }
  const FileId id = free_files_.back();
  free_files_.pop_back();
  files_[id] = {.fd = fd, .direct = opens_direct(op)};
  return id;
}

Result<std::vector<DirEntry>> UringDisk::list(std::string_view directory) {
  const std::string path(names_root(directory) ? "." : directory);
  const int fd = ::openat(root_fd_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return fail(Errc::not_found, ENOENT);
    return fail(Errc::io, static_cast<std::uint16_t>(errno));
  }
  DIR* stream = ::fdopendir(fd);   // Owns fd from here on.
  TR_ASSERT(stream != nullptr);
  std::vector<DirEntry> entries;
  errno = 0;
  while (const dirent* item = ::readdir(stream)) {
    const std::string_view name(item->d_name);
    if (name == "." || name == "..") continue;
    struct stat status{};
    // Gone since readdir saw it: then it is not in the list either.
    if (::fstatat(fd, item->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    entries.push_back({.name = std::string(name),
                       .is_directory = S_ISDIR(status.st_mode),
                       .size_bytes = static_cast<std::uint64_t>(status.st_size)});
    errno = 0;
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return fail(Errc::io, static_cast<std::uint16_t>(error));
  return entries;
}

DiskSpace UringDisk::space() {
  const Instant now = Ring::monotonic_now();
  if (space_read_at_.ns != 0 && now < space_read_at_ + seconds(1)) return space_;
  struct statvfs status{};
  if (::fstatvfs(root_fd_, &status) == 0) {
    space_ = {.total_bytes = status.f_blocks * status.f_frsize,
              .usable_bytes = status.f_bavail * status.f_frsize};
  }
  space_read_at_ = now;
  return space_;
}

}  // namespace tailrace::io
