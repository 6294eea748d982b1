#include "runtime/dump_command.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "control/dump_metadata.h"
#include "log/checkpoint.h"
#include "log/dump_segment.h"
#include "log/dump_wal.h"
#include "log/manifest.h"
#include "log/segment.h"
#include "log/wal_format.h"
#include "runtime/data_directory.h"

namespace tailrace::runtime {
namespace {

enum class FileKind { lock, meta, segment, index, wal, checkpoint, manifest, metadata, unknown };

// A file as bytes, read where it is touched.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    good_ = fd >= 0 && fstat(fd, &status) == 0;
    size_ = good_ ? static_cast<std::size_t>(status.st_size) : 0;
    if (size_ > 0) {
      memory_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
      good_ = memory_ != MAP_FAILED;
      if (!good_) size_ = 0;
    }
    error_number_ = errno;
    if (fd >= 0) close(fd);
  }
  ~MappedFile() {
    if (size_ > 0) munmap(memory_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  bool good() const { return good_; }
  int error_number() const { return error_number_; }
  Bytes bytes() const { return {static_cast<const std::byte*>(memory_), size_}; }

 private:
  bool good_ = false;
  int error_number_ = 0;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

// A short file of anybody's is "truncated", too: only its name can make it ours.
bool is_damage_of(const Error& error) {
  return error.code != Errc::malformed && error.code != Errc::truncated;
}

// By name where names are fixed, else by content: a copy may be called anything.
FileKind kind_of(const std::string& path, Bytes bytes) {
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  if (name == directory_lock_file) return FileKind::lock;
  if (name == directory_meta_file) return FileKind::meta;
  if (path.find("metadata/") != std::string::npos) return FileKind::metadata;
  if (name.ends_with(".log")) return FileKind::segment;
  if (name.ends_with(".index")) return FileKind::index;
  if (name.ends_with(".wal")) return FileKind::wal;
  if (name.find(".checkpoint-") != std::string_view::npos) return FileKind::checkpoint;
  if (name == log::manifest_path.substr(log::wal_directory.size() + 1)) return FileKind::manifest;
  const auto wal = log::parse_wal_format(bytes);
  if (wal || is_damage_of(wal.error())) return FileKind::wal;
  const auto checkpoint = log::decode_checkpoint(bytes);
  if (checkpoint || is_damage_of(checkpoint.error())) return FileKind::checkpoint;
  const auto manifest = log::parse_manifest(bytes);
  if (manifest || is_damage_of(manifest.error())) return FileKind::manifest;
  const auto meta = parse_directory_meta(bytes);
  if (meta || is_damage_of(meta.error())) return FileKind::meta;
  return FileKind::unknown;
}

// A name alone proves nothing in a foreign directory: /etc has files called *.log, too.
bool is_certainly_ours(const std::string& path, Bytes bytes) {
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  constexpr std::size_t segment_digits = 20;
  const std::string_view stem = name.substr(0, name.find('.'));
  if (stem.size() == segment_digits && stem.find_first_not_of("0123456789") == stem.npos) {
    return true;
  }
  switch (kind_of("/x", bytes)) {
    case FileKind::wal:
    case FileKind::checkpoint:
    case FileKind::manifest:
    case FileKind::meta: return !bytes.empty();
    case FileKind::lock:
    case FileKind::metadata:
    case FileKind::segment:
    case FileKind::index:
    case FileKind::unknown: break;
  }
  return false;
}

bool dump_manifest(Bytes bytes, const LineSink& sink) {
  const auto manifest = log::parse_manifest(bytes);
  if (!manifest) {
    sink(fmt::format("PROBLEM: this manifest is {}", to_string(manifest.error().code)));
    return false;
  }
  sink(fmt::format("manifest: generation {} of the WALs is in force, {} of {} bytes",
                   manifest->generation, manifest->core_count, manifest->ring_bytes));
  return true;
}

bool dump_meta(Bytes bytes, const LineSink& sink) {
  const Result<DirectoryMeta> meta = parse_directory_meta(bytes);
  if (!meta) {
    sink(fmt::format("PROBLEM: this meta file is {}", to_string(meta.error().code)));
    return false;
  }
  sink(fmt::format("data directory {} of node {}, cluster {}, format version {}",
                   to_string(meta->directory_id), meta->node_id, to_string(meta->cluster_id),
                   DirectoryMeta::version_now));
  return true;
}

// Batches and index entries only when asked for; what is wrong always.
LineSink only_problems(const LineSink& sink, std::string& last) {
  return [&sink, &last](std::string_view line) {
    if (line.find("PROBLEM") != std::string_view::npos) {
      sink(last);
      sink(line);
    }
    last = line;
  };
}

bool dump_segment(const std::string& path, Bytes bytes, const DumpRequest& request,
                  const LineSink& sink) {
  std::string last;
  const LineSink lines = request.with_records ? sink : only_problems(sink, last);
  const log::SegmentName name = log::segment_name_of_path(path);
  log::SegmentDump dump(name.base_offset, lines, name.generation > 0);
  dump.feed(bytes);
  dump.finish();
  if (!request.with_records) sink(last);  // The summary.
  return dump.problem_count() == 0;
}

bool dump_index(Bytes bytes, const DumpRequest& request, const LineSink& sink) {
  bool first = true;
  return log::dump_index(bytes, [&](std::string_view line) {
    if (first || request.with_records) sink(line);
    first = false;
  }) == 0;
}

bool dump_file(const std::string& path, const DumpRequest& request, const LineSink& sink) {
  const MappedFile file(path);
  sink(fmt::format("{} ({} bytes)", path, file.bytes().size()));
  if (!file.good()) {
    sink(fmt::format("PROBLEM: cannot be read: {}", std::strerror(file.error_number())));
    return false;
  }
  const LineSink indented = [&sink](std::string_view line) { sink(fmt::format("  {}", line)); };
  switch (kind_of(path, file.bytes())) {
    case FileKind::lock: return true;
    case FileKind::meta: return dump_meta(file.bytes(), indented);
    case FileKind::segment: return dump_segment(path, file.bytes(), request, indented);
    case FileKind::index: return dump_index(file.bytes(), request, indented);
    case FileKind::wal: return log::dump_wal(file.bytes(), request.with_records, indented) == 0;
    case FileKind::checkpoint: return log::dump_checkpoint(file.bytes(), indented) == 0;
    case FileKind::manifest: return dump_manifest(file.bytes(), indented);
    case FileKind::metadata: return control::dump_metadata(file.bytes(), indented);
    case FileKind::unknown: break;
  }
  indented("PROBLEM: not a file of a tailrace directory, or damaged at its very front");
  return false;
}

// Files below `path`, by name. False: a directory cannot be read.
bool list_files(const std::string& path, std::vector<std::string>& files, const LineSink& sink) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) {
    sink(fmt::format("PROBLEM: {}: {}", path, std::strerror(errno)));
    return false;
  }
  bool good = true;
  std::vector<std::string> directories;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || name == "lost+found") continue;
    const std::string below = fmt::format("{}/{}", path, name);
    struct stat status {};
    const bool is_directory = stat(below.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    (is_directory ? directories : files).push_back(below);
  }
  closedir(directory);
  for (const std::string& below : directories) good &= list_files(below, files, sink);
  std::sort(files.begin(), files.end());
  return good;
}

enum class Liveness { foreign, at_rest, live };

// The first files of a directory and of those in it, no more than `files` has room for.
void find_some_files(const std::string& path, int levels, std::size_t count_max,
                     std::vector<std::string>& files) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return;
  std::vector<std::string> directories;
  std::size_t seen = 0;
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (++seen > count_max || files.size() >= count_max) break;
    const std::string below = fmt::format("{}/{}", path, name);
    struct stat status {};
    if (lstat(below.c_str(), &status) != 0) continue;
    if (S_ISREG(status.st_mode)) files.push_back(below);
    if (S_ISDIR(status.st_mode)) directories.push_back(below);
  }
  closedir(directory);
  if (levels == 0) return;
  for (const std::string& below : directories) {
    find_some_files(below, levels - 1, count_max, files);
  }
}

// A data directory, or a folder or copy of some of its files: something in it must be ours. Only
// the first files are looked at, and not deep: somebody may have named "/".
bool is_ours(const std::string& path) {
  const auto has = [&path](std::string_view name) {
    return access(fmt::format("{}/{}", path, name).c_str(), F_OK) == 0;
  };
  if (has(directory_meta_file) || has(log::wal_directory) || has(log::manifest_path)) return true;
  constexpr int levels = 2;
  constexpr std::size_t files_max = 100;
  std::vector<std::string> files;
  find_some_files(path, levels, files_max, files);
  for (const std::string& file : files) {
    const MappedFile mapped(file);
    if (mapped.good() && is_certainly_ours(file, mapped.bytes())) return true;
  }
  return false;
}

Liveness liveness_of(const std::string& path) {
  if (!is_ours(path)) return Liveness::foreign;
  const int fd = open(fmt::format("{}/{}", path, directory_lock_file).c_str(),
                      O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Liveness::at_rest;
  const bool free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  close(fd);
  return free ? Liveness::at_rest : Liveness::live;
}

}  // namespace

bool dump_files(const DumpRequest& request, const LineSink& sink) {
  std::string path = request.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    sink(fmt::format("PROBLEM: {}: {}", path, std::strerror(errno)));
    return false;
  }
  if (!S_ISDIR(status.st_mode)) return dump_file(path, request, sink);
  const Liveness liveness = liveness_of(path);
  if (liveness == Liveness::foreign) {
    sink(fmt::format("PROBLEM: {}: not a tailrace data directory: neither a file \"{}\" nor files "
                     "of a log in it", path, directory_meta_file));
    return false;
  }
  if (liveness == Liveness::live) {
    sink("NOTE: a running broker uses this directory: files change while they are read, and what "
         "looks like damage at their ends may be none");
  }
  std::vector<std::string> files;
  bool good = list_files(path, files, sink);
  if (files.empty()) sink(fmt::format("{}: no files", path));
  for (const std::string& file : files) good &= dump_file(file, request, sink);
  sink(good ? "no problems found" : "PROBLEMS were found; see above");
  return good;
}

bool dump_files(const DumpRequest& request) {
  const bool good = dump_files(request, [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
  });
  return std::fflush(stdout) == 0 && good;
}

}  // namespace tailrace::runtime
