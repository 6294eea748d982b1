#include "runtime/wal_space.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace tailrace::runtime {
namespace {

// For checkpoints, the metadata log and what the file system needs for itself.
constexpr std::uint64_t other_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t MiB = 1 << 20;

struct Found {
  bool is_missing = false;
  std::optional<log::Manifest> manifest;  // none: missing or damaged
};

Found read_manifest(const std::string& directory) {
  const std::string path = fmt::format("{}/{}", directory, log::manifest_path);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {.is_missing = errno == ENOENT, .manifest = {}};
  std::array<std::byte, disk_block_bytes> block{};
  const ssize_t count = read(fd, block.data(), block.size());
  close(fd);
  if (count < 0) return {};
  const auto manifest = log::parse_manifest({block.data(), static_cast<std::size_t>(count)});
  return manifest ? Found{.manifest = *manifest} : Found{};
}

// A start makes the generation after the one in force; the first is 0.
std::uint64_t next_generation(const Found& found) {
  return found.manifest ? found.manifest->generation + 1 : 0;
}

std::uint64_t allocated_bytes(const std::string& path) {
  constexpr std::uint64_t stat_block_bytes = 512;
  struct stat status {};
  return stat(path.c_str(), &status) == 0
             ? static_cast<std::uint64_t>(status.st_blocks) * stat_block_bytes : 0;
}

}  // namespace

std::uint64_t wal_bytes_needed(const Profile& profile, const std::string& directory) {
  const Found found = read_manifest(directory);
  if (!found.manifest && !found.is_missing) return 0;  // The boot says what is wrong with it.
  const auto ring_bytes = static_cast<std::uint64_t>(profile.wal_bytes);
  const auto core_count = static_cast<std::uint32_t>(profile.cores);
  if (found.manifest && found.manifest->ring_bytes == ring_bytes &&
      found.manifest->core_count == core_count) {
    return 0;
  }
  std::uint64_t needed = 0;
  for (std::uint32_t core = 0; core < core_count; ++core) {
    const std::uint64_t file_bytes = ring_bytes + disk_block_bytes;
    const std::string path = fmt::format("{}/{}.wal", directory,
                                         log::wal_path(next_generation(found), core));
    needed += file_bytes - std::min(file_bytes, allocated_bytes(path));
  }
  return needed == 0 ? 0 : needed + other_bytes;
}

bool wal_space_suffices(const Profile& profile, const std::string& directory, std::string& why) {
  const std::uint64_t needed = wal_bytes_needed(profile, directory);
  if (needed == 0) return true;
  struct statvfs status {};
  if (statvfs(directory.c_str(), &status) != 0) return true;  // The writes will tell.
  const std::uint64_t usable = status.f_bavail * status.f_frsize;
  if (needed <= usable) return true;
  why = fmt::format("{}: found {} MiB free, needed: {} MiB for the write-ahead log, {} MiB for "
                    "each of {} cores ({}storage.wal_bytes); free some space, lower wal_bytes or "
                    "threads.cores, or name a directory on another disk",
                    directory, usable / MiB, (needed + MiB - 1) / MiB,
                    static_cast<std::uint64_t>(profile.wal_bytes) / MiB, profile.cores,
                    profile.place_of("wal_bytes"));
  return false;
}

void remove_unfinished_wals(const std::string& directory, bool may_format) {
  const Found found = read_manifest(directory);
  if (!found.manifest && !(found.is_missing && may_format)) return;
  const std::string prefix = fmt::format("{}-", next_generation(found));
  const std::string folder = fmt::format("{}/{}", directory, log::wal_directory);
  DIR* listing = opendir(folder.c_str());
  if (listing == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing)) {
    if (std::string_view(entry->d_name).starts_with(prefix)) names.emplace_back(entry->d_name);
  }
  closedir(listing);
  for (const std::string& name : names) unlink((folder + "/" + name).c_str());
}

}  // namespace tailrace::runtime
