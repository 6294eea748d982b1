// FakeDisk: a disk in memory for unit tests. Operations wait until the test completes them, in
// whatever order it likes; they can be made to fail or be cut short; a crash keeps what was synced
// and, of the rest, sector by sector what chance (or the test) decides.
//
// What is durable follows the rule of real disks, not the hope of programs: a sync covers the
// writes that had completed when it was submitted. Names (create, rename, remove) are durable at
// once; tests/sim has the stricter disk.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/ops.h"
#include "base/prng.h"
#include "io/disk.h"

namespace tailrace::test {

class FakeDisk final : public io::Disk {
 public:
  static constexpr std::size_t sector_bytes = 512;

  // --- io::Disk. poll() completes everything that waits, oldest first, unless held.
  std::size_t submit(std::span<const DiskOp> ops) override {
    for (const DiskOp& op : ops) take(op);
    return ops.size();
  }
  std::size_t poll(std::span<DiskDone> done) override {
    std::size_t count = 0;
    while (!held && count < done.size() && !waiting_.empty()) done[count++] = complete(0);
    return count;
  }
  Result<std::vector<io::DirEntry>> list(std::string_view directory) override {
    std::string prefix(directory);
    if (!prefix.empty() && prefix.back() != '/') prefix += '/';
    std::map<std::string, io::DirEntry> found;
    for (const auto& [name, file] : files_) add_entry(found, prefix, name, file.bytes.size());
    for (const std::string& name : directories_) add_entry(found, prefix, name + "/", 0);
    const bool known =
        prefix.empty() || directories_.contains(prefix.substr(0, prefix.size() - 1));
    if (found.empty() && !known) return fail(Errc::not_found);
    std::vector<io::DirEntry> entries;
    for (auto& [name, entry] : found) entries.push_back(std::move(entry));
    return entries;
  }
  io::DiskSpace space() override {
    return {.total_bytes = total_bytes, .usable_bytes = usable_bytes};
  }

  // --- taking from a logic object's queue (anything with ops(class) and taken(class, n))
  template <class Queue>
  void take_all(Queue& queue) {
    for (const DiskClass c : {DiskClass::wal, DiskClass::segment, DiskClass::read,
                              DiskClass::background}) {
      const std::size_t count = submit(queue.ops(c));
      queue.taken(c, count);
    }
  }
  // Takes, completes oldest first and delivers until nothing waits. `deliver` takes a DiskDone.
  template <class Queue, class Deliver>
  void run(Queue& queue, Deliver deliver) {
    for (take_all(queue); !waiting_.empty(); take_all(queue)) deliver(complete(0));
  }

  // --- operations that wait
  std::size_t waiting_count() const { return waiting_.size(); }
  const DiskOp& waiting(std::size_t index) const { return waiting_[index].op; }
  // The index of the oldest waiting one of this kind, or nothing.
  std::optional<std::size_t> find(DiskOpKind kind) const {
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      if (waiting_[i].op.kind == kind) return i;
    }
    return std::nullopt;
  }
  // Does it (or makes it fail as asked below) and returns its completion.
  DiskDone complete(std::size_t index) {
    TR_ASSERT(index < waiting_.size());
    const Waiting item = waiting_[index];
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(index));
    return {.tag = item.op.tag, .result = perform(item)};
  }
  DiskDone complete_any(Prng& prng) { return complete(prng.below(waiting_.size())); }

  // --- faults
  // The next operation of this kind to be completed fails with this errno; a failed write leaves
  // an arbitrary part of its sectors written.
  void fail_next(DiskOpKind kind, int error_number) { fail_next_[kind] = error_number; }
  // The next write (or read) moves only so many bytes.
  void cut_next(DiskOpKind kind, std::size_t bytes) { cut_next_[kind] = bytes; }
  // Decides for every operation; a value other than 0 is its errno.
  std::function<int(const DiskOp&)> fault;

  // --- power cut: open files, waiting operations and chance's share of unsynced sectors are gone.
  // Each sector of each unsynced write, completed or waiting, is kept or lost on its own, and one
  // of a waiting write may become garbage.
  void crash(Prng& prng) {
    crash_keeping([&prng](const std::string&, std::uint64_t) { return prng.chance(1, 2); }, &prng);
  }
  // The test decides by file and file position of the sector; no garbage.
  void crash_keeping(const std::function<bool(const std::string&, std::uint64_t)>& keep,
                     Prng* garbage = nullptr) {
    for (auto& [name, file] : files_) {
      File left{.bytes = file.synced};
      for (const Unsynced& write : file.unsynced) {
        keep_sectors(left, name, write.file_pos, write.bytes, keep, nullptr);
      }
      for (const Waiting& item : waiting_) {
        if (!is_write(item.op.kind) || open_name(item.op.file) != name) continue;
        keep_sectors(left, name, item.op.file_pos, item.op.block, keep, garbage);
      }
      left.synced = left.bytes;
      file = std::move(left);
    }
    waiting_.clear();
    open_.clear();
    buffered_.clear();
  }
  // kill -9: every write that had been submitted reaches the disk, but nothing completes.
  void kill() {
    while (!waiting_.empty()) {
      if (is_write(waiting_.front().op.kind)) {
        (void)complete(0);
      } else {
        waiting_.erase(waiting_.begin());
      }
    }
    open_.clear();
  }

  // --- looking in and damaging
  bool exists(const std::string& name) const { return files_.contains(name); }
  std::vector<std::byte>& bytes(const std::string& name) { return files_[name].bytes; }
  const std::vector<std::byte>& synced_bytes(const std::string& name) {
    return files_[name].synced;
  }
  void put(const std::string& name, std::vector<std::byte> content) {
    files_[name] = File{.bytes = content, .synced = content};
  }
  void flip_bit(const std::string& name, std::uint64_t file_pos) {
    files_[name].bytes.at(file_pos) ^= std::byte{1};
    if (file_pos < files_[name].synced.size()) files_[name].synced[file_pos] ^= std::byte{1};
  }
  // An open file for tests that start behind the opening.
  FileId open_now(const std::string& name) {
    files_[name];
    open_[next_file_] = name;
    return next_file_++;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, file] : files_) names.push_back(name);
    return names;
  }
  std::size_t open_count() const { return open_.size(); }
  std::uint64_t count(DiskOpKind kind) const {
    const auto found = counts_.find(kind);
    return found == counts_.end() ? 0 : found->second;
  }

  bool held = false;  // poll() completes nothing
  std::uint64_t total_bytes = std::uint64_t{1} << 40;
  std::uint64_t usable_bytes = std::uint64_t{1} << 39;

 private:
  struct Unsynced {
    std::uint64_t file_pos = 0;
    std::vector<std::byte> bytes;
  };
  struct File {
    std::vector<std::byte> bytes;   // what a read sees
    std::vector<std::byte> synced;  // what a crash leaves at least
    std::vector<Unsynced> unsynced; // completed, oldest first
    std::uint64_t synced_count = 0; // of all writes that ever were in `unsynced`
  };
  struct Waiting {
    DiskOp op;
    std::uint32_t block_crc = 0;    // of a write's block: it must not change in flight
    std::uint64_t covered_end = 0;  // sync: it makes so many of the file's writes durable
  };

  static bool is_write(DiskOpKind kind) {
    return kind == DiskOpKind::write || kind == DiskOpKind::write_durable;
  }
  static void add_entry(std::map<std::string, io::DirEntry>& found, const std::string& prefix,
                        const std::string& name, std::size_t size_bytes) {
    if (!name.starts_with(prefix) || name.size() == prefix.size()) return;
    const std::string rest = name.substr(prefix.size());
    const std::size_t slash = rest.find('/');
    const std::string first = rest.substr(0, slash);
    found[first] = {.name = first,
                    .is_directory = slash != std::string::npos,
                    .size_bytes = slash == std::string::npos ? size_bytes : 0};
  }

  void take(const DiskOp& op) {
    Waiting item{.op = op};
    if (is_write(op.kind) || op.kind == DiskOpKind::read) {
      TR_ASSERT(op.block.size() > 0);
      if ((op.flags & open_buffered) == 0) check_aligned(op);
    }
    if (is_write(op.kind)) item.block_crc = crc32c(op.block);
    if (op.kind == DiskOpKind::sync) {
      const File& file = files_[open_name(op.file)];
      item.covered_end = file.synced_count + file.unsynced.size();
    }
    waiting_.push_back(item);
  }
  void check_aligned(const DiskOp& op) const {
    if (buffered_.contains(op.file)) return;
    TR_ASSERT(op.file_pos % disk_block_bytes == 0);
    TR_ASSERT(op.block.size() % disk_block_bytes == 0);
    TR_ASSERT(reinterpret_cast<std::uintptr_t>(op.block.data()) % disk_block_bytes == 0);
  }
  const std::string& open_name(FileId file) const {
    const auto found = open_.find(file);
    TR_ASSERT(found != open_.end());
    return found->second;
  }

  std::int64_t perform(const Waiting& item) {
    const DiskOp& op = item.op;
    ++counts_[op.kind];
    if (is_write(op.kind)) TR_ASSERT(crc32c(op.block) == item.block_crc);
    if (const int error_number = fault_of(op); error_number != 0) {
      if (is_write(op.kind)) write(op, op.block.size() / 2 / sector_bytes * sector_bytes);
      return -error_number;
    }
    switch (op.kind) {
      case DiskOpKind::open: return open(op);
      case DiskOpKind::close:
        open_name(op.file);
        open_.erase(op.file);
        buffered_.erase(op.file);
        return 0;
      case DiskOpKind::read: return read(op);
      case DiskOpKind::write:
      case DiskOpKind::write_durable: return write(op, op.block.size());
      case DiskOpKind::sync: return sync(item);
      case DiskOpKind::allocate: {
        File& file = files_[open_name(op.file)];
        if (op.file_pos + op.size > file.bytes.size()) file.bytes.resize(op.file_pos + op.size);
        return 0;
      }
      case DiskOpKind::truncate: {
        File& file = files_[open_name(op.file)];
        file.bytes.resize(op.file_pos);
        file.synced.resize(op.file_pos);
        return 0;
      }
      case DiskOpKind::remove: files_.erase(std::string(op.name.text())); return 0;
      case DiskOpKind::rename: return rename(op);
      case DiskOpKind::make_directory: directories_.insert(std::string(op.name.text())); return 0;
      case DiskOpKind::sync_directory: return 0;
      case DiskOpKind::remove_directory: return remove_directory(op);
    }
    return -EINVAL;
  }
  int fault_of(const DiskOp& op) {
    if (const auto found = fail_next_.find(op.kind); found != fail_next_.end()) {
      const int error_number = found->second;
      fail_next_.erase(found);
      return error_number;
    }
    return fault ? fault(op) : 0;
  }
  std::size_t cut(DiskOpKind kind, std::size_t size) {
    const auto found = cut_next_.find(kind);
    if (found == cut_next_.end()) return size;
    const std::size_t bytes = found->second;
    cut_next_.erase(found);
    return bytes < size ? bytes : size;
  }

  std::int64_t open(const DiskOp& op) {
    const std::string name(op.name.text());
    if (!files_.contains(name)) {
      if ((op.flags & open_create) == 0) return -ENOENT;
      files_[name];
    }
    if ((op.flags & open_buffered) != 0) buffered_.insert(next_file_);
    open_[next_file_] = name;
    return next_file_++;
  }
  std::int64_t read(const DiskOp& op) {
    const std::vector<std::byte>& from = files_[open_name(op.file)].bytes;
    if (op.file_pos >= from.size()) return 0;
    std::size_t size = op.block.size();
    if (size > from.size() - op.file_pos) size = from.size() - op.file_pos;
    size = cut(op.kind, size);
    std::memcpy(op.block.data(), from.data() + op.file_pos, size);
    return static_cast<std::int64_t>(size);
  }
  std::int64_t write(const DiskOp& op, std::size_t size) {
    File& file = files_[open_name(op.file)];
    size = cut(op.kind, size);
    const Bytes content = op.block.first(size);
    put_bytes(file.bytes, op.file_pos, content);
    if (op.kind == DiskOpKind::write_durable && size == op.block.size()) {
      put_bytes(file.synced, op.file_pos, content);
    } else {
      file.unsynced.push_back({op.file_pos, {content.begin(), content.end()}});
    }
    return static_cast<std::int64_t>(size);
  }
  std::int64_t sync(const Waiting& item) {
    File& file = files_[open_name(item.op.file)];
    // An overlapping sync may have covered the first of them already.
    while (file.synced_count < item.covered_end) {
      put_bytes(file.synced, file.unsynced.front().file_pos, file.unsynced.front().bytes);
      file.unsynced.erase(file.unsynced.begin());
      ++file.synced_count;
    }
    return 0;
  }
  std::int64_t rename(const DiskOp& op) {
    const std::string from(op.name.text());
    const auto found = files_.find(from);
    if (found == files_.end()) return -ENOENT;
    files_[std::string(op.name_to.text())] = std::move(found->second);
    files_.erase(from);
    for (auto& [file, name] : open_) {
      if (name == from) name = std::string(op.name_to.text());
    }
    return 0;
  }
  std::int64_t remove_directory(const DiskOp& op) {
    const std::string name(op.name.text());
    for (const auto& [file, content] : files_) {
      if (file.starts_with(name + "/")) return -ENOTEMPTY;
    }
    directories_.erase(name);
    return 0;
  }

  static void put_bytes(std::vector<std::byte>& to, std::uint64_t file_pos, Bytes from) {
    if (to.size() < file_pos + from.size()) to.resize(file_pos + from.size());
    std::memcpy(to.data() + file_pos, from.data(), from.size());
  }
  static void keep_sectors(File& file, const std::string& name, std::uint64_t file_pos, Bytes from,
                           const std::function<bool(const std::string&, std::uint64_t)>& keep,
                           Prng* garbage) {
    for (std::size_t at = 0; at < from.size(); at += sector_bytes) {
      if (!keep(name, file_pos + at)) continue;
      const Bytes sector = from.subspan(at, std::min(sector_bytes, from.size() - at));
      std::vector<std::byte> content(sector.begin(), sector.end());
      if (garbage != nullptr && garbage->chance(1, 32)) {
        for (std::byte& b : content) b = static_cast<std::byte>(garbage->next());
      }
      put_bytes(file.bytes, file_pos + at, content);
    }
  }

  std::map<std::string, File> files_;
  std::set<std::string> directories_;
  std::map<FileId, std::string> open_;
  std::set<FileId> buffered_;
  std::vector<Waiting> waiting_;
  std::map<DiskOpKind, int> fail_next_;
  std::map<DiskOpKind, std::size_t> cut_next_;
  std::map<DiskOpKind, std::uint64_t> counts_;
  FileId next_file_ = 1;
};

}  // namespace tailrace::test
