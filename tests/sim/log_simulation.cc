#include "log_simulation.h"

#include <algorithm>

#include "checkers/orphans.h"
#include "record/control_record.h"

namespace tailrace::sim {
namespace {

constexpr std::uint32_t actions_max = 400;
constexpr Duration start_patience = seconds(100);
constexpr std::uint32_t tries_max = 40;

std::uint16_t owner_of(const log::PartitionKey& key, std::uint16_t core_count) {
  return bus::owner_core(key.topic, key.partition, core_count);
}

}  // namespace

LogSimulation::LogSimulation(std::uint64_t seed, Plant plant, bool verbose)
    : world_(verbose), prng_(seed, "log simulation"),
      plan_(draw_faults(seed, world_.clock.instant(), milliseconds(30))),
      faults_(plan_.disk_faults), limits_(draw_limits(prng_, plan_)),
      files_(Prng(seed, "file system")), boot_prng_(seed, "boot") {
  world_.plant = plant;
  files_.plants.directory_sync_does_nothing = plant == Plant::directory_lies;
  if (plan_.capacity_bytes != 0) {
    files_.set_capacity(plan_.capacity_bytes + 8 * limits_.log.wal_bytes);
  }
  core_count_ = plan_.core_count;
}

std::unique_ptr<SimDisk> LogSimulation::make_disk(std::string name) {
  return std::make_unique<SimDisk>(files_, world_.clock, world_.trace, Prng(prng_.next(), name),
                                   plan_.disk_pace, faults_, name);
}

RunResult LogSimulation::run() {
  world_.trace.say(world_.clock.instant(), "{}", to_string(plan_));
  const auto actions = static_cast<std::uint32_t>(prng_.between(50, actions_max));
  if (boot()) {
    for (std::uint32_t i = 0; i < actions && !cores_.empty() && world_.verdicts.all_kept(); ++i) {
      act();
      for (std::uint64_t turns = prng_.below(12); turns > 0 && !cores_.empty(); --turns) turn();
    }
  }
  faults_ = {.garbage = faults_.garbage};
  files_.set_capacity(std::uint64_t{1} << 40);
  if (!cores_.empty() && world_.verdicts.all_kept()) {
    prng_.chance(1, 3) ? orderly_stop() : end_life(prng_.chance(2, 3));
    for (auto& [key, model] : models_) model.config.compaction.compacts = false;
    if (boot()) read_everything();
    if (!cores_.empty() && world_.verdicts.all_kept()) compact_once_more();
  }
  for (const Core& core : cores_) {
    if (core.disk->blocks_changed() == 0) continue;
    world_.verdicts.broken("seams", "{} blocks changed while they were written",
                           core.disk->blocks_changed());
  }
  for (const Verdict& verdict : world_.verdicts.list()) {
    if (rotted_wal_ && verdict.promise != "seams") continue;
    if (rotted_segment_ && verdict.promise == "liveness") continue;
    result_.broken.push_back(verdict);
  }
  result_.hash = world_.trace.hash();
  result_.refused = gave_up_;
  return result_;
}

// Starts until it succeeds; false when it never will, for a good reason or after a verdict.
bool LogSimulation::boot() {
  for (std::uint32_t tries = 0; tries < tries_max; ++tries) {
    if (tries > tries_max / 2) faults_ = {.garbage = faults_.garbage};
    ++result_.starts;
    world_.trace.say(world_.clock.instant(), "--- start with {} cores", core_count_);
    const Start start = try_start();
    if (start == Start::up) {
      formatted_ = true;
      adopt();
    }
    if (start != Start::again) return start == Start::up;
    if (plan_.changes_core_count) core_count_ = static_cast<std::uint16_t>(prng_.between(1, 4));
  }
  world_.verdicts.broken("starts", "does not start");
  return false;
}

LogSimulation::Start LogSimulation::try_start() {
  std::vector<MutableBytes> memory;
  memory_.clear();
  for (std::uint16_t i = 0; i < core_count_; ++i) {
    memory_.push_back(std::make_unique<AlignedBuffer>(log::CoreLog::memory_bytes(limits_.log)));
    memory.push_back(memory_.back()->bytes());
  }
  const std::unique_ptr<SimDisk> disk = make_disk("boot");
  log::Boot boot(limits_.log, {.core_count = core_count_, .owner_of = owner_of,
                               .core_memory = memory, .may_format = !formatted_,
                               .list = log::lister_of(*disk)}, boot_prng_);
  // Sometimes the power fails, or somebody stops it, before it is up.
  const std::uint64_t turns_most = prng_.chance(1, 10) ? prng_.below(200) : UINT64_MAX;
  const Instant deadline = world_.clock.instant() + start_patience;
  std::uint64_t turns = 0;
  while (!boot.done() && !boot.failed() && turns++ < turns_most) {
    step_start(boot, *disk);
    if (deadline <= world_.clock.instant()) break;
  }
  if (boot.done()) {
    std::vector<std::unique_ptr<log::CoreLog>> logs = boot.take_logs();
    // A removal that fails is left to the next start.
    if (disk->faults_injected() == 0) check_orphans(files_, logs, world_.verdicts);
    for (std::uint16_t i = 0; i < core_count_; ++i) {
      cores_.push_back({make_disk(fmt::format("core {}", i)), std::move(logs[i])});
      cores_.back().disk->plant_sync_lies = world_.plant == Plant::sync_lies;
      cores_.back().disk->plant_compaction_lies = world_.plant == Plant::compaction_lies;
    }
    return Start::up;
  }
  const bool power_cut = !boot.failed() && prng_.chance(1, 2);
  const bool excused = disk->faults_injected() > 0 || plan_.capacity_bytes != 0;
  world_.trace.say(world_.clock.instant(), "--- not started: {}", boot.why());
  disk->crash(power_cut);
  if (power_cut) files_.power_cut(plan_.disk_faults.garbage);
  if (!boot.failed() && turns >= turns_most) return Start::again;
  if (rotted_wal_) {
    gave_up_ = true;
    return Start::never;
  }
  if (boot.failed() && excused) return Start::again;
  world_.verdicts.broken("starts", "{}: {}", boot.failed() ? "refused to start" : "stuck",
                         boot.failed() ? boot.why() : boot.progress().what);
  return Start::never;
}

void LogSimulation::step_start(log::Boot& boot, SimDisk& disk) {
  std::array<DiskDone, 16> done;
  const std::size_t count = disk.poll(done);
  const Now now = world_.clock.now();
  for (std::size_t i = 0; i < count; ++i) boot.on_disk_done(done[i], now);
  boot.step(now);
  for (const DiskClass c : log::disk_classes) boot.ops_taken(c, disk.submit(boot.ops(c)));
  const Instant next = std::min(disk.next_deadline(), now.instant + milliseconds(5));
  world_.clock.advance_to(std::max(next, now.instant + nanoseconds(100)));
}

// What a crash took never was; its sequences are free again.
void LogSimulation::forget_lost(LogModel& model) {
  for (auto& [producer, sent] : model.sent) {
    while (!sent.empty() && model.find(sent.back().base_offset) == nullptr) sent.pop_back();
    std::int32_t next = 0;
    for (const ModelBatch& batch : model.batches) {
      const auto header = *record::parse_header(batch.bytes);
      if (header.producer_id == producer) next = header.last_sequence() + 1;
    }
    model.next_sequence[producer] = next;
  }
}

// What the owner of the logs does after a start: the partitions are those it knows.
void LogSimulation::adopt() {
  for (const Core& core : cores_) {
    for (log::PartitionLog* partition : core.log->partitions()) {
      const auto found = models_.find(partition->key());
      if (found == models_.end()) {
        core.log->remove(*partition);
        continue;
      }
      found->second.on_recovered(partition->log_start(), partition->durable_end(),
                                 world_.verdicts);
      found->second.check_transactions(*partition, world_.plant, world_.verdicts);
    }
  }
  for (auto& [key, model] : models_) {
    log::CoreLog& log = *cores_[owner(key)].log;
    log::PartitionLog* partition = log.find(key);
    if (partition != nullptr) {
      forget_lost(model);
    } else {
      if (model.acked_end > 0 || model.delete_acked > 0) {
        world_.verdicts.broken("acked_is_durable",
                               "{}: the partition is gone; acknowledged up to {}", model.name(),
                               model.acked_end);
      }
      model.on_recovered(0, 0, world_.verdicts);
      forget_lost(model);
      const auto made = log.create(key, model.config, world_.clock.now());
      if (!made) world_.verdicts.broken("starts", "{}: cannot be made again", model.name());
      continue;
    }
    log.set_config(*partition, model.config);
  }
}

void LogSimulation::end_life(bool power_cut) {
  world_.trace.say(world_.clock.instant(), "--- {}", power_cut ? "power cut" : "kill");
  for (const Core& core : cores_) {
    if (core.disk->blocks_changed() > 0) {
      world_.verdicts.broken("seams", "blocks changed while they were written");
    }
    core.disk->crash(power_cut);
  }
  if (power_cut) files_.power_cut(plan_.disk_faults.garbage);
  cores_.clear();
  reads_.clear();
  deletions_.clear();
  if (plan_.changes_core_count) core_count_ = static_cast<std::uint16_t>(prng_.between(1, 4));
}

void LogSimulation::orderly_stop() {
  world_.trace.say(world_.clock.instant(), "--- stop");
  for (std::uint16_t i = 0; i < cores_.size(); ++i) {
    for (const OpenRead& open : reads_) {
      if (open.core == i) cores_[i].log->release_read(open.id);
    }
    cores_[i].log->begin_stop();
  }
  reads_.clear();
  deletions_.clear();
  const auto stopped = [&] {
    return std::all_of(cores_.begin(), cores_.end(),
                       [](const Core& core) { return core.log->stopped(); });
  };
  const Instant deadline = world_.clock.instant() + seconds(20);
  while (!stopped() && world_.clock.instant() < deadline) turn();
  if (!stopped() && !failed()) world_.verdicts.broken("liveness", "the log does not stop");
  end_life(false);
}

bool LogSimulation::failed() const {
  return std::any_of(cores_.begin(), cores_.end(),
                     [](const Core& core) { return core.log->fenced(); });
}

void LogSimulation::turn() {
  const std::size_t first = prng_.below(cores_.size());
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    turn_core(static_cast<std::uint16_t>((first + i) % cores_.size()));
  }
  const auto us = static_cast<std::int64_t>(prng_.between(1, 60));
  Instant next = world_.clock.instant() + microseconds(us);
  // Mostly work goes on; sometimes everybody waits for the next thing to happen.
  if (prng_.chance(1, 8)) {
    next = next + milliseconds(20);
    for (const Core& core : cores_) {
      next = std::min({next, core.disk->next_deadline(), core.log->next_deadline()});
    }
  }
  world_.clock.advance_to(std::max(next, world_.clock.instant() + nanoseconds(100)));
}

void LogSimulation::turn_core(std::uint16_t index) {
  Core& core = cores_[index];
  std::array<DiskDone, 16> done;
  const std::size_t count = core.disk->poll(done);
  const Now now = world_.clock.now();
  for (std::size_t i = 0; i < count; ++i) core.log->on_disk_done(done[i], now);
  core.log->step(now);
  if (plan_.capacity_bytes != 0) core.log->set_usable_bytes(core.disk->space().usable_bytes);
  take_results(index);
  for (const DiskClass c : log::disk_classes) {
    core.log->ops_taken(c, core.disk->submit(core.log->ops(c)));
    if (core.log->ops(c).size() > 2048) {
      world_.verdicts.broken("bounded_memory", "{} disk operations wait", core.log->ops(c).size());
    }
  }
}

void LogSimulation::take_results(std::uint16_t index) {
  Core& core = cores_[index];
  std::array<log::PartitionLog*, 8> advanced;
  for (std::size_t n; (n = core.log->take_advanced(advanced)) > 0;) {
    for (std::size_t i = 0; i < n; ++i) {
      const auto found = models_.find(advanced[i]->key());
      if (found != models_.end()) look_at(found->second, *advanced[i]);
    }
  }
  std::erase_if(deletions_, [&](const Deletion& deletion) {
    if (deletion.core != index || core.log->durable_seq() < deletion.seq) return false;
    const auto found = models_.find(deletion.key);
    if (found != models_.end()) {
      found->second.delete_acked = std::max(found->second.delete_acked, deletion.offset);
    }
    return true;
  });
  std::array<log::ReadId, 8> done;
  while (core.log->take_reads_done(done) > 0) {
  }
  std::erase_if(reads_, [&](const OpenRead& open) {
    if (open.core != index || !core.log->get(open.id).done) return false;
    check_read(open, core.log->get(open.id));
    core.log->release_read(open.id);
    return true;
  });
}

void LogSimulation::look_at(LogModel& model, const log::PartitionLog& partition) {
  model.on_log_start(partition.log_start(), world_.clock.wall_most_ms(), world_.verdicts);
  if (partition.durable_end() < model.acked_end) {
    world_.verdicts.broken("acked_is_durable", "{}: durable end goes back from {} to {}",
                           model.name(), model.acked_end, partition.durable_end());
  }
  model.acked_end = std::max(model.acked_end, partition.durable_end());
  model.check_transactions(partition, world_.plant, world_.verdicts);
  world_.trace.add(static_cast<std::uint64_t>(partition.durable_end()));
}

void LogSimulation::check_read(const OpenRead& open, const log::Read& read) {
  const auto found = models_.find(open.key);
  if (!read.status) {
    world_.trace.say(world_.clock.instant(), "read at {} fails: {}", open.offset,
                     tailrace::to_string(read.status.error().code));
    ++reads_failed_;
    const Errc code = read.status.error().code;
    const bool gone = found == models_.end() || open.offset < found->second.log_start;
    const bool excused = plan_.disk_faults.read_error + plan_.disk_faults.read_rot +
                             plan_.disk_faults.open_error + plan_.disk_faults.sync_error +
                             plan_.disk_faults.write_error + plan_.disk_faults.write_short > 0 ||
                         rotted_segment_;
    if (!gone && !excused && !failed()) {
      world_.verdicts.broken("acked_is_durable", "{}: read at {} fails: {}", found->second.name(),
                             open.offset, tailrace::to_string(code));
    }
    return;
  }
  if (found == models_.end()) return;
  if (read.pieces.empty() && open.fills) {
    world_.verdicts.broken("liveness", "{}: a read at {} gives nothing", found->second.name(),
                           open.offset);
  }
  const std::int64_t end = found->second.check_batches(open.offset, read.pieces, world_.verdicts);
  if (end > open.offset_end) {
    world_.verdicts.broken("reads_stay", "{}: a read up to {} gives records up to {}",
                           found->second.name(), open.offset_end, end);
  }
  if (!open.is_told) check_committed(open, read);
}

LogModel* LogSimulation::choose() {
  if (models_.empty()) return nullptr;
  auto at = models_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(prng_.below(models_.size())));
  return &at->second;
}

void LogSimulation::act() {
  if (failed()) {
    end_life(false);
    boot();
    return;
  }
  const std::uint64_t draw = prng_.below(1000);
  if (models_.empty() || (draw < 25 && models_.size() < 6)) return make_partition();
  if (draw < 35) return drop_partition();
  if (draw < 60) return configure();
  if (draw < 90) return delete_records();
  if (draw < 300) return read();
  if (draw < 310) {
    prng_.chance(1, 4) ? orderly_stop() : end_life(prng_.chance(2, 3));
    boot();
    return;
  }
  const bool rots = !plan_.events.empty() && draw < 314;
  for (const Event& event : plan_.events) {
    const bool wal = event.kind == Event::Kind::rot_wal;
    if (!rots || (!wal && event.kind != Event::Kind::rot_segment)) continue;
    const auto all = files_.files(wal ? "wal" : "topics");
    if (all.empty()) break;
    const auto& [path, inode] = all[prng_.below(all.size())];
    if (!path.ends_with(wal ? ".wal" : ".log") || !files_.rot(*inode)) break;
    world_.trace.say(world_.clock.instant(), "--- a bit of {} flips", path);
    (wal ? rotted_wal_ : rotted_segment_) = true;
  }
  append();
}

void LogSimulation::make_partition() {
  LogModel model;
  // Few topics and partitions, so that keys come back with another incarnation.
  Prng topic_prng(prng_.below(3), "topic");
  model.key.topic = random_uuid(topic_prng);
  model.key.partition = static_cast<std::int32_t>(prng_.below(3));
  model.key.incarnation = static_cast<std::uint32_t>(result_.records);
  for (const auto& [key, other] : models_) {
    if (key.topic == model.key.topic && key.partition == model.key.partition) return;
  }
  model.config.segment_bytes = draw_segment_bytes();
  model.config.segment_ms = 600'000;
  if (prng_.chance(1, 2)) draw_compaction(model);
  const auto made = cores_[owner(model.key)].log->create(model.key, model.config,
                                                         world_.clock.now());
  if (!made) return;
  ++result_.records;
  model.plant_wrong_key = world_.plant == Plant::wrong_key;
  models_.emplace(model.key, model);
}

void LogSimulation::drop_partition() {
  LogModel* model = choose();
  log::PartitionLog* partition = find(*model);
  TR_ASSERT(partition != nullptr);
  cores_[owner(model->key)].log->remove(*partition);
  models_.erase(model->key);
}

// Mostly so small that a run closes some, which may then be compacted.
std::int64_t LogSimulation::draw_segment_bytes() {
  return static_cast<std::int64_t>(prng_.between(2'000, prng_.chance(1, 3) ? 60'000 : 8'000));
}

void LogSimulation::draw_compaction(LogModel& model) {
  log::CompactionRule& compaction = model.config.compaction;
  compaction.compacts = prng_.chance(2, 3);
  model.config.rules.keys_required = compaction.compacts;
  if (compaction.compacts) {
    model.was_compacted = true;
    compaction.dirty_ratio_min = static_cast<double>(prng_.below(10)) / 10;
    compaction.lag_ms_min = prng_.chance(1, 4) ? static_cast<std::int64_t>(prng_.below(20)) : 0;
    compaction.lag_ms_max =
        prng_.chance(1, 4) ? static_cast<std::int64_t>(prng_.between(1, 50)) : INT64_MAX;
    // So long that a run sees deletions go, or that none may.
    compaction.delete_retention_ms =
        prng_.chance(3, 4) ? static_cast<std::int64_t>(prng_.below(40)) : 3'600'000;
    model.delete_retention_ms_least =
        std::min(model.delete_retention_ms_least, compaction.delete_retention_ms);
    if (world_.plant == Plant::forget_tombstones) compaction.delete_retention_ms = 0;
  }
}

void LogSimulation::configure() {
  LogModel* model = choose();
  model->config.segment_bytes = draw_segment_bytes();
  model->config.retention = {};
  draw_compaction(*model);
  model->config.retention.delete_policy = !model->config.compaction.compacts || prng_.chance(1, 2);
  if (prng_.chance(1, 2)) {
    model->config.retention.retention_ms = static_cast<std::int64_t>(prng_.between(1, 60));
    model->retention_ms_least =
        std::min(model->retention_ms_least, model->config.retention.retention_ms);
  }
  if (prng_.chance(1, 2)) {
    model->config.retention.retention_bytes = static_cast<std::int64_t>(prng_.below(40'000));
    model->retention_bytes_least =
        std::min(model->retention_bytes_least, model->config.retention.retention_bytes);
  }
  cores_[owner(model->key)].log->set_config(*find(*model), model->config);
}

void LogSimulation::delete_records() {
  LogModel* model = choose();
  log::PartitionLog* partition = find(*model);
  const std::int64_t start = partition->log_start();
  const auto offset = start + static_cast<std::int64_t>(
      prng_.below(static_cast<std::uint64_t>(partition->durable_end() - start) + 1));
  if (world_.plant != Plant::delete_more) model->delete_to = std::max(model->delete_to, offset);
  const std::uint16_t core = owner(model->key);
  const auto seq = cores_[core].log->advance_log_start(*partition, offset, world_.clock.now());
  if (!seq) return;
  deletions_.push_back({core, *seq, model->key, offset});
  look_at(*model, *partition);
}

void LogSimulation::append() {
  LogModel* model = choose();
  log::PartitionLog* partition = find(*model);
  const std::uint16_t core = owner(model->key);
  if (prng_.chance(1, 10)) return append_again(*model, *partition, core);
  if (prng_.chance(2, 5)) return append_in_transaction(*model, *partition, core);
  test::BatchOptions options;
  options.base_timestamp = world_.clock.now().wall_ms;
  const bool idempotent = prng_.chance(1, 2);
  if (idempotent) {
    options.producer_id = static_cast<std::int64_t>(prng_.below(3));
    options.producer_epoch = 0;
    options.base_sequence = model->next_sequence[options.producer_id];
  }
  ModelBatch batch;
  batch.bytes = make_batch(*model, options);
  batch.max_timestamp = options.base_timestamp;
  give(*model, *partition, core, batch);
}

test::Buffer LogSimulation::make_batch(const LogModel& model, const test::BatchOptions& options) {
  // With keys where they may be compacted; those of before, without any, go then.
  const bool keyed = model.config.rules.keys_required || prng_.chance(1, 2);
  std::vector<test::TestRecord> records;
  const std::uint64_t count = prng_.between(1, 6);
  const std::uint64_t most = prng_.chance(1, 10) ? limits_.log.batch_bytes_max() / 8 : 600;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t number = prng_.next();
    std::string value(8 + prng_.below(most), static_cast<char>('a' + number % 26));
    std::memcpy(value.data(), &number, 8);
    records.push_back({.key = keyed ? fmt::format("key {}", prng_.below(30)) : std::string{},
                       .value = std::move(value), .timestamp = 0,
                       .tombstone = prng_.chance(1, 6)});
  }
  test::Buffer batch = test::build_batch(records, options);
  if (prng_.chance(1, 4)) compress(batch);
  return batch;
}

void LogSimulation::compress(test::Buffer& batch) {
  static record::BatchChecker checker(1U << 20);
  const auto packed = checker.with_codec(
      *record::parse_batch(batch), {.compression = static_cast<std::int8_t>(prng_.between(1, 4))});
  TR_ASSERT(packed.has_value());
  batch.assign(packed->begin(), packed->end());
}

// One step of a producer's transaction. Those with odd numbers get a new epoch with each.
void LogSimulation::append_in_transaction(LogModel& model, log::PartitionLog& partition,
                                          std::uint16_t core) {
  const auto producer_id = static_cast<std::int64_t>(10 + prng_.below(2));
  const bool has_epochs = producer_id % 2 == 1;
  const ModelProducer producer = model.producer(producer_id);
  const std::int64_t wall_ms = world_.clock.now().wall_ms;
  ModelBatch batch{.bytes = {}, .max_timestamp = wall_ms};
  if (producer.in_transaction ? prng_.chance(1, 2) : prng_.chance(1, 20)) {
    batch.bytes.resize(record::marker_batch_bytes);
    const auto epoch = static_cast<std::int16_t>(producer.epoch + (has_epochs ? 1 : 0));
    record::store_marker_batch(batch.bytes, {.producer_id = producer_id,
                                             .producer_epoch = epoch,
                                             .timestamp_ms = wall_ms,
                                             .marker = {.is_commit = prng_.chance(1, 2)}});
    return give(model, partition, core, batch,
                {.origin = record::BatchOrigin::coordinator,
                 .transaction_version = static_cast<std::int8_t>(has_epochs ? 2 : 1)});
  }
  batch.bytes = make_batch(model, {.base_timestamp = wall_ms,
                            .producer_id = producer_id,
                            .producer_epoch = producer.epoch,
                            .base_sequence = producer.next_sequence,
                            .attributes = record::transactional_bit});
  const bool is_verified = !producer.in_transaction || prng_.chance(1, 2);
  if (!producer.in_transaction && prng_.chance(1, 4)) {
    return append_unverified(model, partition, core, batch.bytes);
  }
  give(model, partition, core, batch,
       {.epoch_per_transaction = has_epochs,
        .is_verified = is_verified,
        .guard = partition.producers().guard()});
}

// Without the coordinator's word nothing opens a transaction.
void LogSimulation::append_unverified(LogModel& model, log::PartitionLog& partition,
                                      std::uint16_t core, Bytes batch) {
  const auto appended = cores_[core].log->append(
      partition, {.batch = batch, .leader_epoch = 0}, world_.clock.now());
  const Errc code = appended ? Errc::duplicate : appended.error().code;
  const bool normal = code == Errc::full || code == Errc::no_space || code == Errc::fenced;
  if (normal || code == Errc::wrong_transaction) return;
  world_.verdicts.broken("append_answers", "{}: an unverified batch is answered: {}",
                         model.name(), tailrace::to_string(code));
}

void LogSimulation::give(LogModel& model, log::PartitionLog& partition, std::uint16_t core,
                         const ModelBatch& batch, log::AppendRequest request) {
  const auto header = *record::parse_header(batch.bytes);
  const std::int64_t end_before = partition.staged_end();
  request.batch = batch.bytes;
  const auto appended = cores_[core].log->append(partition, request, world_.clock.now());
  if (!appended) {
    const Errc code = appended.error().code;
    const bool normal = code == Errc::full || code == Errc::no_space || code == Errc::fenced;
    if (!normal) {
      world_.verdicts.broken(code == Errc::out_of_order ? "no_duplicate" : "append_answers",
                             "{}: a good batch is refused: {}", model.name(),
                             tailrace::to_string(code));
    }
    return;
  }
  if (appended->duplicate || appended->base_offset != end_before) {
    world_.verdicts.broken("no_duplicate", "{}: a new batch is told to be at {}, the end was {}",
                           model.name(), appended->base_offset, end_before);
    return;
  }
  if (model.batches.empty()) model.first_offset = appended->base_offset;
  model.batches.push_back(batch);
  model.batches.back().base_offset = appended->base_offset;
  model.batches.back().end_offset = appended->end_offset;
  record::set_base_offset(model.batches.back().bytes, appended->base_offset);
  model.batches.back().records = *records_of(*record::parse_batch(model.batches.back().bytes));
  ++result_.records;
  if (!header.has_producer() || header.is_transactional()) return;
  model.next_sequence[header.producer_id] = header.last_sequence() + 1;
  auto& sent = model.sent[header.producer_id];
  sent.push_back(model.batches.back());
  if (sent.size() > 5) sent.pop_front();
}

// The newest batch of a producer once more: a duplicate where the first is in the log; else, after
// a crash that lost it, as good as new.
void LogSimulation::append_again(LogModel& model, log::PartitionLog& partition,
                                 std::uint16_t core) {
  const auto producer = static_cast<std::int64_t>(prng_.below(3));
  const auto found = model.sent.find(producer);
  if (found == model.sent.end() || found->second.empty()) return;
  const ModelBatch& original = found->second[prng_.below(found->second.size())];
  const bool has_keys = std::none_of(original.records.begin(), original.records.end(),
                                     [](const ModelRecord& record) { return record.key == "-"; });
  if (model.config.rules.keys_required && !has_keys) return;
  const auto appended =
      cores_[core].log->append(partition, {.batch = original.bytes, .leader_epoch = 0},
                               world_.clock.now());
  if (!appended) {
    const Errc code = appended.error().code;
    if (code == Errc::full || code == Errc::no_space || code == Errc::fenced) return;
    world_.verdicts.broken("no_duplicate", "{}: a repeated batch at {} is refused: {}",
                           model.name(), original.base_offset, tailrace::to_string(code));
    return;
  }
  if (!appended->duplicate || appended->base_offset != original.base_offset) {
    world_.verdicts.broken("no_duplicate", "{}: the batch at {} was appended again at {}",
                           model.name(), original.base_offset, appended->base_offset);
  }
}

void LogSimulation::read() {
  LogModel* model = choose();
  const log::PartitionLog* partition = find(*model);
  if (partition->log_start() >= partition->durable_end() || reads_.size() >= 20) return;
  const auto range = static_cast<std::uint64_t>(partition->durable_end() - partition->log_start());
  OpenRead open{.core = owner(model->key), .id = {}, .key = model->key};
  open.offset = partition->log_start() + static_cast<std::int64_t>(prng_.below(range));
  open.offset_end = partition->durable_end();
  open.stable_end = partition->stable_end();
  const auto id = cores_[open.core].log->read(
      *find(*model), {.offset = open.offset, .offset_end = open.offset_end,
                      .bytes_max = static_cast<std::uint32_t>(prng_.between(1, 40'000)),
                      .at_least_one = prng_.chance(1, 2)});
  if (!id) return;
  open.id = *id;
  // The broker does not wait with it either: later, a compaction may have made them forgotten.
  open.is_told = cores_[open.core].log->get(*id).done;
  if (open.is_told) check_committed(open, cores_[open.core].log->get(*id));
  reads_.push_back(open);
}

}  // namespace tailrace::sim
