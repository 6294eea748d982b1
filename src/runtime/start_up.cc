#include "runtime/start_up.h"

#include <fmt/format.h>

#include <array>

#include "bus/image.h"
#include "io/uring/file_system.h"
#include "io/uring/ring_idle.h"
#include "io/uring/uring_disk.h"
#include "log/boot.h"
#include "runtime/clock_system.h"
#include "runtime/core_unit.h"
#include "runtime/limits.h"
#include "runtime/progress.h"
#include "runtime/wal_space.h"

namespace tailrace::runtime {
namespace {

constexpr const char* metadata_directory = "metadata";
constexpr Duration look_interval = milliseconds(200);  // at progress, while the disk works

// A ring with its disk for work on the main thread.
struct MainDisk {
  std::unique_ptr<io::Ring> ring;
  std::unique_ptr<io::RingIdle> idle;
  std::unique_ptr<io::UringDisk> disk;

  bool open(const Profile& profile, const DataDirectory& directory, std::string& why) {
    auto new_ring = io::Ring::create({.held_fd = directory.lock_fd()}, why);
    if (!new_ring) return false;
    ring = std::move(*new_ring);
    idle = make_idle(*ring, profile, why);
    if (idle == nullptr) return false;
    auto new_disk = io::UringDisk::create(*ring, directory.path(), disk_options(profile), why);
    if (!new_disk) return false;
    disk = std::move(*new_disk);
    return true;
  }
};

std::uint16_t owner_of(const log::PartitionKey& key, std::uint16_t core_count) {
  return bus::owner_core(key.topic, key.partition, core_count);
}

// One turn of the boot. Returns how much there was to do.
std::size_t step_boot(log::Boot& boot, io::Disk& disk, Now now) {
  std::array<DiskDone, 64> done;
  const std::size_t done_count = disk.poll(done);
  for (std::size_t i = 0; i < done_count; ++i) boot.on_disk_done(done[i], now);
  boot.step(now);
  std::size_t submitted = 0;
  for (const DiskClass disk_class : {DiskClass::wal, DiskClass::segment, DiskClass::read,
                                     DiskClass::background}) {
    const std::span<const DiskOp> ops = boot.ops(disk_class);
    if (ops.empty()) continue;
    const std::size_t count = disk.submit(ops);
    boot.ops_taken(disk_class, count);
    submitted += count;
  }
  return done_count + submitted;
}

bool reserve_memory(const log::Limits& limits, std::size_t core_count,
                    const ReserveMemory& reserve, std::vector<BootedCore>& cores,
                    std::string& why) {
  const std::size_t bytes = log::CoreLog::memory_bytes(limits);
  for (std::size_t i = 0; i < core_count; ++i) {
    auto memory = reserve(bytes);
    if (memory == nullptr || !memory->good()) {
      why = fmt::format("cannot reserve {} bytes of memory for core {}; make storage.cache_bytes "
                        "or threads.cores smaller in the profile", bytes, i);
      return false;
    }
    cores.push_back({.memory = std::move(memory), .log = nullptr});
  }
  return true;
}

// Once the directory is complete its metadata cannot be missing: an empty new one would make the
// cores forget every topic.
bool metadata_is_there(const DataDirectory& directory, io::Disk& disk, std::string& why) {
  if (!directory.meta().is_complete) return true;
  const auto files = disk.list(metadata_directory);
  if (files && !files->empty()) return true;
  why = fmt::format("{}/{}: missing or empty, though this directory held topics; restore it from "
                    "a backup", directory.path(), metadata_directory);
  return false;
}

}  // namespace

bool check_place(const Profile& profile, const std::string& directory, std::size_t listener_count,
                 PlaceReport& report, std::string& why) {
  const auto file_system = io::examine_file_system(directory);
  if (!file_system) {
    why = fmt::format("{}: cannot be written: {} {}", directory,
                      to_string(file_system.error().code), file_system.error().detail);
    return false;
  }
  report.description = file_system->description();
  io::StorageVerdict verdict = io::judge_storage(
      *file_system, {.direct = profile.direct, .dsync = profile.sync == "dsync"});
  if (!verdict.allowed) {
    why = fmt::format("{}", fmt::join(verdict.lines, "\n"));
    return false;
  }
  report.notes = std::move(verdict.lines);
  const io::FileLimit files =
      io::raise_file_limit(open_files_needed(profile, listener_count));
  if (!files.enough) why = files.line;
  return files.enough;
}

namespace {

bool run_boot(const Profile& profile, const DataDirectory& directory, Prng& prng,
              std::vector<BootedCore>& cores, std::string& why, const ShouldStop& should_stop) {
  const log::Limits limits = log_limits(profile);
  std::vector<MutableBytes> regions;
  for (BootedCore& core : cores) regions.push_back(core.memory->bytes());
  io::Disk* disk = nullptr;
  log::Boot boot(limits,
                 {.core_count = static_cast<std::uint16_t>(profile.cores), .owner_of = &owner_of,
                  .core_memory = regions, .may_format = !directory.meta().is_complete,
                  .list = [&](std::string_view name) { return log::lister_of(*disk)(name); }},
                 prng);
  MainDisk main;  // Ends first, and waits for what is in flight into the boot's memory.
  if (!main.open(profile, directory, why)) return false;
  disk = main.disk.get();
  ClockSystem clock;
  Progress progress = Progress::standard();
  while (!boot.done() && !boot.failed()) {
    if (should_stop && should_stop()) {
      progress.end();
      why.clear();
      return false;
    }
    const Now now = clock.now();
    const std::size_t work = step_boot(boot, *main.disk, now);
    const log::Boot::Progress at = boot.progress();
    progress.show(at.what, at.done_bytes, at.total_bytes, now.instant);
    if (work == 0) main.idle->wait(now.instant + look_interval);
  }
  progress.end();
  if (boot.failed()) {
    why = fmt::format("{}: {}", directory.path(), boot.why());
    return false;
  }
  std::vector<std::unique_ptr<log::CoreLog>> logs = boot.take_logs();
  TR_ASSERT(logs.size() == cores.size());
  for (std::size_t i = 0; i < cores.size(); ++i) cores[i].log = std::move(logs[i]);
  return true;
}

}  // namespace

bool boot_logs(const Profile& profile, const DataDirectory& directory,
               const ReserveMemory& reserve, Prng& prng, std::vector<BootedCore>& cores,
               std::string& why, const ShouldStop& should_stop) {
  if (!wal_space_suffices(profile, directory.path(), why)) return false;
  if (!reserve_memory(log_limits(profile), static_cast<std::size_t>(profile.cores), reserve, cores,
                      why)) {
    return false;
  }
  if (run_boot(profile, directory, prng, cores, why, should_stop)) return true;
  // By now no write is in flight.
  remove_unfinished_wals(directory.path(), !directory.meta().is_complete);
  return false;
}

bool try_metadata(const Profile& profile, const DataDirectory& directory,
                  const control::NodeSetup& setup, Prng& prng, std::string& why,
                  const ShouldStop& should_stop) {
  control::ControlPlane plane(control_limits(profile), setup, Prng(prng.next(), "control"));
  MainDisk main;  // Ends first, and waits for what is in flight into the plane's memory.
  if (!main.open(profile, directory, why)) return false;
  if (!metadata_is_there(directory, *main.disk, why)) return false;
  ClockSystem clock;
  std::array<DiskDone, 64> done;
  while (!plane.ready() && !plane.failed()) {
    if (should_stop && should_stop()) {
      why.clear();
      return false;
    }
    const Now now = clock.now();
    const std::size_t done_count = main.disk->poll(done);
    for (std::size_t i = 0; i < done_count; ++i) plane.on_disk_done(done[i], now);
    plane.step(now);
    const std::size_t submitted = main.disk->submit(plane.ops());
    plane.ops_taken(submitted);
    plane.messages_taken(plane.messages().size());  // There are no cores yet.
    if (done_count + submitted == 0) main.idle->wait(now.instant + look_interval);
  }
  if (plane.failed()) why = plane.why();
  return !plane.failed();
}

}  // namespace tailrace::runtime
