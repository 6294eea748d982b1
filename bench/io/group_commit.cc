// Group commit: 64 partitions, one batch of about 1 KB each per commit, through the whole log of a
// core (CoreLog over UringDisk: check, copy with CRC, frames, and segments and checkpoints behind
// them) against a minimal loop that writes ready-made frames of the same size to the same kind of
// file with the same sync. Both run in turns of `--ms`; one line of JSON per pair.
//
// The log writes every byte twice (WAL, then segment), the raw loop once: the ratio is what the
// product keeps of the device's commit rate.
#include <fmt/format.h>

#include "disk_rig.h"
#include "log/boot.h"
#include "record/batch_builder.h"

namespace tailrace::bench {
namespace {

struct Slice {
  std::uint64_t batches = 0;
  double seconds = 0;
  double cpu_us_per_batch = 0;
  Histogram commit_ns;
  double per_s() const { return static_cast<double>(batches) / seconds; }
};

// Runs `round`, which returns how many batches it made durable, for so long.
template <class Round>
Slice measure(Duration duration, Round round) {
  Slice slice;
  const std::int64_t cpu_before = process_cpu_ns();
  const Instant began = now_instant();
  Instant now = began;
  while (now < began + duration) {
    slice.batches += round(now, slice.commit_ns);
    now = now_instant();
  }
  slice.seconds = static_cast<double>((now - began).ns) / 1e9;
  slice.cpu_us_per_batch = static_cast<double>(process_cpu_ns() - cpu_before) / 1e3 /
                           static_cast<double>(slice.batches);
  return slice;
}

class LogSide {
 public:
  LogSide(const log::Limits& limits, const std::string& directory, std::size_t partition_count,
          std::size_t batch_bytes)
      : limits_(limits),
        rig_(directory),
        memory_(log::CoreLog::memory_bytes(limits)),
        builder_(batch_bytes) {
    rig_.register_memory(memory_.bytes());
    boot();
    for (std::size_t i = 0; i < partition_count; ++i) {
      log::PartitionKey key;
      key.topic.bytes[0] = 1;
      key.partition = static_cast<std::int32_t>(i);
      partitions_.push_back(*log_->create(key, {}, now()));
    }
    builder_.start();
    const std::vector<std::byte> value(batch_bytes - record::header_bytes - 16, std::byte{42});
    TR_ASSERT(builder_.add({.timestamp = now().wall_ms, .value = Bytes(value)}));
    batch_ = *builder_.finish();
  }

  // One commit: a batch to each partition; back when the commit before it is durable. So one is
  // being staged while one is on its way, as under load.
  std::uint64_t round(Instant began, Histogram& commit_ns) {
    const Now at = now();
    for (log::PartitionLog* partition : partitions_) {
      while (!log_->append(*partition, {.batch = batch_, .leader_epoch = 1}, at)) turn();
    }
    const std::int64_t wanted = ++staged_ - 1;
    while (partitions_.back()->durable_end() < wanted) turn();
    commit_ns.record(static_cast<std::uint64_t>((now_instant() - began).ns));
    return partitions_.size();
  }

  std::size_t frame_bytes() const {
    return log::frame_size(batch_.size() * partitions_.size(), partitions_.size());
  }
  std::size_t batch_bytes() const { return batch_.size(); }

 private:
  static Now now() {
    timespec wall{};
    clock_gettime(CLOCK_REALTIME, &wall);
    return {.instant = now_instant(), .wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1'000'000};
  }

  void boot() {
    Prng prng(static_cast<std::uint64_t>(now_instant().ns), "boot");
    const MutableBytes region = memory_.bytes();
    log::Boot boot(limits_,
                   {.core_count = 1,
                    .owner_of = [](const log::PartitionKey&, std::uint16_t) -> std::uint16_t {
                      return 0;
                    },
                    .core_memory = {&region, 1},
                    .may_format = true},
                   prng);
    while (!boot.done()) {
      if (boot.failed()) give_up(boot.why());
      boot.step(now());
      const std::size_t work =
          rig_.turn(boot, [&](const DiskDone& done) { boot.on_disk_done(done, now()); });
      if (work == 0) rig_.wait();
    }
    log_ = std::move(boot.take_logs()[0]);
  }

  void turn() {
    const Now at = now();
    log_->step(at);
    const std::size_t work =
        rig_.turn(*log_, [&](const DiskDone& done) { log_->on_disk_done(done, at); });
    if (work > 0) log_->step(at);
    std::array<log::PartitionLog*, 256> advanced;
    log_->take_advanced(advanced);
    if (work == 0) rig_.wait();
    if (log_->fenced()) give_up("the log failed");
  }

  const log::Limits limits_;
  DiskRig rig_;
  AlignedBuffer memory_;
  std::unique_ptr<log::CoreLog> log_;
  std::vector<log::PartitionLog*> partitions_;
  record::BatchBuilder builder_;
  Bytes batch_;
  std::int64_t staged_ = 0;
};

class RawSide {
 public:
  RawSide(const log::Limits& limits, const std::string& directory, std::size_t frame_bytes)
      : rig_(directory), frame_(frame_bytes), ring_bytes_(limits.wal_bytes),
        durable_writes_(limits.durable_writes) {
    rig_.register_memory(frame_.bytes());
    file_ = rig_.zero_filled("raw", ring_bytes_);
  }

  std::uint64_t round(Instant began, std::size_t batch_count, Histogram& commit_ns) {
    if (at_ + frame_.size() > ring_bytes_) at_ = 0;
    rig_.run({.kind = durable_writes_ ? DiskOpKind::write_durable : DiskOpKind::write,
              .disk_class = DiskClass::wal,
              .file = file_,
              .file_pos = at_,
              .block = frame_.bytes()});
    if (!durable_writes_) {
      rig_.run({.kind = DiskOpKind::sync, .disk_class = DiskClass::wal, .file = file_});
    }
    at_ += frame_.size();
    commit_ns.record(static_cast<std::uint64_t>((now_instant() - began).ns));
    return batch_count;
  }

 private:
  DiskRig rig_;
  AlignedBuffer frame_;
  const std::uint64_t ring_bytes_;
  const bool durable_writes_;
  FileId file_ = no_file;
  std::uint64_t at_ = 0;
};

std::string json(const Slice& slice) {
  return fmt::format("{{\"batches_per_s\": {:.0f}, \"cpu_us_per_batch\": {:.3f}, "
                     "\"p50_us\": {:.1f}, \"p999_us\": {:.1f}}}",
                     slice.per_s(), slice.cpu_us_per_batch,
                     to_us(slice.commit_ns.percentile(50)),
                     to_us(slice.commit_ns.percentile(99.9)));
}

int run(const Arguments& arguments) {
  const auto partition_count = static_cast<std::size_t>(arguments.number("--partitions", 64));
  const auto batch_bytes = static_cast<std::size_t>(arguments.number("--batch-bytes", 1024));
  const Duration slice = milliseconds(arguments.number("--ms", 1000));
  const std::string directory = arguments.text("--dir", ".");
  log::Limits limits;
  limits.durable_writes = arguments.text("--sync", "fsync") == "dsync";
  LogSide log(limits, directory, partition_count, batch_bytes);
  RawSide raw(limits, directory, log.frame_bytes());
  for (std::int64_t pair = -1; pair < arguments.number("--pairs", 10); ++pair) {
    const Slice of_raw = measure(slice, [&](Instant began, Histogram& commit_ns) {
      return raw.round(began, partition_count, commit_ns);
    });
    const Slice of_log = measure(slice, [&](Instant began, Histogram& commit_ns) {
      return log.round(began, commit_ns);
    });
    if (pair < 0) continue;  // Warm-up.
    fmt::print("{{\"frame_bytes\": {}, \"batch_bytes\": {}, \"log\": {}, \"raw\": {}, "
               "\"ratio\": {:.3f}}}\n", log.frame_bytes(), log.batch_bytes(), json(of_log),
               json(of_raw), of_log.per_s() / of_raw.per_s());
  }
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  return tailrace::bench::run(tailrace::bench::Arguments(argc, argv));
}
