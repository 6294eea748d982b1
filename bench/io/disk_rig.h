// What the disk benches share: a ring with its disk, waiting as the broker's cores wait, files that
// were filled with zeros once (every write hits written extents), percentiles of durations.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/aligned.h"
#include "base/assert.h"
#include "base/histogram.h"
#include "base/ops.h"
#include "io/uring/ring.h"
#include "io/uring/uring_disk.h"

namespace tailrace::bench {

inline Instant now_instant() { return io::Ring::monotonic_now(); }

inline std::int64_t process_cpu_ns() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return spent.tv_sec * 1'000'000'000 + spent.tv_nsec;
}

inline double to_us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "bench: %s\n", why.c_str());
  std::exit(1);
}

class DiskRig {
 public:
  explicit DiskRig(const std::string& directory) {
    std::string why;
    auto ring = io::Ring::create({}, why);
    if (!ring) give_up(why);
    ring_ = std::move(*ring);
    auto disk = io::UringDisk::create(*ring_, directory, {}, why);
    if (!disk) give_up(why);
    disk_ = std::move(*disk);
  }

  // Once, before the first operation: registered, so that writes need not map it each time.
  void register_memory(MutableBytes memory) {
    const std::array regions = {memory};
    ring_->register_memory(regions);
  }

  io::UringDisk& disk() { return *disk_; }
  // Sleeps in the ring, as a core with idle = "wait" does.
  void wait() { ring_->wait(now_instant() + milliseconds(100)); }

  // One operation, waited for; ends the program when it fails.
  std::int64_t run(const DiskOp& op) {
    TR_ASSERT(disk_->submit({&op, 1}) == 1);
    std::array<DiskDone, 1> done;
    while (disk_->poll(done) == 0) wait();
    if (done[0].result < 0) give_up("a disk operation failed: errno " +
                                    std::to_string(-done[0].result));
    return done[0].result;
  }

  // Opens `name`, `bytes` long and written all over.
  FileId zero_filled(std::string_view name, std::uint64_t bytes) {
    const auto file = static_cast<FileId>(
        run({.kind = DiskOpKind::open, .flags = open_create, .name = name}));
    AlignedBuffer zeros(std::size_t{1} << 20);
    for (std::uint64_t at = 0; at < bytes; at += zeros.size()) {
      run({.kind = DiskOpKind::write, .file = file, .file_pos = at, .block = zeros.bytes()});
    }
    run({.kind = DiskOpKind::sync, .file = file});
    return file;
  }

  // Gives `source` its completions and takes its operations. Returns how much there was.
  template <class Source, class Deliver>
  std::size_t turn(Source& source, Deliver deliver) {
    std::size_t work = 0;
    for (const DiskClass disk_class : {DiskClass::wal, DiskClass::segment, DiskClass::read,
                                       DiskClass::background}) {
      const std::span<const DiskOp> ops = source.ops(disk_class);
      if (ops.empty()) continue;
      const std::size_t count = disk_->submit(ops);
      take(source, disk_class, count);
      work += count;
    }
    std::array<DiskDone, 64> done;
    const std::size_t count = disk_->poll(done);
    for (std::size_t i = 0; i < count; ++i) deliver(done[i]);
    return work + count;
  }

 private:
  template <class Source>
  static void take(Source& source, DiskClass disk_class, std::size_t count) {
    if constexpr (requires { source.ops_taken(disk_class, count); }) {
      source.ops_taken(disk_class, count);
    } else {
      source.taken(disk_class, count);
    }
  }

  std::unique_ptr<io::Ring> ring_;
  std::unique_ptr<io::UringDisk> disk_;
};

// --name value pairs.
class Arguments {
 public:
  Arguments(int count, char** values) : count_(count), values_(values) {
    if (count % 2 == 0) give_up("options come as --name value");
  }
  std::string text(std::string_view name, const char* otherwise) const {
    for (int i = 1; i + 1 < count_; i += 2) {
      if (name == values_[i]) return values_[i + 1];
    }
    return otherwise;
  }
  std::int64_t number(std::string_view name, std::int64_t otherwise) const {
    const std::string found = text(name, "");
    return found.empty() ? otherwise : std::atoll(found.c_str());
  }

 private:
  int count_;
  char** values_;
};

}  // namespace tailrace::bench
