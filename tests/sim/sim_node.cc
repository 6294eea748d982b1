#include "sim_node.h"

#include <algorithm>
#include <bit>

#include "checkers/orphans.h"
#include "links/links.h"

namespace tailrace::sim {
namespace {

std::uint16_t owner_of(const log::PartitionKey& key, std::uint16_t core_count) {
  return bus::owner_core(key.topic, key.partition, core_count);
}

}  // namespace

NodeLimits draw_limits(Prng& prng, const FaultPlan& plan) {
  NodeLimits limits;
  log::Limits& l = limits.log;
  l.frame_bytes_max = static_cast<std::uint32_t>(prng.between(7, 14)) * 4096;
  l.wal_bytes = round_up(std::uint64_t{l.frame_bytes_max} * prng.between(8, 24), 4096);
  l.frame_entries_max = static_cast<std::uint32_t>(prng.between(8, 128));
  l.frames_in_flight_max = static_cast<std::uint32_t>(prng.between(1, 4));
  l.durable_writes = plan.durable_writes;
  l.cache_bytes = std::uint64_t{l.frame_bytes_max} * prng.between(6, 16);
  l.dirty_bytes_max = std::min(l.cache_bytes, l.wal_bytes) / 2;
  l.cached_batches_max = static_cast<std::uint32_t>(prng.between(16, 512));
  l.segment_write_bytes = static_cast<std::uint32_t>(prng.between(1, 8)) * 4096;
  l.segment_writes_max = static_cast<std::uint32_t>(prng.between(1, 4));
  l.read_buffer_bytes = static_cast<std::uint32_t>(prng.between(1, 16)) * 4096;
  l.read_buffer_count = static_cast<std::uint32_t>(prng.between(1, 4));
  l.reads_max = 64;
  l.partitions_max = 64;
  l.producers_max = 1024;
  l.open_files_max = static_cast<std::uint32_t>(prng.between(8, 64));
  l.index_interval_bytes = static_cast<std::uint32_t>(prng.between(1, 16)) * 512;
  l.checkpoint_interval = milliseconds(static_cast<std::int64_t>(prng.between(2, 100)));
  l.retention_check = milliseconds(static_cast<std::int64_t>(prng.between(5, 60)));
  l.free_bytes_min = std::uint64_t{64} << 10;
  l.compaction_memory_bytes = prng.between(1, 8) * 64 * log::DedupeMap::slot_bytes;
  l.compaction_bytes_per_second = std::uint64_t{1} << prng.between(22, 30);
  l.compaction_check = milliseconds(static_cast<std::int64_t>(prng.between(1, 20)));
  broker::Limits& b = limits.broker;
  b.connections_max = 64;
  b.requests_in_flight_max = static_cast<std::uint32_t>(prng.between(1, 8));
  b.requests_max = 256;
  b.control_requests_max = 64;
  b.request_bytes_max = 256U << 10;
  b.request_memory_bytes = std::uint64_t{512} << 10;
  b.answer_memory_bytes = std::uint64_t{512} << 10;
  b.cold_memory_bytes = std::uint64_t{prng.between(2, 8)} * std::bit_ceil(l.read_bytes());
  b.decode_bytes_max = 128U << 10;
  b.events_held_max = 8;
  b.fetch_bytes_max = 256U << 10;
  b.pinned_bytes_max = static_cast<std::uint32_t>(prng.between(64, 512)) << 10;
  b.splice_bytes_min = static_cast<std::uint32_t>(prng.between(1, 1024));
  b.slices_max = 256;
  b.fetch_sessions_max = static_cast<std::uint32_t>(prng.between(1, 8));
  b.partition_retry = milliseconds(20);
  limits.control.partitions_max = 64;
  limits.control.batch_bytes_max = l.batch_bytes_max();
  limits.control.request_memory_bytes = 256U << 10;
  limits.control.images_max = static_cast<std::uint32_t>(prng.between(2, 8));
  limits.control.entry_bytes_max = 16U << 10;
  limits.control.config_bytes_max = 4U << 10;
  limits.control.journal_bytes = std::uint64_t{256} << 10;
  limits.control.offsets_partitions = static_cast<std::uint32_t>(prng.between(1, 3));
  limits.control.transaction_partitions = static_cast<std::uint32_t>(prng.between(1, 3));
  limits.control.group_initial_delay = milliseconds(static_cast<std::int64_t>(prng.between(0, 5)));
  limits.control.session_timeout_min = milliseconds(1);
  limits.control.consumer_session_timeout = consumer_session;
  limits.control.group_load_retry = milliseconds(20);
  limits.control.journal_bytes_max = std::uint64_t{4} << 20;
  return limits;
}

SimNode::SimNode(World& world, std::uint64_t seed, bus::NodeId id, const FaultPlan& plan)
    : world_(world), seed_(seed), id_(id), plan_(plan), prng_(seed, "node"),
      limits_(draw_limits(prng_, plan)), faults_(plan.disk_faults),
      files_(Prng(seed, "file system")), boot_prng_(seed, "boot") {
  files_.plants.directory_sync_does_nothing = world.plant == Plant::directory_lies;
  if (plan.capacity_bytes != 0) {
    files_.set_capacity(plan.capacity_bytes + 8 * limits_.log.wal_bytes);
  }
}

SimNode::~SimNode() { destroy(false, false); }

std::unique_ptr<SimDisk> SimNode::make_disk(std::string name) {
  const Prng prng(prng_.next(), name);
  auto disk = std::make_unique<SimDisk>(files_, world_.clock, world_.trace, prng, plan_.disk_pace,
                                        faults_, std::move(name));
  disk->plant_spoil = world_.plant == Plant::spoil_block;
  return disk;
}

void SimNode::start(std::uint16_t core_count) {
  TR_ASSERT(state_ == State::down);
  ++life_;
  core_count_ = core_count;
  world_.trace.say(world_.clock.instant(), "--- start {} with {} cores", life_, core_count);
  std::vector<MutableBytes> memory;
  for (std::uint16_t i = 0; i < core_count; ++i) {
    memory_.push_back(std::make_unique<AlignedBuffer>(log::CoreLog::memory_bytes(limits_.log)));
    memory.push_back(memory_.back()->bytes());
  }
  boot_disk_ = make_disk("boot");
  core_memory_ = memory;
  boot_ = std::make_unique<log::Boot>(
      limits_.log, log::Boot::Options{.core_count = core_count, .owner_of = owner_of,
                                      .core_memory = core_memory_, .may_format = !complete_,
                                      .list = lister()},
      boot_prng_);
  why_.clear();
  state_ = State::booting;
}

bool SimNode::step_boot() {
  bool did = false;
  std::array<DiskDone, 16> done;
  const std::size_t count = boot_disk_->poll(done);
  const Now now = world_.clock.now();
  for (std::size_t i = 0; i < count; ++i) boot_->on_disk_done(done[i], now);
  boot_->step(now);
  for (const DiskClass disk_class : log::disk_classes) {
    const std::size_t taken = boot_disk_->submit(boot_->ops(disk_class));
    boot_->ops_taken(disk_class, taken);
    did = did || taken > 0;
  }
  if (boot_->failed()) {
    why_ = boot_->why();
    state_ = State::refused;
    world_.trace.say(now.instant, "--- refused to start: {}", why_);
  } else if (boot_->done() && !metadata_is_there()) {
    why_ = "metadata: missing or empty, though this directory held topics";
    state_ = State::refused;
  } else if (boot_->done()) {
    compose();
  }
  return did || count > 0;
}

log::ListDirectory SimNode::lister() {
  if (world_.plant == Plant::leave_orphans) return nullptr;
  return log::lister_of(*boot_disk_);
}

// As runtime/start_up.cc has it.
bool SimNode::metadata_is_there() const {
  return !complete_ || !files_.files("metadata").empty();
}

void SimNode::compose() {
  std::vector<std::unique_ptr<log::CoreLog>> logs = boot_->take_logs();
  TR_ASSERT(logs.size() == core_count_);
  // A removal that fails is left to the next start.
  if (boot_disk_->faults_injected() == 0) check_orphans(files_, logs, world_.verdicts);
  TR_ASSERT(boot_disk_->in_flight() == 0);
  boot_.reset();
  faults_before_ += boot_disk_->faults_injected();
  boot_disk_.reset();
  const std::size_t mailbox_messages = std::size_t{1} << prng_.between(2, 7);
  exchange_ = std::make_unique<runtime::Exchange>(core_count_, mailbox_messages);
  limits_.broker.core_count = core_count_;
  if (world_.links != nullptr) world_.links->begin_life(core_count_);
  for (std::uint16_t i = 0; i < core_count_; ++i) {
    auto core = std::make_unique<Core>();
    const std::string name = fmt::format("core {}", i);
    io::Transport& transport = make_transport(i, *core, name);
    core->disk = make_disk(name);
    core->disk->plant_sync_lies = world_.plant == Plant::sync_lies;
    core->log = std::move(logs[i]);
    core->broker = std::make_unique<broker::CoreBroker>(limits_.broker, i, *core->log,
                                                        broker::StaticConfig{"/sim", {}});
    core->data_core = std::make_unique<runtime::DataCore>(i, *core->broker, transport,
                                                          *core->disk, *exchange_);
    exchange_->set_idle(i, &core->wake);
    cores_.push_back(std::move(core));
  }
  control_disk_ = make_disk("control");
  const control::NodeSetup setup{.node_id = id_, .core_count = core_count_,
                                 .endpoints = {{"127.0.0.1", 9092}}, .rack = {}, .cluster_id = {}};
  control_ = std::make_unique<control::ControlPlane>(limits_.control, setup,
                                                     Prng(prng_.next(), "control"));
  control_thread_ = std::make_unique<runtime::ControlThread>(*control_, *control_disk_,
                                                             *exchange_);
  exchange_->set_idle(bus::control_core, &control_wake_);
  control_asleep_ = false;
  state_ = State::starting;
}

io::Transport& SimNode::make_transport(bus::CoreId index, Core& core, std::string name) {
  const Prng prng(prng_.next(), "transport");
  if (world_.links != nullptr) {
    core.link_transport = world_.links->make_transport(index, &core.wake);
    return *core.link_transport;
  }
  core.transport = std::make_unique<SimTransport>(world_.clock, world_.trace, prng,
                                                  plan_.network_pace, std::move(name));
  core.transport->plant_spoil = world_.plant == Plant::spoil_response;
  return *core.transport;
}

// A turn takes some microseconds; now and then a thread is held up for much longer.
Instant SimNode::turn_end() {
  const std::uint64_t us = prng_.chance(1, 64) ? prng_.between(100, 3000) : prng_.between(1, 15);
  return world_.clock.instant() + microseconds(static_cast<std::int64_t>(us));
}

bool SimNode::runnable(const Core& core) const {
  const Instant now = world_.clock.instant();
  if (now < core.turn_after) return false;
  return !core.asleep || core.wake.woken || core.data_core->next_deadline() <= now ||
         core.disk->next_deadline() <= now;
}

bool SimNode::control_runnable() const {
  const Instant now = world_.clock.instant();
  if (now < control_after_) return false;
  return !control_asleep_ || control_wake_.woken || control_thread_->next_deadline() <= now ||
         control_disk_->next_deadline() <= now;
}

// As run_until_stopped() has it, a turn at a time.
bool SimNode::step_core(bus::CoreId index, Core& core) {
  if (!runnable(core)) return false;
  if (core.asleep) exchange_->end_sleep(index);
  core.asleep = core.wake.woken = false;
  const std::size_t work = core.data_core->run_once(world_.clock.now());
  world_.trace.add((std::uint64_t{index} << 32) | work);
  core.turn_after = turn_end();
  if (work == 0) core.asleep = exchange_->prepare_sleep(index);
  return true;
}

bool SimNode::step_control() {
  if (!control_runnable()) return false;
  if (control_asleep_) exchange_->end_sleep(bus::control_core);
  control_asleep_ = control_wake_.woken = false;
  const std::size_t work = control_thread_->run_once(world_.clock.now());
  world_.trace.add((std::uint64_t{bus::control_core} << 32) | work);
  control_after_ = turn_end();
  if (work == 0) control_asleep_ = exchange_->prepare_sleep(bus::control_core);
  return true;
}

bool SimNode::step() {
  switch (state_) {
    case State::down:
    case State::refused: return false;
    case State::booting: return step_boot();
    case State::starting:
    case State::serving:
    case State::stopping:
    case State::failed: break;
  }
  if (world_.plant == Plant::stall && world_.quiet) return false;
  bool ran = false;
  const std::size_t threads = cores_.size() + 1;
  const std::size_t first = prng_.below(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    const std::size_t index = (first + i) % threads;
    ran |= index == cores_.size() ? step_control()
                                  : step_core(static_cast<bus::CoreId>(index), *cores_[index]);
  }
  if (ran) look_at_state();
  return ran;
}

void SimNode::look_at_state() {
  check_memory();
  if (state_ == State::starting && control_->ready()) {
    state_ = State::serving;
    complete_ = true;
  }
  bool fenced = control_->failed();
  bool finished = state_ == State::stopping;
  for (const auto& core : cores_) {
    fenced = fenced || core->log->fenced();
    finished = finished && core->data_core->finished();
  }
  if (finished) return destroy(false, false);
  if (!fenced || state_ == State::failed || state_ == State::stopping) return;
  why_ = control_->failed() ? control_->why() : "a core's log is fenced";
  state_ = State::failed;
  world_.trace.say(world_.clock.instant(), "--- failed: {}", why_);
}

Instant SimNode::next_deadline() const {
  switch (state_) {
    case State::down:
    case State::refused: return never();
    case State::booting: return boot_disk_->next_deadline();
    case State::starting:
    case State::serving:
    case State::stopping:
    case State::failed: break;
  }
  if (world_.plant == Plant::stall && world_.quiet) return never();
  Instant earliest = never();
  for (const auto& core : cores_) {
    const bool now = !core->asleep || core->wake.woken;
    const Instant due = now ? core->turn_after
                            : std::min(core->data_core->next_deadline(),
                                       core->disk->next_deadline());
    earliest = std::min(earliest, std::max(due, core->turn_after));
  }
  const bool now = !control_asleep_ || control_wake_.woken;
  const Instant due = now ? control_after_ : std::min(control_thread_->next_deadline(),
                                                      control_disk_->next_deadline());
  return std::min(earliest, std::max(due, control_after_));
}

void SimNode::begin_stop() {
  if (state_ != State::serving) return crash(false);  // A signal that comes early kills.
  world_.trace.say(world_.clock.instant(), "--- stop");
  state_ = State::stopping;
  for (const auto& core : cores_) {
    core->data_core->request_stop();
    core->wake.wake();
  }
}

void SimNode::crash(bool power_cut) {
  if (state_ == State::down) return;
  world_.trace.say(world_.clock.instant(), "--- {}", power_cut ? "power cut" : "kill");
  destroy(true, power_cut);
}

void SimNode::destroy(bool crashed, bool power_cut) {
  faults_before_ = faults_injected();
  check_misuse();
  if (crashed) {
    if (boot_disk_ != nullptr) boot_disk_->crash(power_cut);
    for (const auto& core : cores_) core->disk->crash(power_cut);
    if (control_disk_ != nullptr) control_disk_->crash(power_cut);
    if (power_cut) files_.power_cut(plan_.disk_faults.garbage);
  }
  for (bus::CoreId i = 0; i < cores_.size(); ++i) {
    const std::unique_ptr<Core>& core = cores_[i];
    core->data_core.reset();
    // Before the memory that it sends from, the control plane's answers too, as Appliance has it.
    if (core->link_transport != nullptr) world_.links->remove(i, crashed);
    core->link_transport.reset();
    core->broker.reset();
    core->log.reset();
  }
  cores_.clear();
  control_thread_.reset();
  control_.reset();
  boot_.reset();
  boot_disk_.reset();
  control_disk_.reset();
  exchange_.reset();
  memory_.clear();
  state_ = State::down;
}

void SimNode::heal() {
  faults_ = DiskFaults{.garbage = faults_.garbage};
  files_.set_capacity(std::uint64_t{1} << 40);
}

std::uint64_t SimNode::faults_injected() const {
  std::uint64_t count = faults_before_;
  if (boot_disk_ != nullptr) count += boot_disk_->faults_injected();
  if (control_disk_ != nullptr) count += control_disk_->faults_injected();
  for (const auto& core : cores_) count += core->disk->faults_injected();
  return count;
}

std::string SimNode::what_is_left() const {
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    if (cores_[i]->link_transport == nullptr) continue;
    const std::string left = cores_[i]->link_transport->what_is_left();
    if (!left.empty()) return fmt::format("core {}: {}", i, left);
  }
  return {};
}

void SimNode::rot(bool wal) {
  const auto files = files_.files(wal ? "wal" : "topics");
  if (files.empty()) return;
  const auto& [path, inode] = files[prng_.below(files.size())];
  if (wal ? !path.ends_with(".wal") : !path.ends_with(".log")) return;
  if (!files_.rot(*inode)) return;
  world_.trace.say(world_.clock.instant(), "--- a bit of {} flips", path);
  (wal ? rotted_wal_ : rotted_segment_) = true;
}

// Every queue has a bound, whatever the clients do.
void SimNode::check_memory() {
  constexpr std::size_t ops_max = 1024;
  if (world_.plant == Plant::leak) ++leaked_;
  for (const auto& core : cores_) {
    for (const DiskClass disk_class : log::disk_classes) {
      const std::size_t count = core->broker->ops(disk_class).size();
      if (count <= ops_max) continue;
      world_.verdicts.broken("bounded_memory", "{} disk operations of class {} wait", count,
                             static_cast<int>(disk_class));
    }
    const std::size_t stream_ops = core->broker->stream_ops().size();
    const std::size_t messages = core->broker->messages().size() + leaked_;
    if (stream_ops > ops_max || messages > ops_max) {
      world_.verdicts.broken("bounded_memory", "{} stream operations and {} messages wait",
                             stream_ops, messages);
    }
  }
}

void SimNode::check_misuse() {
  for (bus::CoreId i = 0; i < cores_.size(); ++i) {
    const std::unique_ptr<Core>& core = cores_[i];
    if (core->link_transport != nullptr) {
      world_.links->check(*core->link_transport, fmt::format("core {}", i));
    }
    if (core->transport != nullptr && core->transport->misuses() > 0) {
      world_.verdicts.broken("seams", "{} calls named a token or connection that is not there",
                             core->transport->misuses());
    }
    if (core->disk->blocks_changed() > 0) {
      world_.verdicts.broken("seams", "{} blocks changed while they were written",
                             core->disk->blocks_changed());
    }
  }
}

}  // namespace tailrace::sim
