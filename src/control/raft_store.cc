#include "control/raft_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"

namespace tailrace::control {
namespace {

constexpr std::string_view directory = "metadata";
constexpr std::string_view names[] = {"metadata/journal-0", "metadata/journal-1"};
constexpr std::string_view new_names[] = {"metadata/journal-0.new", "metadata/journal-1.new"};
constexpr Duration grow_pause = seconds(10);

std::string_view error_text(std::int64_t result) {
  switch (-result) {
    case ENOSPC: return "the disk is full";
    case EIO: return "the device reports an error";
    case EACCES: return "permission denied";
    case EROFS: return "the file system is read-only";
    default: return "the operation failed";
  }
}

}  // namespace

RaftStore::RaftStore(const Limits& limits, const raft::Configuration& founder, Prng& prng)
    : limits_(limits),
      payload_bytes_max_(std::size_t{2} * limits.entry_bytes_max),
      // Room for a mark and for a few of the largest groups, whatever the metadata take.
      reserve_bytes_(4 * group_bytes(payload_bytes_max_)),
      founder_(founder),
      prng_(prng),
      buffer_(group_bytes(payload_bytes_max_)),
      zeros_(payload_bytes_max_) {
  TR_ASSERT(limits.entry_bytes_max >= 2048);
  TR_ASSERT(limits.entry_bytes_max % 2048 == 0);
  TR_ASSERT(limits.journal_bytes >= reserve_bytes_ + group_bytes(payload_bytes_max_));
  TR_ASSERT(limits.journal_bytes % disk_block_bytes == 0);
}

// What `payload` takes as base groups.
std::uint64_t RaftStore::base_group_bytes(std::uint64_t payload) const {
  const std::uint64_t whole = payload / payload_bytes_max_;
  return whole * group_bytes(payload_bytes_max_) + group_bytes(payload % payload_bytes_max_);
}

void RaftStore::persist(raft::Update& update) {
  if (update.hard_state) hard_state_ = update.hard_state;
  for (raft::Entry& entry : update.entries) {
    // An entry replaces those at and after its index, also among the waiting ones.
    while (!entries_.empty() && entries_.back().index >= entry.index) entries_.pop_back();
    entries_.push_back(std::move(entry));
  }
  update.entries.clear();
}

std::optional<RaftStore::Persisted> RaftStore::take_persisted() {
  return std::exchange(persisted_, std::nullopt);
}

std::optional<raft::Index> RaftStore::take_compacted() {
  return std::exchange(compacted_, std::nullopt);
}

void RaftStore::write_snapshot(const raft::HardState& state, const raft::Snapshot& snapshot,
                               std::span<const raft::Entry> rest) {
  TR_ASSERT(phase_ == Phase::idle);
  TR_ASSERT(step_ == Step::none);
  base_index_ = snapshot.index;
  std::vector<std::byte> base = encode_base(state, snapshot, rest);
  const std::size_t next = 1 - open_;
  if (base_group_bytes(base.size()) + group_bytes(payload_bytes_max_) > journals_[next].capacity) {
    return fail_with("metadata: the journal files are too small for the metadata they hold");
  }
  mark_is_due_ = true;
  mark_pos_ = end_pos_;
  mark_ = {store_, generation_, sequence_, GroupKind::moved, last_crc_};
  start_base(std::move(base), next, generation_ + 1);
}

std::uint64_t RaftStore::base_bytes_max() const {
  const std::uint64_t capacity = std::min(journals_[0].capacity, journals_[1].capacity);
  return capacity > reserve_bytes_ ? capacity - reserve_bytes_ : 0;
}

std::uint64_t RaftStore::growing_room() const {
  const std::uint64_t used = base_group_bytes(state_bytes_);
  return base_bytes_max() > used ? base_bytes_max() - used : 0;
}

// Twice the metadata, so that compaction is rare and growth is asked for long before it is due.
// 0: the files are large enough.
std::uint64_t RaftStore::wanted_capacity() const {
  const std::uint64_t wanted = 2 * base_group_bytes(state_bytes_) + reserve_bytes_;
  if (wanted <= std::min(journals_[0].capacity, journals_[1].capacity)) return 0;
  return std::min(round_up(wanted, limits_.journal_bytes), limits_.journal_bytes_max);
}

void RaftStore::submit(Step step, DiskOp op) {
  TR_ASSERT(step_ == Step::none);
  step_ = step;
  op.tag = static_cast<std::uint64_t>(step);
  ops_.push_back(op);
}

void RaftStore::ops_taken(std::size_t count) {
  ops_.erase(ops_.begin(), ops_.begin() + static_cast<std::ptrdiff_t>(count));
}

void RaftStore::fail_with(std::string why) {
  if (phase_ == Phase::failed) return;
  phase_ = Phase::failed;
  why_ = std::move(why);
}

// ---------------------------------------------------------------- events

void RaftStore::step(Now now) {
  if (phase_ == Phase::starting && step_ == Step::none) {
    submit(Step::make_directory, {.kind = DiskOpKind::make_directory, .name = directory});
    return;
  }
  if (phase_ != Phase::idle || step_ != Step::none) return;
  if (hard_state_ || !entries_.empty()) return write_log();
  if (grow_again_ != never() && now.instant < grow_again_) return;
  grow_again_ = never();
  const std::uint64_t wanted = wanted_capacity();
  for (std::size_t i = 0; i < 2; ++i) {
    if (journals_[i].capacity >= wanted) continue;
    phase_ = Phase::growing;
    loading_ = i;
    fill_from_ = fill_pos_ = journals_[i].capacity;
    fill_to_ = wanted;
    return fill_more();
  }
}

void RaftStore::on_disk_done(const DiskDone& done, Now now) {
  TR_ASSERT(done.tag == static_cast<std::uint64_t>(step_));
  if (phase_ == Phase::failed) {
    step_ = Step::none;
    return;
  }
  switch (step_) {
    case Step::none: TR_ASSERT(false); break;
    case Step::make_directory:
    case Step::sync_name:
      if (take_result(done)) sync_names();
      return;
    case Step::open: return on_open_done(done);
    case Step::read: return on_read_done(done);
    case Step::fill:
    case Step::fill_sync: return on_fill_done(done, now);
    case Step::place:
      if (take_result(done)) place_next();
      return;
    case Step::write:
      if (take_result(done)) on_write_done();
      return;
    case Step::sync:
      if (take_result(done)) on_sync_done();
      return;
  }
}

// False, and failed, when the operation did not do all it should.
bool RaftStore::take_result(const DiskDone& done) {
  const Step step = std::exchange(step_, Step::none);
  if (step == Step::write && done.result >= 0 &&
      static_cast<std::uint64_t>(done.result) != write_bytes_) {
    fail_with(fmt::format("{}: a write was cut short", directory));
    return false;
  }
  if (done.result < 0) {
    fail_with(fmt::format("{}: {} (errno {}) while {}", directory, error_text(done.result),
                          -done.result, step == Step::write ? "writing" : "syncing or opening"));
    return false;
  }
  return true;
}

// ---------------------------------------------------------------- start

// Names that an earlier start made, but did not live to sync, are relied upon from now on.
void RaftStore::sync_names() {
  constexpr std::string_view places[] = {directory, "."};
  if (names_synced_ == std::size(places)) return open_next(names, open_buffered);
  submit(Step::sync_name,
         {.kind = DiskOpKind::sync_directory, .name = places[names_synced_++]});
}

void RaftStore::open_next(const std::string_view (&from)[2], std::uint8_t flags) {
  submit(Step::open, {.kind = DiskOpKind::open, .flags = flags, .name = from[loading_]});
}

void RaftStore::on_open_done(const DiskDone& done) {
  if (phase_ == Phase::starting && done.result == -ENOENT) {
    step_ = Step::none;
    if (loading_ == 1) return fail_with(fmt::format("{} is missing", names[1]));
    phase_ = Phase::formatting;
    return open_next(new_names, open_create | open_buffered);
  }
  if (!take_result(done)) return;
  journals_[loading_++].file = static_cast<FileId>(done.result);
  const bool formats = phase_ == Phase::formatting;
  if (loading_ < 2) {
    return formats ? open_next(new_names, open_create | open_buffered)
                   : open_next(names, open_buffered);
  }
  loading_ = 0;
  if (formats) return format();
  phase_ = Phase::loading;
  read_more();
}

void RaftStore::read_more() {
  submit(Step::read, {.kind = DiskOpKind::read, .file = journals_[loading_].file,
                      .file_pos = journals_[loading_].bytes.size(),
                      .block = buffer_.bytes()});
}

void RaftStore::on_read_done(const DiskDone& done) {
  step_ = Step::none;
  if (done.result < 0) {
    return fail_with(fmt::format("{}: {} (errno {}) while reading at byte {}", names[loading_],
                                 error_text(done.result), -done.result,
                                 journals_[loading_].bytes.size()));
  }
  const Bytes read = buffer_.bytes().first(static_cast<std::size_t>(done.result));
  std::vector<std::byte>& bytes = journals_[loading_].bytes;
  bytes.insert(bytes.end(), read.begin(), read.end());
  if (bytes.size() > limits_.journal_bytes_max) {
    return fail_with(fmt::format("{}: larger than the {} bytes a journal may have",
                                 names[loading_], limits_.journal_bytes_max));
  }
  if (!read.empty()) return read_more();
  if (++loading_ < 2) return read_more();
  choose_journal();
}

// The newest whole generation counts, unless something newer is known to have been there.
void RaftStore::choose_journal() {
  JournalScan scans[2];
  for (std::size_t i = 0; i < 2; ++i) {
    scans[i] = scan_journal(journals_[i].bytes);
    journals_[i].capacity = round_down(journals_[i].bytes.size(), disk_block_bytes);
    journals_[i].bytes = {};
  }
  const bool whole_0 = scans[0].state == JournalState::whole;
  const bool whole_1 = scans[1].state == JournalState::whole;
  const bool second = whole_1 && (!whole_0 || scans[1].generation > scans[0].generation);
  const std::size_t newest = second ? 1 : 0;
  const JournalScan& other = scans[1 - newest];
  const bool found = whole_0 || whole_1;
  for (std::size_t i = 0; i < 2; ++i) {
    if (scans[i].state != JournalState::damaged) continue;
    if (found && scans[newest].generation > scans[i].generation) continue;
    return fail_with(fmt::format(
        "{} is damaged at byte {}: {}. Acknowledged changes lie behind the damage, so the node "
        "does not start with less; 'tailrace dump' shows what can be read",
        names[i], scans[i].damage_pos, scans[i].why));
  }
  if (found && scans[newest].moved) {
    return fail_with(fmt::format(
        "{} says that the metadata went on in {}, but that file cannot be read there",
        names[newest], names[1 - newest]));
  }
  if (found) {
    mark_is_due_ = other.state == JournalState::whole && !other.moved;
    mark_pos_ = other.end_pos;
    mark_ = {other.store, other.generation, other.sequence_next, GroupKind::moved,
             other.last_crc};
    return use_journal(newest, scans[newest]);
  }
  fail_with(fmt::format("{}: neither {} nor {} has a readable start; 'tailrace dump' shows what is "
                        "there", directory, names[0], names[1]));
}

void RaftStore::use_journal(std::size_t number, JournalScan& scan) {
  open_ = number;
  store_ = scan.store;
  generation_ = scan.generation;
  sequence_ = scan.sequence_next;
  last_crc_ = scan.last_crc;
  end_pos_ = scan.end_pos;
  if (scan.torn_tail) {
    log_event(LogLevel::warn, "control",
              "{}: a write that was cut off at byte {} is dropped; nobody was told that it had "
              "happened", names[number], end_pos_);
  }
  recovered_ = std::move(scan.recovered);
  // A file cut to less than the other (an old crash while growing) grows again by itself.
  if (mark_is_due_ && mark_pos_ + disk_block_bytes <= journals_[1 - number].capacity) {
    return write_mark();
  }
  mark_is_due_ = false;
  phase_ = Phase::idle;
  loaded_ = true;
}

void RaftStore::format() {
  fill_from_ = fill_pos_ = 0;
  fill_to_ = limits_.journal_bytes;
  fill_more();
}

void RaftStore::fill_more() {
  const std::uint64_t bytes = std::min<std::uint64_t>(zeros_.size(), fill_to_ - fill_pos_);
  submit(Step::fill, {.kind = DiskOpKind::write, .file = journals_[loading_].file,
                      .file_pos = fill_pos_, .block = zeros_.bytes().first(bytes)});
}

void RaftStore::on_fill_done(const DiskDone& done, Now now) {
  const Step step = std::exchange(step_, Step::none);
  const bool growing = phase_ == Phase::growing;
  const std::uint64_t bytes = std::min<std::uint64_t>(zeros_.size(), fill_to_ - fill_pos_);
  const bool written = done.result == static_cast<std::int64_t>(bytes);
  if (step == Step::fill && !written) {
    // Nothing that counts was touched, so a full disk only postpones.
    if (growing) return refuse_growth(now);
    return fail_with(fmt::format("{}: {} while making it ({} bytes are needed)",
                                 names[loading_], error_text(done.result < 0 ? done.result
                                                                             : -ENOSPC),
                                 2 * limits_.journal_bytes));
  }
  if (step == Step::fill) {
    fill_pos_ += bytes;
    if (fill_pos_ < fill_to_) return fill_more();
    return submit(Step::fill_sync, {.kind = DiskOpKind::sync, .file = journals_[loading_].file});
  }
  if (done.result < 0) {
    return fail_with(fmt::format("{}: {} while syncing it", names[loading_],
                                 error_text(done.result)));
  }
  journals_[loading_].capacity = fill_to_;
  if (growing) {
    phase_ = Phase::idle;
    return;
  }
  if (++loading_ < 2) {
    fill_pos_ = 0;
    return fill_more();
  }
  on_filled();
}

void RaftStore::refuse_growth(Now now) {
  if (grow_again_ == never()) {
    log_event(LogLevel::warn, "control",
              "{}: no space to grow; topics can be deleted, and made while {} bytes last",
              names[loading_], growing_room());
  }
  phase_ = Phase::idle;
  grow_again_ = now.instant + grow_pause;
}

// Generation 1: nothing happened yet, and this node is the only voter.
void RaftStore::on_filled() {
  store_ = random_uuid(prng_);
  recovered_ = {};
  recovered_.snapshot.configuration = founder_;
  start_base(encode_base(recovered_.hard_state, recovered_.snapshot, {}), 0, 1);
}

// The journals get their names, the first one last, and the names become durable.
void RaftStore::place_next() {
  phase_ = Phase::placing;
  const DiskOp steps[] = {
      {.kind = DiskOpKind::rename, .name = new_names[1], .name_to = names[1]},
      {.kind = DiskOpKind::sync_directory, .name = directory},
      {.kind = DiskOpKind::rename, .name = new_names[0], .name_to = names[0]},
      {.kind = DiskOpKind::sync_directory, .name = directory},
      {.kind = DiskOpKind::sync_directory, .name = std::string_view(".")},
  };
  if (placing_ < std::size(steps)) return submit(Step::place, steps[placing_++]);
  phase_ = Phase::idle;
  loaded_ = true;
}

// ---------------------------------------------------------------- writing

void RaftStore::start_base(std::vector<std::byte> base, std::size_t number,
                           std::uint64_t generation) {
  phase_ = Phase::basing;
  wants_snapshot_ = false;
  base_ = std::move(base);
  base_written_ = 0;
  open_ = number;
  generation_ = generation;
  sequence_ = 0;
  last_crc_ = 0;
  end_pos_ = 0;
  write_base_part();
}

void RaftStore::write_base_part() {
  const std::size_t left = base_.size() - base_written_;
  const std::size_t size = std::min(left, payload_bytes_max_);
  const GroupKind kind = size == left ? GroupKind::base_last : GroupKind::base;
  const Bytes payload = Bytes(base_).subspan(base_written_, size);
  base_written_ += size;
  write_group(open_, {store_, generation_, sequence_, kind, last_crc_}, end_pos_, payload);
}

void RaftStore::write_mark() {
  phase_ = Phase::marking;
  const MutableBytes to = buffer_.bytes().first(group_bytes(0));
  seal_group(mark_, to, 0);
  write_bytes_ = to.size();
  submit(Step::write, {.kind = DiskOpKind::write, .file = journals_[1 - open_].file,
                       .file_pos = mark_pos_, .block = to});
}

bool RaftStore::has_room_for(std::uint64_t bytes) const {
  // One block stays free for the mark.
  return end_pos_ + bytes + disk_block_bytes <= journals_[open_].capacity;
}

void RaftStore::write_log() {
  std::vector<std::byte> payload;
  if (hard_state_) put_hard_state(payload, *hard_state_);
  std::size_t count = 0;
  for (const raft::Entry& entry : entries_) {
    if (payload.size() + entry_item_bytes(entry) > payload_bytes_max_) break;
    put_entry(payload, entry);
    ++count;
  }
  TR_ASSERT(!payload.empty());
  if (!has_room_for(group_bytes(payload.size()))) {
    wants_snapshot_ = true;
    return;
  }
  hard_state_.reset();
  writing_ = {};
  for (std::size_t i = 0; i < count; ++i) {
    writing_ = {entries_.front().index, entries_.front().term};
    entries_.pop_front();
  }
  phase_ = Phase::writing_log;
  write_group(open_, {store_, generation_, sequence_, GroupKind::log, last_crc_}, end_pos_,
              payload);
}

void RaftStore::write_group(std::size_t number, const GroupHeader& header, std::uint64_t pos,
                            Bytes payload) {
  const MutableBytes to = buffer_.bytes().first(group_bytes(payload.size()));
  if (!payload.empty()) std::memcpy(to.data() + group_header_bytes, payload.data(), payload.size());
  last_crc_ = seal_group(header, to, payload.size());
  ++sequence_;
  write_bytes_ = to.size();
  end_pos_ = pos + to.size();
  TR_ASSERT(end_pos_ <= journals_[number].capacity);
  submit(Step::write, {.kind = DiskOpKind::write, .file = journals_[number].file,
                       .file_pos = pos, .block = to});
}

void RaftStore::on_write_done() {
  if (phase_ == Phase::basing && base_written_ < base_.size()) return write_base_part();
  const std::size_t number = phase_ == Phase::marking ? 1 - open_ : open_;
  submit(Step::sync, {.kind = DiskOpKind::sync, .file = journals_[number].file});
}

void RaftStore::on_sync_done() {
  switch (phase_) {
    case Phase::basing:
      base_ = {};
      return mark_is_due_ ? write_mark() : place_next();
    case Phase::marking:
      mark_is_due_ = false;
      phase_ = Phase::idle;
      if (loaded_) compacted_ = base_index_;
      loaded_ = true;
      return;
    case Phase::writing_log:
      phase_ = Phase::idle;
      if (writing_.index > 0) persisted_ = writing_;
      return;
    case Phase::starting:
    case Phase::loading:
    case Phase::formatting:
    case Phase::placing:
    case Phase::idle:
    case Phase::growing:
    case Phase::failed:
      break;  // They sync with steps of their own.
  }
  TR_ASSERT(false);
}

}  // namespace tailrace::control
