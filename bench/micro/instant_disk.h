// A disk that does nothing, at once: what is left is the cost of the logic above it. A log is
// booted on a disk in memory and then works on this one; nothing written is ever read back.
#pragma once

#include <memory>
#include <vector>

#include "base/aligned.h"
#include "base/ring.h"
#include "log/boot.h"
#include "tests/support/fake_disk.h"

namespace tailrace::bench {

class InstantDisk {
 public:
  // Takes what `source` wants done and completes it: `deliver` takes a DiskDone. Returns how many.
  template <class Source, class Deliver>
  std::size_t run(Source& source, Deliver deliver) {
    done_.clear();
    for (const DiskClass disk_class : log::disk_classes) {
      const std::span<const DiskOp> ops = source.ops(disk_class);
      for (const DiskOp& op : ops) done_.push_back({.tag = op.tag, .result = result_of(op)});
      source.ops_taken(disk_class, ops.size());
    }
    for (const DiskDone& done : done_) deliver(done);
    return done_.size();
  }

 private:
  std::int64_t result_of(const DiskOp& op) {
    switch (op.kind) {
      case DiskOpKind::open: return next_file_++;
      case DiskOpKind::read:
      case DiskOpKind::write:
      case DiskOpKind::write_durable: return static_cast<std::int64_t>(op.block.size());
      case DiskOpKind::close:
      case DiskOpKind::sync:
      case DiskOpKind::allocate:
      case DiskOpKind::truncate:
      case DiskOpKind::remove:
      case DiskOpKind::rename:
      case DiskOpKind::make_directory:
      case DiskOpKind::sync_directory:
      case DiskOpKind::remove_directory: return 0;
    }
    return 0;
  }
  std::vector<DiskDone> done_;
  FileId next_file_ = 1;
};

// One core's log, empty and ready. `memory` outlives it.
inline std::unique_ptr<log::CoreLog> make_log(const log::Limits& limits, AlignedBuffer& memory,
                                              Now now) {
  test::FakeDisk disk;
  Prng prng(1, "boot");
  const MutableBytes region = memory.bytes();
  log::Boot boot(limits,
                 {.core_count = 1,
                  .owner_of = [](const log::PartitionKey&, std::uint16_t) -> std::uint16_t {
                    return 0;
                  },
                  .core_memory = {&region, 1},
                  .may_format = true},
                 prng);
  while (!boot.done()) {
    TR_ASSERT(!boot.failed());
    boot.step(now);
    for (const DiskClass c : log::disk_classes) {
      while (!boot.ops(c).empty()) boot.ops_taken(c, disk.submit(boot.ops(c)));
    }
    if (disk.waiting_count() > 0) boot.on_disk_done(disk.complete(0), now);
  }
  auto logs = boot.take_logs();
  return std::move(logs[0]);
}

// The laptop profile's, with a small ring: booting it costs memory here.
inline log::Limits bench_limits() {
  log::Limits limits;
  limits.wal_bytes = std::uint64_t{64} << 20;
  limits.dirty_bytes_max = std::uint64_t{24} << 20;
  limits.free_bytes_min = 0;
  return limits;
}

}  // namespace tailrace::bench
