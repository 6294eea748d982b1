// SimFileSystem: what lies on the simulated device, as a power cut would find it. Each file has two
// images: what a read sees, and what is durable; between them lie the writes that no sync has
// covered yet. Directories likewise: an entry made, removed or renamed is durable only after a
// sync of its directory. Several SimDisks (one per thread of a node) work on one file system.
//
// A sync covers the writes that had completed when it was submitted: no more is promised by real
// devices, so no more is given here.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "io/disk.h"

namespace tailrace::sim {

inline constexpr std::size_t sector_bytes = 512;

struct Inode;
using InodeRef = std::shared_ptr<Inode>;

struct UnsyncedWrite {
  std::uint64_t file_pos = 0;
  std::vector<std::byte> bytes;
  bool truncates = false;  // sets the size to file_pos instead
  bool durable = false;    // it is, all the same; in the list because older ones may not be
};

// set: `name` is `inode` now. erase: `name` is gone. rename: `name` is gone, `name_to` is `inode`.
struct EntryChange {
  enum class Kind : std::uint8_t { set, erase, rename } kind = Kind::set;
  std::string name;
  std::string name_to;
  InodeRef inode;
};

struct Inode {
  bool is_directory = false;
  // A file.
  std::vector<std::byte> bytes;     // what a read sees
  std::vector<std::byte> durable;   // what a power cut leaves at least
  std::vector<UnsyncedWrite> unsynced;
  std::uint64_t synced_count = 0;   // of all writes ever done; unsynced[0] has this number
  // A directory.
  std::map<std::string, InodeRef, std::less<>> entries;
  std::map<std::string, InodeRef, std::less<>> durable_entries;
  std::vector<EntryChange> changes;
  std::uint64_t synced_changes = 0;

  std::uint64_t write_count() const { return synced_count + unsynced.size(); }
  std::uint64_t change_count() const { return synced_changes + changes.size(); }
};

// Seams for planted faults: each breaks one promise of a disk.
struct FileSystemPlants {
  bool directory_sync_does_nothing = false;
};

class SimFileSystem {
 public:
  explicit SimFileSystem(Prng prng) : prng_(prng), root_(std::make_shared<Inode>()) {
    root_->is_directory = true;
  }

  // Results as in DiskOpKind: below zero is -errno.
  std::int64_t open(std::string_view path, bool create, InodeRef& inode);
  std::int64_t read(const Inode& file, std::uint64_t file_pos, MutableBytes block) const;
  std::int64_t write(Inode& file, std::uint64_t file_pos, Bytes block, bool durable);
  std::int64_t allocate(Inode& file, std::uint64_t size_bytes_min);
  std::int64_t truncate(Inode& file, std::uint64_t size_bytes);
  std::int64_t sync(Inode& file, std::uint64_t covered_count);
  std::int64_t remove(std::string_view path);
  std::int64_t rename(std::string_view from, std::string_view to);
  std::int64_t make_directory(std::string_view path);
  std::int64_t remove_directory(std::string_view path);
  std::int64_t sync_directory(std::string_view path, std::uint64_t covered_count);
  Result<std::vector<io::DirEntry>> list(std::string_view directory) const;
  // Null when there is none.
  InodeRef find(std::string_view path) const;

  // --- faults
  // Each sector of the block is written or not, as chance has it; nothing of it is durable.
  void write_torn(Inode& file, std::uint64_t file_pos, Bytes block, bool garbage);
  // A sync failed: of each sector it should have covered, the old or the new content is there from
  // now on, and a later sync that succeeds says nothing about them.
  void fail_sync(Inode& file, std::uint64_t covered_count);
  // Writes that had completed and entries that had been made are lost or torn as chance has it.
  // `garbage`: a sector that was being written may hold neither the old nor the new content.
  void power_cut(bool garbage);
  // Flips one bit of what is there now and durable. False when the file is empty.
  bool rot(Inode& file);
  // All files below `path`, in order.
  std::vector<std::pair<std::string, InodeRef>> files(std::string_view path) const;

  void set_capacity(std::uint64_t bytes) { capacity_bytes_ = bytes; }
  std::uint64_t capacity() const { return capacity_bytes_; }
  std::uint64_t used_bytes() const;
  bool has_room_for(std::uint64_t bytes) const;

  FileSystemPlants plants;

 private:
  struct Place {
    Inode* directory = nullptr;
    std::string_view name;
  };
  Place place(std::string_view path) const;
  void change(Inode& directory, EntryChange change);
  void power_cut_file(Inode& file, bool garbage);
  void power_cut_directory(Inode& directory, bool garbage);
  // Applies some sectors of `write` to `image`.
  void keep_sectors(std::vector<std::byte>& image, const UnsyncedWrite& write, bool garbage,
                    bool mostly_whole = false);

  Prng prng_;
  InodeRef root_;
  std::uint64_t capacity_bytes_ = std::uint64_t{1} << 40;
};

}  // namespace tailrace::sim
