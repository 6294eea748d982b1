#include "runtime/data_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/crc32c.h"
#include "runtime/process_mark.h"

namespace tailrace::runtime {
namespace {

// Little-endian, as all our own formats.
struct MetaOnDisk {
  char magic[8];
  std::uint32_t version;
  std::int32_t node_id;
  std::array<std::uint8_t, 16> directory_id;
  std::array<std::uint8_t, 16> cluster_id;
  std::uint32_t is_complete;
  std::uint32_t crc;  // of all before it
};
static_assert(sizeof(MetaOnDisk) == 56);
constexpr char magic[9] = "TAILRACE";
constexpr std::size_t meta_bytes_max = 4096;

// How long the writes of a killed process may go on.
constexpr int lock_tries_max = 150;
constexpr useconds_t lock_try_interval_us = 20'000;

std::string system_error(const std::string& path, std::string_view doing) {
  return fmt::format("{}: {}: {}", path, doing, std::strerror(errno));
}

// Creates `path` and what is missing above it.
bool make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0755) != 0 && errno != EEXIST) return false;
    if (slash == std::string::npos) return true;
  }
}

// Names that may lie in a directory that counts as empty: of the file system, and of a start that
// was cut off before the meta file was there.
bool counts_as_nothing(std::string_view name) {
  return name == "." || name == ".." || name == "lost+found" || name == directory_lock_file ||
         name == "tailrace.new";
}

// The first file that makes `path` not empty; empty if there is none. False: cannot be read.
bool first_entry(const std::string& path, std::string& name) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return false;
  name.clear();
  while (const dirent* entry = readdir(directory)) {
    if (counts_as_nothing(entry->d_name)) continue;
    name = entry->d_name;
    break;
  }
  closedir(directory);
  return true;
}

bool sync_directory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool good = fsync(fd) == 0;
  close(fd);
  return good;
}

bool write_synced(const std::string& path, Bytes bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool good = write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
                    fsync(fd) == 0;
  close(fd);
  return good;
}

std::string what_is_wrong(const std::string& path, Error error) {
  const std::string file = path + "/" + directory_meta_file;
  if (error.code == Errc::unsupported) {
    return fmt::format("{}: format version {}, this program knows up to {}: start it with the "
                       "program that wrote it, or a newer one", file, error.detail,
                       DirectoryMeta::version_now);
  }
  if (error.code == Errc::malformed) {
    return fmt::format("{}: not a tailrace data directory; name another, or an empty one", file);
  }
  return fmt::format("{}: damaged ({}); restore this file (56 bytes) from a backup", file,
                     to_string(error.code));
}

}  // namespace

std::vector<std::byte> encode_directory_meta(const DirectoryMeta& meta) {
  MetaOnDisk disk{.version = DirectoryMeta::version_now, .node_id = meta.node_id,
                  .directory_id = meta.directory_id.bytes, .cluster_id = meta.cluster_id.bytes,
                  .is_complete = meta.is_complete ? 1U : 0U};
  std::memcpy(disk.magic, magic, sizeof disk.magic);
  std::vector<std::byte> bytes(sizeof disk);
  std::memcpy(bytes.data(), &disk, sizeof disk);
  disk.crc = crc32c(Bytes(bytes).first(offsetof(MetaOnDisk, crc)));
  std::memcpy(bytes.data(), &disk, sizeof disk);
  return bytes;
}

Result<DirectoryMeta> parse_directory_meta(Bytes bytes) {
  MetaOnDisk disk;
  const std::size_t known = offsetof(MetaOnDisk, node_id);
  if (bytes.size() < known) return fail(bytes.empty() ? Errc::truncated : Errc::malformed);
  std::memcpy(&disk, bytes.data(), known);
  if (std::memcmp(disk.magic, magic, sizeof disk.magic) != 0) return fail(Errc::malformed);
  if (disk.version > DirectoryMeta::version_now) {
    return fail(Errc::unsupported, static_cast<std::uint16_t>(disk.version));
  }
  if (bytes.size() < sizeof disk) return fail(Errc::truncated);
  std::memcpy(&disk, bytes.data(), sizeof disk);
  if (crc32c(bytes.first(offsetof(MetaOnDisk, crc))) != disk.crc) return fail(Errc::corrupt);
  return DirectoryMeta{.directory_id = {disk.directory_id}, .cluster_id = {disk.cluster_id},
                       .node_id = disk.node_id, .is_complete = disk.is_complete != 0};
}

std::unique_ptr<DataDirectory> DataDirectory::open(const std::string& path, Prng& prng,
                                                   std::string& why) {
  if (path.empty()) {
    why = "no data directory was named";
    return nullptr;
  }
  if (!make_directories(path)) {
    why = system_error(path, "cannot be made");
    return nullptr;
  }
  std::unique_ptr<DataDirectory> directory(new DataDirectory);
  char* absolute = realpath(path.c_str(), nullptr);
  directory->path_ = absolute != nullptr ? absolute : path;
  std::free(absolute);

  std::string found;
  if (!first_entry(directory->path_, found)) {
    why = system_error(path, "cannot be read");
    return nullptr;
  }
  const std::string meta_path = directory->path_ + "/" + directory_meta_file;
  const auto has_meta = [&] { return access(meta_path.c_str(), F_OK) == 0; };
  if (!found.empty() && !has_meta()) {
    why = fmt::format("{}: holds \"{}\" and no file \"{}\", so it is not a data directory of "
                      "tailrace; name another, or an empty one", path, found,
                      directory_meta_file);
    return nullptr;
  }
  if (!directory->lock(why)) return nullptr;
  // Looked at anew: who had the lock may have formatted the directory meanwhile.
  const bool good = has_meta() ? directory->read_meta(why) : directory->format(prng, why);
  return good ? std::move(directory) : nullptr;
}

DataDirectory::~DataDirectory() {
  // The file stays: removing it would let two processes lock two files of the same name.
  if (lock_fd_ >= 0) close(lock_fd_);
}

void DataDirectory::release() {
  if (lock_fd_ >= 0) flock(lock_fd_, LOCK_UN);
}

bool DataDirectory::lock(std::string& why) {
  const std::string path = path_ + "/" + directory_lock_file;
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd_ < 0) {
    why = system_error(path, "cannot be opened");
    return false;
  }
  if (!wait_for_lock(why)) return false;
  // Only for who finds it locked; the lock is what counts.
  const std::string owner = to_text(own_process());
  const bool written = ftruncate(lock_fd_, 0) == 0 &&
                       pwrite(lock_fd_, owner.data(), owner.size(), 0) > 0;
  if (!written) why = system_error(path, "cannot be written");
  return written;
}

// Waits only for a process that has ended: its last writes are then on their way to the disk.
bool DataDirectory::wait_for_lock(std::string& why) {
  for (int tries = 1; flock(lock_fd_, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK) {
      why = system_error(path_ + "/" + directory_lock_file, "cannot be locked");
      return false;
    }
    char text[64] = {};
    const bool is_told = pread(lock_fd_, text, sizeof text - 1, 0) > 0;
    const ProcessMark owner = parse_process(text);
    if (is_told && has_ended(owner) && tries < lock_tries_max) {
      usleep(lock_try_interval_us);
      continue;
    }
    if (!is_told) {
      why = fmt::format("{}: in use by another process", path_);
    } else if (has_ended(owner)) {
      why = fmt::format("{}: process {}, which had it, has ended, but the system still writes for "
                        "it; start again in a moment", path_, owner.pid);
    } else {
      why = fmt::format("{}: in use by process {}; stop it first, or name another directory",
                        path_, owner.pid);
    }
    return false;
  }
  return true;
}

bool DataDirectory::read_meta(std::string& why) {
  const std::string path = path_ + "/" + directory_meta_file;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::byte bytes[meta_bytes_max];
  const ssize_t count = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
  if (count < 0) why = system_error(path, "cannot be read");
  if (fd >= 0) close(fd);
  if (count < 0) return false;
  const Result<DirectoryMeta> meta =
      parse_directory_meta({bytes, static_cast<std::size_t>(count)});
  if (!meta) {
    why = what_is_wrong(path_, meta.error());
    return false;
  }
  meta_ = *meta;
  return true;
}

bool DataDirectory::format(Prng& prng, std::string& why) {
  was_empty_ = true;
  meta_ = {.directory_id = random_uuid(prng), .cluster_id = random_uuid(prng), .node_id = 1};
  return write_meta(why);
}

bool DataDirectory::mark_complete(std::string& why) {
  if (meta_.is_complete) return true;
  meta_.is_complete = true;
  return write_meta(why);
}

bool DataDirectory::write_meta(std::string& why) {
  const std::string path = path_ + "/" + directory_meta_file;
  const std::string path_new = path + ".new";
  // Renamed only once it is whole on disk, so that a meta file is never half there.
  const bool good = write_synced(path_new, encode_directory_meta(meta_)) &&
                    rename(path_new.c_str(), path.c_str()) == 0 && sync_directory(path_) &&
                    sync_directory(path_ + "/..");
  if (!good) why = system_error(path, "cannot be written");
  return good;
}

}  // namespace tailrace::runtime
