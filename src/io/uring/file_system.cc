#include "io/uring/file_system.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/aligned.h"

namespace tailrace::io {
namespace {

struct KnownType {
  std::uint32_t magic;
  const char* name;
  Durability durability;
};
// statfs(2) f_type. ext2 and ext3 share the number of ext4.
constexpr KnownType known_types[] = {
    {0xef53, "ext4", Durability::durable},
    {0x58465342, "xfs", Durability::durable},
    {0x9123683e, "btrfs", Durability::durable},
    {0x2fc12fc1, "zfs", Durability::durable},
    {0xf2f52010, "f2fs", Durability::durable},
    {0xca451a4e, "bcachefs", Durability::durable},
    {0x01021994, "tmpfs", Durability::none},
    {0x858458f6, "ramfs", Durability::none},
    {0x794c7630, "overlay", Durability::trial},
    {0x6969, "nfs", Durability::unknown},
    {0xff534d42, "cifs", Durability::unknown},
    {0xfe534d42, "smb2", Durability::unknown},
    {0x65735546, "fuse", Durability::unknown},
    {0x01021997, "9p", Durability::unknown},
    {0x00c36400, "ceph", Durability::unknown},
};

void classify(std::uint32_t magic, FileSystemReport& report) {
  for (const KnownType& known : known_types) {
    if (known.magic != magic) continue;
    report.type = known.name;
    report.durability = known.durability;
    // A FUSE daemon gets no FSYNC for RWF_DSYNC (3000 writes, none seen); the other network
    // protocols are not on the list of those where it was checked.
    report.dsync_works = known.durability != Durability::unknown;
    return;
  }
  report.type = fmt::format("{:#x}", magic);
  report.durability = Durability::unknown;
  report.dsync_works = false;
}

bool is_for_space(int error_number) { return error_number == ENOSPC || error_number == EDQUOT; }

void try_direct(int directory, FileSystemReport& report) {
  const std::string name = fmt::format(".tailrace-probe-{}", getpid());
  const int fd = ::openat(directory, name.c_str(),
                          O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) {
    report.direct_errno = errno;
  } else {
    AlignedBuffer block(disk_block_bytes);
    const ssize_t written = ::pwrite(fd, block.data(), block.size(), 0);
    report.direct_works = written == static_cast<ssize_t>(block.size());
    if (!report.direct_works) report.direct_errno = written < 0 ? errno : EIO;
#ifdef STATX_DIOALIGN
    struct statx status{};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
        (status.stx_mask & STATX_DIOALIGN) != 0) {
      report.direct_memory_align = status.stx_dio_mem_align;
      report.direct_offset_align = status.stx_dio_offset_align;
    }
#endif
    ::close(fd);
  }
  // A full disk says nothing of O_DIRECT: a node must start there, so that records can be deleted.
  if (!report.direct_works && is_for_space(report.direct_errno)) {
    report.is_full = true;
    report.direct_works = true;
  }
  // Some file systems refuse O_DIRECT only after having made the file.
  ::unlinkat(directory, name.c_str(), 0);
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const std::size_t end = options.find(',');
    if (options.substr(0, end) == wanted) return true;
    options.remove_prefix(end == std::string_view::npos ? options.size() : end + 1);
  }
  return false;
}

void look_at_mount(int directory, FileSystemReport& report) {
  struct stat status{};
  std::ifstream file("/proc/self/mountinfo");
  if (::fstat(directory, &status) != 0 || !file) return;
  std::ostringstream text;
  text << file.rdbuf();
  report.discards =
      mounted_with_discard(text.view(), major(status.st_dev), minor(status.st_dev));
}

const char* to_string(Durability durability) {
  switch (durability) {
    case Durability::durable: return "durable";
    case Durability::trial: return "for trials only";
    case Durability::unknown: return "durability unknown";
    case Durability::none: return "not durable";
  }
  return "?";
}

}  // namespace

Result<FileSystemReport> examine_file_system(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return fail(Errc::not_found, ENOENT);
    return fail(Errc::io, static_cast<std::uint16_t>(errno));
  }
  struct statfs status{};
  if (::fstatfs(fd, &status) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(Errc::io, static_cast<std::uint16_t>(error));
  }
  FileSystemReport report{.directory = directory};
  classify(static_cast<std::uint32_t>(status.f_type), report);
  try_direct(fd, report);
  look_at_mount(fd, report);
  ::close(fd);
  return report;
}

bool mounted_with_discard(std::string_view mountinfo, unsigned major, unsigned minor) {
  const std::string device = fmt::format("{}:{}", major, minor);
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    // id, parent, device, root, mount point, options, optional fields, "-", type, source, options
    std::istringstream words(line);
    std::string id, parent, of, root, point, options, word, type, source, more;
    words >> id >> parent >> of >> root >> point >> options;
    if (of != device) continue;
    while (words >> word && word != "-") {}
    words >> type >> source >> more;
    if (has_option(options, "discard") || has_option(more, "discard")) return true;
  }
  return false;
}

std::string FileSystemReport::description() const {
  std::string text = fmt::format("{}: {}, {}, O_DIRECT {}", directory, type, to_string(durability),
                                 is_full ? "untried, no space left"
                                         : direct_works ? "works" : "does not work");
  if (!direct_works) text += fmt::format(" ({})", std::strerror(direct_errno));
  if (direct_offset_align != 0) {
    text += fmt::format(", aligned to {} bytes in the file and {} in memory", direct_offset_align,
                        direct_memory_align);
  }
  return text;
}

StorageVerdict judge_storage(const FileSystemReport& report, const StorageWish& wish) {
  StorageVerdict verdict;
  const auto say = [&](bool fatal, std::string line) {
    if (fatal) verdict.allowed = false;
    verdict.lines.push_back(std::move(line));
  };
  if (wish.direct && !report.direct_works) {
    say(true, fmt::format("{}: {} refuses O_DIRECT ({}): use a directory on ext4 or XFS, or set "
                          "storage.direct = false",
                          report.directory, report.type, std::strerror(report.direct_errno)));
  }
  if (wish.direct && report.direct_offset_align > disk_block_bytes) {
    say(true, fmt::format("{}: O_DIRECT needs {}-byte blocks here, we write 4096: set "
                          "storage.direct = false",
                          report.directory, report.direct_offset_align));
  }
  switch (report.durability) {
    case Durability::durable:
      break;   // Nothing to say.
    case Durability::none:
      say(wish.direct, fmt::format("{}: {} is memory: everything is lost with the machine; for "
                                   "tests set storage.direct = false, else use ext4 or XFS",
                                   report.directory, report.type));
      break;
    case Durability::trial:
      say(false, fmt::format("{}: {} is the writable layer of a container: data goes with it; "
                             "mount a volume there",
                             report.directory, report.type));
      break;
    case Durability::unknown:
      say(false, fmt::format("{}: whether a sync on {} reaches a disk is up to its server or "
                             "daemon: use a local ext4 or XFS for data that matters",
                             report.directory, report.type));
      break;
  }
  if (report.discards) {
    say(false, fmt::format("{}: mounted with `discard`: a commit may wait for the trimming of "
                           "whole removed segments; mount it without, and run fstrim now and then",
                           report.directory));
  }
  if (wish.dsync && !report.dsync_works) {
    say(true, fmt::format("{}: on {} a write with RWF_DSYNC may not be durable: set "
                          "storage.sync = \"fsync\"",
                          report.directory, report.type));
  }
  return verdict;
}

FileLimit raise_file_limit(std::uint64_t needed) {
  rlimit limit{};
  FileLimit result;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    result.line = fmt::format("the limit of open files is unknown: {}", std::strerror(errno));
    return result;
  }
  result.before = limit.rlim_cur;
  result.hard = limit.rlim_max;
  result.now = result.before;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) result.now = limit.rlim_max;
  }
  result.enough = result.now >= needed;
  result.line =
      result.enough
          ? fmt::format("open files: at most {} ({} before), {} needed", result.now, result.before,
                        needed)
          : fmt::format("open files: at most {}, but {} may be needed: raise ulimit -n (systemd: "
                        "LimitNOFILE={}), or lower network.connections_max or "
                        "limits.open_files_max",
                        result.now, needed, needed);
  return result;
}

}  // namespace tailrace::io
