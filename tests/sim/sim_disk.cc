#include "sim_disk.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/aligned.h"
#include "base/crc32c.h"
#include "log/op_queue.h"
#include "log/segment.h"

namespace tailrace::sim {
namespace {

bool is_write(DiskOpKind kind) {
  return kind == DiskOpKind::write || kind == DiskOpKind::write_durable;
}

bool has_file(DiskOpKind kind) {
  switch (kind) {
    case DiskOpKind::close:
    case DiskOpKind::read:
    case DiskOpKind::write:
    case DiskOpKind::write_durable:
    case DiskOpKind::sync:
    case DiskOpKind::allocate:
    case DiskOpKind::truncate: return true;
    case DiskOpKind::open:
    case DiskOpKind::remove:
    case DiskOpKind::rename:
    case DiskOpKind::make_directory:
    case DiskOpKind::sync_directory:
    case DiskOpKind::remove_directory: return false;
  }
  return false;
}

constexpr const char* to_string(DiskOpKind kind) {
  constexpr std::array names = {"open", "close", "read", "write", "write_durable", "sync",
                                "allocate", "truncate", "remove", "rename", "make_directory",
                                "sync_directory", "remove_directory"};
  return names[static_cast<std::size_t>(kind)];
}

}  // namespace

SimDisk::SimDisk(SimFileSystem& files, SimClock& clock, Trace& trace, Prng prng,
                 const DiskPace& pace, const DiskFaults& faults, std::string name)
    : files_(files), clock_(clock), trace_(trace), prng_(prng), pace_(pace), faults_(faults),
      name_(std::move(name)) {}

Inode& SimDisk::file(FileId id) const {
  TR_ASSERT(id < open_.size());
  TR_ASSERT(open_[id].inode != nullptr);
  return *open_[id].inode;
}

// What the kernel would refuse with EINVAL is a mistake of ours: told at once.
void SimDisk::check(const DiskOp& op) const {
  if (has_file(op.kind)) (void)file(op.file);
  if (!is_write(op.kind) && op.kind != DiskOpKind::read) return;
  TR_ASSERT(!op.block.empty());
  if (open_[op.file].buffered) return;
  TR_ASSERT(op.file_pos % disk_block_bytes == 0);
  TR_ASSERT(op.block.size() % disk_block_bytes == 0);
  TR_ASSERT(reinterpret_cast<std::uintptr_t>(op.block.data()) % disk_block_bytes == 0);
}

void SimDisk::take(const DiskOp& op) {
  check(op);
  Waiting item{.due = {}, .seq = next_seq_++, .op = op};
  const auto spread = static_cast<std::uint64_t>(pace_.delay_max.ns - pace_.delay_min.ns);
  Duration delay = nanoseconds(pace_.delay_min.ns + static_cast<std::int64_t>(
                                                        prng_.below(spread + 1)));
  if (pace_.slow != 0 && prng_.chance(pace_.slow, 1'000'000)) delay = pace_.slow_delay;
  item.due = clock_.instant() + delay;
  if (is_write(op.kind)) item.block_crc = crc32c(op.block);
  if (op.kind == DiskOpKind::sync) item.covered_end = file(op.file).write_count();
  if (op.kind == DiskOpKind::sync_directory) {
    if (const InodeRef inode = files_.find(op.name.text())) {
      item.covered_end = inode->change_count();
    }
  }
  ++in_flight_[static_cast<std::size_t>(op.disk_class)];
  waiting_.push_back(item);
  std::push_heap(waiting_.begin(), waiting_.end(), later);
}

std::size_t SimDisk::submit(std::span<const DiskOp> ops) {
  std::size_t count = 0;
  for (const DiskOp& op : ops) {
    const auto disk_class = static_cast<std::size_t>(op.disk_class);
    if (in_flight_[disk_class] >= pace_.in_flight_max[disk_class]) break;
    take(op);
    ++count;
  }
  return count;
}

std::size_t SimDisk::poll(std::span<DiskDone> done) {
  std::size_t count = 0;
  while (count < done.size() && !waiting_.empty() && waiting_.front().due <= clock_.instant()) {
    std::pop_heap(waiting_.begin(), waiting_.end(), later);
    const Waiting item = waiting_.back();
    waiting_.pop_back();
    --in_flight_[static_cast<std::size_t>(item.op.disk_class)];
    const std::int64_t result = perform(item);
    trace_.add(item.op.tag);
    trace_.add(static_cast<std::uint64_t>(result) ^ (std::uint64_t{item.block_crc} << 32));
    trace_.say(clock_.instant(), "{} {} {} {} {}+{} -> {}", name_, to_string(item.op.kind),
               has_file(item.op.kind) ? open_[item.op.file].path : item.op.name.text(),
               item.op.name_to.text(), item.op.file_pos, item.op.block.size(), result);
    if (item.op.kind == DiskOpKind::close && result == 0) open_[item.op.file] = {};
    done[count++] = {.tag = item.op.tag, .result = result};
  }
  return count;
}

Instant SimDisk::next_deadline() const {
  return waiting_.empty() ? never() : waiting_.front().due;
}

Result<std::vector<io::DirEntry>> SimDisk::list(std::string_view directory) {
  return files_.list(directory);
}

io::DiskSpace SimDisk::space() {
  const std::uint64_t used = files_.used_bytes();
  const std::uint64_t total = files_.capacity();
  return {.total_bytes = total, .usable_bytes = total > used ? total - used : 0};
}

bool SimDisk::strikes(std::uint32_t per_million) {
  if (per_million == 0 || !prng_.chance(per_million, 1'000'000)) return false;
  ++faults_injected_;
  return true;
}

std::int64_t SimDisk::fault_of(const DiskOp& op) {
  switch (op.kind) {
    case DiskOpKind::read: return strikes(faults_.read_error) ? -EIO : 0;
    case DiskOpKind::write:
    case DiskOpKind::write_durable: return strikes(faults_.write_error) ? -EIO : 0;
    case DiskOpKind::sync:
    case DiskOpKind::sync_directory: return strikes(faults_.sync_error) ? -EIO : 0;
    case DiskOpKind::open:
    case DiskOpKind::remove:
    case DiskOpKind::rename:
    case DiskOpKind::make_directory:
    case DiskOpKind::remove_directory:
    case DiskOpKind::truncate:
    case DiskOpKind::allocate: return strikes(faults_.open_error) ? -EIO : 0;
    case DiskOpKind::close: return 0;
  }
  return 0;
}

std::int64_t SimDisk::perform_fault(const Waiting& item, std::int64_t error) {
  const DiskOp& op = item.op;
  if (is_write(op.kind)) files_.write_torn(file(op.file), op.file_pos, op.block, false);
  if (op.kind == DiskOpKind::sync) files_.fail_sync(file(op.file), item.covered_end);
  trace_.say(clock_.instant(), "{} fault: {} fails", name_, to_string(op.kind));
  return error;
}

// ".../<base offset>-<generation>.log"
bool SimDisk::is_compacted(std::string_view path) {
  return log::segment_name_of_path(path).generation > 0;
}

std::int64_t SimDisk::perform(const Waiting& item) {
  const DiskOp& op = item.op;
  if (plant_spoil && is_write(op.kind)) op.block.back() ^= std::byte{1};
  if (is_write(op.kind) && crc32c(op.block) != item.block_crc) ++blocks_changed_;
  if (const std::int64_t error = fault_of(op); error != 0) return perform_fault(item, error);
  switch (op.kind) {
    case DiskOpKind::open: return open(op);
    case DiskOpKind::close: return 0;
    case DiskOpKind::read: return read(op);
    case DiskOpKind::write:
    case DiskOpKind::write_durable: return write(op);
    case DiskOpKind::sync:
      if (plant_sync_lies && open_[op.file].path.ends_with(".wal")) return 0;
      if (plant_compaction_lies && is_compacted(open_[op.file].path)) return 0;
      return files_.sync(file(op.file), item.covered_end);
    case DiskOpKind::allocate: return files_.allocate(file(op.file), op.file_pos + op.size);
    case DiskOpKind::truncate: return files_.truncate(file(op.file), op.file_pos);
    case DiskOpKind::remove: return files_.remove(op.name.text());
    case DiskOpKind::rename: return files_.rename(op.name.text(), op.name_to.text());
    case DiskOpKind::make_directory: return files_.make_directory(op.name.text());
    case DiskOpKind::sync_directory:
      return files_.sync_directory(op.name.text(), item.covered_end);
    case DiskOpKind::remove_directory: return files_.remove_directory(op.name.text());
  }
  return -EINVAL;
}

std::int64_t SimDisk::open(const DiskOp& op) {
  InodeRef inode;
  const std::int64_t result = files_.open(op.name.text(), (op.flags & open_create) != 0, inode);
  if (result < 0) return result;
  // The lowest free number, as descriptors are given out: a stale use hits somebody else's file.
  std::size_t id = 0;
  while (id < open_.size() && open_[id].inode != nullptr) ++id;
  if (id == open_.size()) open_.emplace_back();
  open_[id] = {inode, std::string(op.name.text()), (op.flags & open_buffered) != 0};
  return static_cast<std::int64_t>(id);
}

std::int64_t SimDisk::write(const DiskOp& op) {
  const bool durable = op.kind == DiskOpKind::write_durable && !plant_sync_lies;
  if (!strikes(faults_.write_short)) {
    return files_.write(file(op.file), op.file_pos, op.block, durable);
  }
  const std::size_t size = prng_.below(op.block.size() / sector_bytes) * sector_bytes;
  if (size == 0) return 0;
  return files_.write(file(op.file), op.file_pos, op.block.first(size), durable);
}

std::int64_t SimDisk::read(const DiskOp& op) {
  const std::int64_t size = files_.read(file(op.file), op.file_pos, op.block);
  // Not of the last block that a log reads back after a start: it goes on from there and has
  // nothing to check those bytes with.
  const bool checked = open_[op.file].path.starts_with("topics/") &&
                       log::asker_of(op.tag) != log::Asker::tail;
  if (size > 0 && checked && strikes(faults_.read_rot)) {
    op.block[prng_.below(static_cast<std::uint64_t>(size))] ^= std::byte{4};
  }
  return size;
}

void SimDisk::crash(bool power_cut) {
  std::sort(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
    return later(b, a);
  });
  for (const Waiting& item : waiting_) {
    const DiskOp& op = item.op;
    if (is_write(op.kind)) {
      files_.write_torn(file(op.file), op.file_pos, op.block, power_cut && faults_.garbage);
    } else if (op.kind != DiskOpKind::read && op.kind != DiskOpKind::close &&
               prng_.chance(1, 2)) {
      (void)perform(item);
    }
  }
  waiting_.clear();
  in_flight_ = {};
  open_.clear();
}

}  // namespace tailrace::sim
