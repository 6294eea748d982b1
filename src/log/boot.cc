#include "log/boot.h"

#include <fmt/format.h>

#include <cstring>

#include "base/log.h"

namespace tailrace::log {
namespace {

constexpr std::string_view directories[] = {wal_directory, "topics"};

}  // namespace

Boot::Boot(const Limits& limits, const Options& options, Prng& prng)
    : limits_(limits),
      options_(options),
      prng_(prng),
      reader_(queue_),
      checkpoint_writer_(queue_),
      manifest_writer_(queue_),
      remover_(queue_) {
  TR_ASSERT(options.core_count > 0);
  TR_ASSERT(options.core_memory.size() == options.core_count);
  TR_ASSERT(options.owner_of != nullptr);
}

Boot::~Boot() = default;

void Boot::give_up(std::string why) {
  phase_ = Phase::failed;
  why_ = std::move(why);
}

bool Boot::same_layout() const {
  return has_manifest_ && manifest_.core_count == options_.core_count &&
         manifest_.ring_bytes == limits_.wal_bytes;
}

// ---- the turn

void Boot::step(Now now) {
  switch (phase_) {
    case Phase::directories:
      if (directories_asked_) return;
      directories_asked_ = true;
      for (const std::string_view name : directories) {
        queue_.push({.kind = DiskOpKind::make_directory,
                     .tag = make_tag(Asker::boot, 0),
                     .name = name});
      }
      return;
    case Phase::recovering:
      recovery_->step(now);
      if (recovery_->failed()) return give_up(recovery_->why());
      if (recovery_->done()) on_recovered(now);
      return;
    case Phase::draining:
      recovered_->step(now);
      if (recovered_->fenced()) return give_up("the old WALs cannot be drained: a write failed");
      if (recovered_->stopped()) on_drained(now);
      return;
    case Phase::formatting:
      format_->step();
      if (format_->failed()) {
        return give_up(fmt::format("{}.wal cannot be made: {}", new_path(core_),
                                   std::strerror(format_->error_number())));
      }
      if (format_->done()) on_formatted();
      return;
    case Phase::checkpointing:
      if (checkpoint_writer_.busy()) return;
      if (!checkpoint_writer_.succeeded()) {
        return give_up(fmt::format("a checkpoint of {} cannot be written", new_path(core_)));
      }
      if (!second_checkpoint_) {
        second_checkpoint_ = true;
        checkpoint_writer_.start(FileName(new_path(core_) + ".checkpoint-a").text(),
                                 firsts_[core_]);
        return;
      }
      ++core_;
      format_next();
      return;
    case Phase::switching:
      if (manifest_writer_.busy()) return;
      if (manifest_writer_.error_number() != 0) {
        return give_up(fmt::format("{} cannot be written: {}", manifest_path,
                                   std::strerror(manifest_writer_.error_number())));
      }
      remove_old_generation();
      remover_.step();
      if (remover_.idle()) finish(now);
      return;
    case Phase::sweeping:
      remover_.step();
      if (remover_.idle()) phase_ = Phase::done;
      return;
    case Phase::manifest:
    case Phase::syncing:
    case Phase::done:
    case Phase::failed: return;  // A disk completion goes on, or nothing does.
  }
}

// What is made in a directory that a power cut takes is gone; and names that an earlier start
// made, but did not live to sync, are relied upon from now on.
void Boot::sync_directories() {
  const auto sync = [&](std::string_view name) {
    queue_.push({.kind = DiskOpKind::sync_directory, .tag = make_tag(Asker::boot, 0),
                 .name = name});
  };
  sync(".");
  for (const std::string_view name : directories) sync(name);
}

void Boot::on_disk_done(const DiskDone& done, Now now) {
  switch (asker_of(done.tag)) {
    case Asker::boot: break;
    case Asker::wal_scanner: recovery_->on_disk_done(done); return;
    case Asker::wal_format: format_->on_disk_done(done); return;
    default:
      if (recovered_ != nullptr) return recovered_->on_disk_done(done, now);
      if (asker_of(done.tag) == Asker::remover) return remover_.on_disk_done(done);
      return checkpoint_writer_.on_disk_done(done);
  }
  switch (phase_) {
    case Phase::directories:
      if (done.result < 0) {
        return give_up(fmt::format("a directory cannot be made or synced: {}",
                                   std::strerror(static_cast<int>(-done.result))));
      }
      ++directories_made_;
      if (directories_made_ == std::size(directories)) sync_directories();
      if (directories_made_ < 2 * std::size(directories) + 1) return;
      phase_ = Phase::manifest;
      reader_.start(manifest_path, disk_block_bytes);
      return;
    case Phase::manifest:
      reader_.on_disk_done(done);
      if (!reader_.busy()) on_manifest(now);
      return;
    case Phase::recovering: recovery_->on_disk_done(done); return;
    case Phase::syncing:
      if (done.result < 0) {
        return give_up(fmt::format("{} cannot be synced: {}", wal_directory,
                                   std::strerror(static_cast<int>(-done.result))));
      }
      phase_ = Phase::switching;
      manifest_writer_.start({.generation = generation_,
                              .core_count = options_.core_count,
                              .ring_bytes = limits_.wal_bytes});
      return;
    case Phase::switching: manifest_writer_.on_disk_done(done); return;
    case Phase::draining:
    case Phase::formatting:
    case Phase::checkpointing:
    case Phase::sweeping:
    case Phase::done:
    case Phase::failed: return;  // Nothing of Boot's own is under way.
  }
}

std::span<const DiskOp> Boot::ops(DiskClass disk_class) const {
  const auto own = queue_.ops(disk_class);
  return own.empty() && recovered_ != nullptr ? recovered_->ops(disk_class) : own;
}

void Boot::ops_taken(DiskClass disk_class, std::size_t count) {
  if (queue_.ops(disk_class).empty() && recovered_ != nullptr) {
    recovered_->ops_taken(disk_class, count);
  } else {
    queue_.taken(disk_class, count);
  }
}

// ---- the old generation

void Boot::on_manifest(Now now) {
  const Result<Bytes> bytes = reader_.content();
  const Result<Manifest> manifest =
      bytes ? parse_manifest(*bytes) : Result<Manifest>(fail(bytes.error()));
  if (manifest) {
    has_manifest_ = true;
    manifest_ = *manifest;
    generation_ = manifest_.generation + 1;
    return recover_next(now);
  }
  if (manifest.error().code != Errc::not_found) {
    return give_up(fmt::format("{}: {}", manifest_path, to_string(manifest.error().code)));
  }
  if (!options_.may_format) {
    return give_up(fmt::format("{} is missing, although the directory has been in use: without it "
                               "nobody knows which records were acknowledged; restore it from a "
                               "backup, or name an empty directory", manifest_path));
  }
  distribute();
}

void Boot::recover_next(Now now) {
  (void)now;
  if (core_ == manifest_.core_count) {
    if (!same_layout()) return distribute();
    return begin_sweep(manifest_.generation);
  }
  Limits limits = limits_;
  limits.wal_bytes = manifest_.ring_bytes;
  // Logs that will be drained and dropped take turns in the first region.
  recovered_ = std::make_unique<CoreLog>(limits, options_.core_memory[same_layout() ? core_ : 0]);
  recovery_ = std::make_unique<WalRecovery>(limits, wal_path(manifest_.generation, core_),
                                            *recovered_, queue_);
  phase_ = Phase::recovering;
}

void Boot::on_recovered(Now now) {
  replayed_bytes_ += recovery_->replayed_bytes();
  recovery_->attach(static_cast<std::uint16_t>(prng_.next()), now);
  recovery_.reset();
  if (same_layout()) {
    logs_.push_back(std::move(recovered_));
    ++core_;
    return recover_next(now);
  }
  recovered_->begin_stop();
  phase_ = Phase::draining;
}

void Boot::on_drained(Now now) {
  for (const PartitionLog* partition : recovered_->partitions()) {
    drained_.push_back(partition->checkpoint());
  }
  recovered_.reset();
  ++core_;
  recover_next(now);
}

// ---- the new generation

void Boot::distribute() {
  firsts_.resize(options_.core_count);
  for (Checkpoint& first : firsts_) {
    first.wal = random_uuid(prng_);
    first.number = 1;
  }
  for (PartitionCheckpoint& partition : drained_) {
    const std::uint16_t owner = options_.owner_of(partition.key, options_.core_count);
    TR_ASSERT(owner < options_.core_count);
    firsts_[owner].partitions.push_back(std::move(partition));
  }
  for (const Checkpoint& first : firsts_) {
    if (first.partitions.size() <= limits_.partitions_max) continue;
    return give_up(fmt::format("a core would own {} partitions, limits.partitions_max allows {}",
                               first.partitions.size(), limits_.partitions_max));
  }
  core_ = 0;
  format_next();
}

void Boot::format_next() {
  if (core_ < options_.core_count) {
    format_ = std::make_unique<WalFormat>(limits_, FileName(new_path(core_) + ".wal").text(),
                                          firsts_[core_].wal, queue_);
    phase_ = Phase::formatting;
    return;
  }
  format_.reset();
  phase_ = Phase::syncing;
  queue_.push({.kind = DiskOpKind::sync_directory,
               .tag = make_tag(Asker::boot, 0),
               .name = wal_directory});
}

void Boot::on_formatted() {
  phase_ = Phase::checkpointing;
  second_checkpoint_ = false;
  checkpoint_writer_.start(FileName(new_path(core_) + ".checkpoint-b").text(), firsts_[core_]);
}

void Boot::remove_old_generation() {
  if (removing_) return;
  removing_ = true;
  for (std::uint32_t core = 0; has_manifest_ && core < manifest_.core_count; ++core) {
    const std::string path = wal_path(manifest_.generation, core);
    for (const char* ending : {".wal", ".checkpoint-a", ".checkpoint-b"}) {
      remover_.enqueue(FileName(path + ending));
    }
  }
}

void Boot::finish(Now now) {
  for (std::uint16_t core = 0; core < options_.core_count; ++core) {
    logs_.push_back(std::make_unique<CoreLog>(limits_, options_.core_memory[core]));
    const Checkpoint& first = firsts_[core];
    logs_.back()->restore(first);
    logs_.back()->attach(new_path(core), first.wal, static_cast<std::uint16_t>(prng_.next()),
                         first.number, first.replay_from, first.replay_from, now);
  }
  begin_sweep(generation_);
}

// What was recovered is durable, so what it does not name will never be named again.
void Boot::begin_sweep(std::uint64_t generation) {
  phase_ = Phase::sweeping;
  if (!options_.list) return;
  const std::size_t count = sweep(options_.list, generation, logs_, remover_);
  if (count > 0) {
    log_event(LogLevel::info, "log", "removing {} files that a crash left behind", count);
  }
}

Boot::Progress Boot::progress() const {
  switch (phase_) {
    case Phase::recovering: {
      const std::uint64_t now_bytes = recovery_ == nullptr ? 0 : recovery_->replayed_bytes();
      return {"replaying the write-ahead log", replayed_bytes_ + now_bytes, 0};
    }
    case Phase::draining: return {"moving records to their segments", 0, 0};
    case Phase::formatting:
      return {"zero-filling the write-ahead log",
              core_ * limits_.wal_bytes + format_->done_bytes(),
              options_.core_count * limits_.wal_bytes};
    case Phase::directories:
    case Phase::manifest:
    case Phase::checkpointing:
    case Phase::syncing:
    case Phase::switching:
    case Phase::sweeping:
    case Phase::done:
    case Phase::failed: break;  // Too short to be worth a line.
  }
  return {"opening", 0, 0};
}

}  // namespace tailrace::log
