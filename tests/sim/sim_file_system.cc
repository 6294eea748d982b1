#include "sim_file_system.h"

#include <algorithm>
#include <cerrno>

namespace tailrace::sim {
namespace {

void put(std::vector<std::byte>& image, std::uint64_t file_pos, Bytes bytes) {
  if (image.size() < file_pos + bytes.size()) image.resize(file_pos + bytes.size());
  if (!bytes.empty()) std::memcpy(image.data() + file_pos, bytes.data(), bytes.size());
}

void apply_write(std::vector<std::byte>& image, const UnsyncedWrite& write) {
  if (write.truncates) {
    image.resize(write.file_pos);
  } else {
    put(image, write.file_pos, write.bytes);
  }
}

void apply_change(std::map<std::string, InodeRef, std::less<>>& entries,
                  const EntryChange& change) {
  using Kind = EntryChange::Kind;
  if (change.kind == Kind::set) entries[change.name] = change.inode;
  if (change.kind == Kind::erase) entries.erase(change.name);
  if (change.kind == Kind::rename) {
    entries.erase(change.name);
    entries[change.name_to] = change.inode;
  }
}

std::uint64_t size_below(const Inode& inode) {
  std::uint64_t size = inode.bytes.size();
  for (const auto& [name, child] : inode.entries) size += size_below(*child);
  return size;
}

void files_below(const std::string& prefix, const InodeRef& inode,
                 std::vector<std::pair<std::string, InodeRef>>& files) {
  for (const auto& [name, child] : inode->entries) {
    const std::string path = prefix.empty() ? name : prefix + "/" + name;
    if (child->is_directory) {
      files_below(path, child, files);
    } else {
      files.emplace_back(path, child);
    }
  }
}

}  // namespace

InodeRef SimFileSystem::find(std::string_view path) const {
  InodeRef inode = root_;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name.empty() || name == ".") continue;
    if (!inode->is_directory) return nullptr;
    const auto found = inode->entries.find(name);
    if (found == inode->entries.end()) return nullptr;
    inode = found->second;
  }
  return inode;
}

SimFileSystem::Place SimFileSystem::place(std::string_view path) const {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  const std::string_view parent =
      slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
  const InodeRef directory = find(parent);
  if (directory == nullptr || !directory->is_directory) return {};
  return {directory.get(), slash == std::string_view::npos ? path : path.substr(slash + 1)};
}

void SimFileSystem::change(Inode& directory, EntryChange change) {
  apply_change(directory.entries, change);
  directory.changes.push_back(std::move(change));
}

std::int64_t SimFileSystem::open(std::string_view path, bool create, InodeRef& inode) {
  inode = find(path);
  if (inode != nullptr) return inode->is_directory ? -EISDIR : 0;
  const Place at = place(path);
  if (!create || at.directory == nullptr) return -ENOENT;
  inode = std::make_shared<Inode>();
  change(*at.directory, {EntryChange::Kind::set, std::string(at.name), {}, inode});
  return 0;
}

std::int64_t SimFileSystem::read(const Inode& file, std::uint64_t file_pos,
                                 MutableBytes block) const {
  if (file_pos >= file.bytes.size()) return 0;
  const std::size_t size = std::min<std::size_t>(block.size(), file.bytes.size() - file_pos);
  std::memcpy(block.data(), file.bytes.data() + file_pos, size);
  return static_cast<std::int64_t>(size);
}

std::int64_t SimFileSystem::write(Inode& file, std::uint64_t file_pos, Bytes block, bool durable) {
  const std::uint64_t end = file_pos + block.size();
  if (end > file.bytes.size() && !has_room_for(end - file.bytes.size())) return -ENOSPC;
  put(file.bytes, file_pos, block);
  file.unsynced.push_back({file_pos, {block.begin(), block.end()}, false, durable});
  // Of this write alone: what came before it in other places stays as it was.
  if (durable) put(file.durable, file_pos, block);
  if (durable && file.unsynced.size() == 1) {
    file.unsynced.clear();
    ++file.synced_count;
  }
  return static_cast<std::int64_t>(block.size());
}

std::int64_t SimFileSystem::allocate(Inode& file, std::uint64_t size_bytes_min) {
  if (size_bytes_min <= file.bytes.size()) return 0;
  if (!has_room_for(size_bytes_min - file.bytes.size())) return -ENOSPC;
  return truncate(file, size_bytes_min);
}

std::int64_t SimFileSystem::truncate(Inode& file, std::uint64_t size_bytes) {
  file.bytes.resize(size_bytes);
  file.unsynced.push_back({size_bytes, {}, true});
  return 0;
}

std::int64_t SimFileSystem::sync(Inode& file, std::uint64_t covered_count) {
  if (covered_count <= file.synced_count) return 0;
  const auto count = static_cast<std::ptrdiff_t>(covered_count - file.synced_count);
  for (auto i = file.unsynced.begin(); i != file.unsynced.begin() + count; ++i) {
    apply_write(file.durable, *i);
  }
  file.unsynced.erase(file.unsynced.begin(), file.unsynced.begin() + count);
  file.synced_count = covered_count;
  return 0;
}

std::int64_t SimFileSystem::remove(std::string_view path) {
  const Place at = place(path);
  if (at.directory == nullptr) return 0;
  const auto found = at.directory->entries.find(at.name);
  if (found == at.directory->entries.end()) return 0;
  if (found->second->is_directory) return -EISDIR;
  change(*at.directory, {EntryChange::Kind::erase, std::string(at.name), {}, nullptr});
  return 0;
}

std::int64_t SimFileSystem::rename(std::string_view from, std::string_view to) {
  const Place source = place(from);
  const Place target = place(to);
  if (source.directory == nullptr || target.directory == nullptr) return -ENOENT;
  const auto found = source.directory->entries.find(source.name);
  if (found == source.directory->entries.end()) return -ENOENT;
  const InodeRef inode = found->second;
  if (source.directory == target.directory) {
    change(*source.directory, {EntryChange::Kind::rename, std::string(source.name),
                               std::string(target.name), inode});
    return 0;
  }
  change(*target.directory, {EntryChange::Kind::set, std::string(target.name), {}, inode});
  change(*source.directory, {EntryChange::Kind::erase, std::string(source.name), {}, nullptr});
  return 0;
}

std::int64_t SimFileSystem::make_directory(std::string_view path) {
  if (const InodeRef there = find(path); there != nullptr) {
    return there->is_directory ? 0 : -EEXIST;
  }
  const Place at = place(path);
  if (at.directory == nullptr) return -ENOENT;
  const auto inode = std::make_shared<Inode>();
  inode->is_directory = true;
  change(*at.directory, {EntryChange::Kind::set, std::string(at.name), {}, inode});
  return 0;
}

std::int64_t SimFileSystem::remove_directory(std::string_view path) {
  const InodeRef inode = find(path);
  if (inode == nullptr) return 0;
  if (!inode->is_directory) return -ENOTDIR;
  if (!inode->entries.empty()) return -ENOTEMPTY;
  const Place at = place(path);
  change(*at.directory, {EntryChange::Kind::erase, std::string(at.name), {}, nullptr});
  return 0;
}

std::int64_t SimFileSystem::sync_directory(std::string_view path, std::uint64_t covered_count) {
  const InodeRef inode = find(path);
  if (inode == nullptr) return -ENOENT;
  if (!inode->is_directory) return -ENOTDIR;
  if (plants.directory_sync_does_nothing) return 0;
  if (covered_count <= inode->synced_changes) return 0;
  const auto count = static_cast<std::ptrdiff_t>(covered_count - inode->synced_changes);
  for (auto i = inode->changes.begin(); i != inode->changes.begin() + count; ++i) {
    apply_change(inode->durable_entries, *i);
  }
  inode->changes.erase(inode->changes.begin(), inode->changes.begin() + count);
  inode->synced_changes = covered_count;
  return 0;
}

Result<std::vector<io::DirEntry>> SimFileSystem::list(std::string_view directory) const {
  const InodeRef inode = find(directory);
  if (inode == nullptr || !inode->is_directory) return fail(Errc::not_found);
  std::vector<io::DirEntry> entries;
  for (const auto& [name, child] : inode->entries) {
    entries.push_back({name, child->is_directory, child->bytes.size()});
  }
  return entries;
}

std::vector<std::pair<std::string, InodeRef>> SimFileSystem::files(std::string_view path) const {
  std::vector<std::pair<std::string, InodeRef>> found;
  if (const InodeRef inode = find(path); inode != nullptr && inode->is_directory) {
    files_below(std::string(path), inode, found);
  }
  return found;
}

std::uint64_t SimFileSystem::used_bytes() const { return size_below(*root_); }

bool SimFileSystem::has_room_for(std::uint64_t bytes) const {
  // Adding up what is there is not for every write on a disk without limit.
  return capacity_bytes_ >= (std::uint64_t{1} << 40) || used_bytes() + bytes <= capacity_bytes_;
}

void SimFileSystem::keep_sectors(std::vector<std::byte>& image, const UnsyncedWrite& write,
                                 bool garbage, bool mostly_whole) {
  if (write.durable) return put(image, write.file_pos, write.bytes);
  // Of a row that is kept in order, one write in sixteen is torn nevertheless.
  const bool whole = mostly_whole && !prng_.chance(1, 16);
  // 0: nothing of it, 1: all of it, else by the sector.
  const std::uint64_t all = whole ? 1 : prng_.below(4);
  if (write.truncates) {
    if ((all & 1) != 0) image.resize(write.file_pos);
    return;
  }
  if (all == 0) return;
  if (all == 1) return put(image, write.file_pos, write.bytes);
  const Bytes bytes = write.bytes;
  for (std::size_t at = 0; at < bytes.size(); at += sector_bytes) {
    const Bytes sector = bytes.subspan(at, std::min(sector_bytes, bytes.size() - at));
    const std::uint64_t fate = prng_.below(64);
    if (garbage && fate == 0) {
      std::vector<std::byte> noise(sector.size());
      for (std::byte& b : noise) b = static_cast<std::byte>(prng_.next());
      put(image, write.file_pos + at, noise);
    } else if (fate < 36) {
      put(image, write.file_pos + at, sector);
    }
  }
}

void SimFileSystem::write_torn(Inode& file, std::uint64_t file_pos, Bytes block, bool garbage) {
  const UnsyncedWrite write{file_pos, {block.begin(), block.end()}};
  const std::vector<std::byte> before = file.bytes;
  keep_sectors(file.bytes, write, garbage);
  // Whatever got there is not durable: the changed range becomes one more unsynced write.
  const std::uint64_t end = std::min<std::uint64_t>(file_pos + block.size(), file.bytes.size());
  if (end <= file_pos || file.bytes == before) return;
  const auto first = file.bytes.begin() + static_cast<std::ptrdiff_t>(file_pos);
  const auto last = file.bytes.begin() + static_cast<std::ptrdiff_t>(end);
  file.unsynced.push_back({file_pos, {first, last}});
}

void SimFileSystem::fail_sync(Inode& file, std::uint64_t covered_count) {
  if (covered_count <= file.synced_count) return;
  const auto count = static_cast<std::ptrdiff_t>(covered_count - file.synced_count);
  std::vector<std::byte> image = file.durable;
  for (auto i = file.unsynced.begin(); i != file.unsynced.begin() + count; ++i) {
    keep_sectors(image, *i, false);
  }
  file.durable = image;
  file.unsynced.erase(file.unsynced.begin(), file.unsynced.begin() + count);
  file.synced_count = covered_count;
  file.bytes = image;
  for (const UnsyncedWrite& write : file.unsynced) apply_write(file.bytes, write);
}

void SimFileSystem::power_cut_file(Inode& file, bool garbage) {
  if (file.unsynced.empty()) {
    file.bytes = file.durable;
    return;
  }
  // A cache that writes back in order leaves the first so many; others leave any.
  const bool in_order = prng_.chance(1, 2);
  const std::uint64_t kept = in_order ? prng_.below(file.unsynced.size() + 1) : UINT64_MAX;
  for (std::size_t i = 0; i < file.unsynced.size(); ++i) {
    const UnsyncedWrite& write = file.unsynced[i];
    if (i < kept || write.durable) keep_sectors(file.durable, write, garbage, in_order);
  }
  file.synced_count += file.unsynced.size();
  file.unsynced.clear();
  file.bytes = file.durable;
}

void SimFileSystem::power_cut_directory(Inode& directory, bool garbage) {
  // A journaling file system keeps a prefix of the changes; the rules promise not even that.
  const bool prefix = prng_.chance(1, 2);
  const std::uint64_t kept = prng_.below(directory.changes.size() + 1);
  for (std::size_t i = 0; i < directory.changes.size(); ++i) {
    if (prefix ? i < kept : prng_.chance(1, 2)) {
      apply_change(directory.durable_entries, directory.changes[i]);
    }
  }
  directory.synced_changes += directory.changes.size();
  directory.changes.clear();
  directory.entries = directory.durable_entries;
  for (const auto& [name, child] : directory.entries) {
    if (child->is_directory) {
      power_cut_directory(*child, garbage);
    } else {
      power_cut_file(*child, garbage);
    }
  }
}

void SimFileSystem::power_cut(bool garbage) { power_cut_directory(*root_, garbage); }

bool SimFileSystem::rot(Inode& file) {
  if (file.bytes.empty()) return false;
  const std::uint64_t at = prng_.below(file.bytes.size());
  const auto bit = static_cast<std::byte>(1U << prng_.below(8));
  file.bytes[at] ^= bit;
  if (at < file.durable.size()) file.durable[at] ^= bit;
  return true;
}

}  // namespace tailrace::sim
