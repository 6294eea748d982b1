#include "log/core_log.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/crc32c.h"
#include "base/log.h"

namespace tailrace::log {
namespace {

std::size_t cache_bytes(const Limits& limits) {
  return limits.cache_bytes / limits.frame_bytes_max * limits.frame_bytes_max;
}
std::size_t write_bytes(const Limits& limits) {
  return limits.segment_writes_max * SegmentWriter::buffer_bytes(limits);
}
std::size_t read_bytes(const Limits& limits) {
  return std::size_t{limits.read_buffer_count} * limits.read_bytes();
}
void mirror(Counter& counter, std::uint64_t total) { counter.add(total - counter.load()); }

}  // namespace

std::size_t CoreLog::memory_bytes(const Limits& limits) {
  return cache_bytes(limits) + write_bytes(limits) + read_bytes(limits) +
         Compactor::memory_bytes(limits);
}

CoreLog::CoreLog(const Limits& limits, MutableBytes memory)
    : limits_(limits),
      cache_(memory.first(cache_bytes(limits)), limits.frame_bytes_max),
      commit_(limits, cache_, queue_),
      files_(limits.open_files_max, queue_),
      writer_(limits, memory.subspan(cache_bytes(limits), write_bytes(limits)), files_, queue_),
      reader_(limits,
              memory.subspan(cache_bytes(limits) + write_bytes(limits), read_bytes(limits)), files_,
              queue_),
      checker_(limits.decompressed_bytes_max(), limits.batch_bytes_max()),
      partitions_(limits.partitions_max),
      flusher_(limits, {partitions_, commit_, cache_, files_, writer_, queue_}),
      reads_(limits, {partitions_, cache_, reader_, checker_}),
      compactor_(limits,
                 memory.subspan(cache_bytes(limits) + write_bytes(limits) + read_bytes(limits),
                                Compactor::memory_bytes(limits)),
                 {partitions_, commit_, files_, reader_, flusher_, checker_, queue_}),
      tail_loads_(tail_loads_max) {
  TR_ASSERT(memory.size() >= memory_bytes(limits));
  by_key_.reserve(limits.partitions_max);
}

// ---- partitions

Result<PartitionLog*> CoreLog::create(const PartitionKey& key, const PartitionConfig& config,
                                      Now now) {
  (void)now;
  if (by_key_.contains(key)) return fail(Errc::already_exists);
  const PartitionId id = partitions_.insert(key, limits_);
  if (id.is_null()) return fail(Errc::full);
  by_key_.emplace(key, id);
  PartitionLog& partition = partitions_.at(id);
  partition.id_ = id;
  set_config(partition, config);
  return &partition;
}

PartitionLog* CoreLog::find(const PartitionKey& key) {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &partitions_.at(found->second);
}

std::vector<PartitionLog*> CoreLog::partitions() {
  std::vector<PartitionLog*> all;
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    PartitionLog* partition = partitions_.at_index(i);
    if (partition != nullptr && !partition->removing_) all.push_back(partition);
  }
  return all;
}

void CoreLog::set_config(PartitionLog& partition, const PartitionConfig& config) {
  partition.config_ = config;
  partition.config_.batch_bytes_max =
      std::min<std::int64_t>(config.batch_bytes_max, limits_.batch_bytes_max());
  if (config.compaction.compacts) compactor_.look_soon();
}

void CoreLog::remove(PartitionLog& partition) {
  TR_ASSERT(!partition.removing_);
  const PartitionId id = partition.id_;
  reads_.end_reads_of(id);
  partition.removing_ = true;
  by_key_.erase(partition.key());
  removing_.push_back(id);
}

void CoreLog::finish_removals() {
  if (wal_.closing) return;  // The next start sees that nobody wants them.
  std::erase_if(removing_, [&](PartitionId id) {
    PartitionLog& partition = partitions_.at(id);
    if (partition.jobs_ > 0 || compactor_.works_on(id)) return false;
    // The files wait for this entry: a replay that knows the partition but not its end would
    // write into files that are not there.
    const Result<CommitLog::Draft> draft = commit_.begin(0);
    if (!draft) return false;
    remove_files_of(partition,
                    commit_.finish({.kind = EntryKind::remove, .key = partition.key()}));
    partitions_.erase(id);
    return true;
  });
}

// Nothing of it is wanted in memory or, once `seq` is durable, on disk.
void CoreLog::remove_files_of(PartitionLog& partition, std::uint64_t seq) {
  TR_ASSERT(partition.reads_ == 0);
  partition.on_written({INT64_MAX, 0}, cache_);
  TR_ASSERT(!partition.has_unwritten());
  reader_.forget(partition.key());
  for (const SegmentInfo& segment : partition.segments_) {
    flusher_.remove_file(segment_path(partition.key(), segment), seq);
    flusher_.remove_file(index_path(partition.key(), segment), seq);
  }
  flusher_.remove_all_replaced(partition_directory(partition.key()), seq);
  flusher_.remove_directory(partition_directory(partition.key()), seq);
  flusher_.remove_directory(topic_directory(partition.key().topic), seq);
}

// ---- appending

struct CoreLog::Stamp {
  record::BatchHeader header;
  std::int64_t max_timestamp = -1;
  std::int64_t max_timestamp_offset = -1;
  std::int64_t log_append_time_ms = -1;
};

Result<void> CoreLog::check_room(Now now) const {
  (void)now;
  if (stopping_ || fenced()) return fail(Errc::fenced);
  if (wal_.file == no_file) return fail(Errc::full);  // Being opened.
  if (refuses_for_space()) return fail(Errc::no_space);
  if (flusher_.replay_bytes() >= limits_.dirty_bytes_max) return fail(Errc::full);
  if (cached_batches_ >= limits_.cached_batches_max) return fail(Errc::full);
  return {};
}

Result<Appended> CoreLog::append(PartitionLog& partition, const AppendRequest& request, Now now) {
  TR_ASSERT(!partition.removing_);
  if (const auto room = check_room(now); !room) return fail(room.error());
  const Result<record::BatchView> view = record::parse_batch(request.batch);
  if (!view) return fail(view.error());
  if (view->bytes.size() != request.batch.size()) return fail(Errc::malformed);
  const record::BatchRules& rules = partition.config_.rules;
  Bytes batch = request.batch;
  const bool is_marker =
      request.origin == record::BatchOrigin::coordinator && view->header.is_control();
  if (is_marker) return stage(partition, partition.id_, batch, request, now);  // As it is.
  if (batch.size() > static_cast<std::uint64_t>(partition.config_.batch_bytes_max)) {
    return fail(Errc::too_large);
  }
  if (rules.compression >= 0 && rules.compression != view->header.codec_bits()) {
    if (!record::crc_matches(batch)) return fail(Errc::corrupt);
    const auto checked = checker_.check(*view, rules, now.wall_ms, request.origin);
    if (!checked) return fail(checked.error());
    const Result<Bytes> rebuilt = checker_.with_codec(*view, rules);
    if (!rebuilt) return fail(rebuilt.error());
    if (rebuilt->size() > limits_.batch_bytes_max()) return fail(Errc::too_large);
    batch = *rebuilt;
  }
  return stage(partition, partition.id_, batch, request, now);
}

// The bytes go into the open frame first, with their CRC computed on the way, and are checked
// there: one pass over memory, and what is checked is what is written.
Result<Appended> CoreLog::stage(PartitionLog& partition, PartitionId id, Bytes batch,
                                const AppendRequest& request, Now now) {
  const PartitionConfig& config = partition.config_;
  const bool rolls = partition.segments_.empty() || partition.roll_next_ ||
                     should_roll(partition.active(), batch.size(), config.segment_bytes,
                                 config.segment_ms, now.wall_ms);
  if (!rolls) {
    if (!partition.tail_known()) {
      load_tail(partition, id);
      return fail(Errc::full);
    }
    if (const auto logged = log_tail(partition); !logged) return fail(logged.error());
  }
  const Result<CommitLog::Draft> draft = commit_.begin(batch.size());
  if (!draft) return fail(draft.error());
  std::byte* to = draft->payload.data();
  std::memcpy(to, batch.data(), record::crc_start);
  const std::uint32_t crc =
      copy_and_crc32c(to + record::crc_start, batch.subspan(record::crc_start));
  const auto give_up = [&](Error error) {
    commit_.abandon();
    return fail(error);
  };
  const record::BatchView view{*record::parse_header(draft->payload), draft->payload};
  if (crc != view.header.crc) return give_up({Errc::corrupt});
  const Result<record::CheckedBatch> checked =
      checker_.check(view, config.rules, now.wall_ms, request.origin);
  if (!checked) return give_up(checked.error());
  if (view.header.has_producer()) {
    const Result<Appended> repeated = find_repeated(partition, view, request);
    if (!repeated) return give_up(repeated.error());
    if (repeated->duplicate) {
      commit_.abandon();
      return repeated;
    }
  }
  const Stamp stamp = stamp_batch(partition, draft->payload, *checked, request, now);
  book(partition, id, *draft, draft->payload, stamp, rolls, now);
  // Until the file system is asked again, or a fast producer would be far beyond the limit by then.
  usable_bytes_ -= std::min<std::uint64_t>(usable_bytes_, batch.size());
  return Appended{.base_offset = stamp.header.base_offset,
                  .end_offset = stamp.header.last_offset() + 1,
                  .log_append_time_ms = stamp.log_append_time_ms};
}

// What the state of a batch's producer says to it: an error, what it repeats, or nothing.
Result<Appended> CoreLog::find_repeated(PartitionLog& partition, const record::BatchView& view,
                                        const AppendRequest& request) {
  const record::BatchHeader& header = view.header;
  const ProducerTable& producers = partition.producers_;
  if (header.is_control()) {
    const Result<record::TransactionMarker> marker = record::marker_of(view);
    if (!marker) return fail(Errc::malformed);
    const Result<bool> repeats =
        producers.check_marker(header, *marker, request.transaction_version);
    if (!repeats) return fail(repeats.error());
    // The marker that it repeats lies somewhere before.
    return Appended{.end_offset = partition.staged_end_, .duplicate = *repeats};
  }
  const bool must_begin = request.epoch_per_transaction && header.is_transactional();
  const auto verdict = producers.check(header, must_begin);
  if (!verdict) return fail(verdict.error());
  if (verdict->duplicate) {
    const bool stamps = partition.config_.rules.log_append_time;
    return Appended{.base_offset = verdict->original.base_offset,
                    .end_offset = verdict->original.last_offset + 1,
                    .log_append_time_ms = stamps ? verdict->original.timestamp_ms : -1,
                    .duplicate = true};
  }
  const bool needs_word = header.is_transactional() &&
                          !producers.in_transaction(header.producer_id, header.producer_epoch);
  if (!needs_word) return Appended{};
  const bool has_word = request.origin == record::BatchOrigin::coordinator ||
                        (request.is_verified &&
                         producers.guard_holds(header, request.guard,
                                               request.epoch_per_transaction));
  if (!has_word) return fail(Errc::wrong_transaction);
  if (!producers.has_open(header.producer_id) && !may_open_transaction()) {
    return fail(Errc::over_limit);
  }
  return Appended{};
}

bool CoreLog::may_open_transaction() {
  if (transactions_ < limits_.transactions_max) return true;
  transactions_ = 0;
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    const PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr) continue;
    transactions_ += partition->producers_.open_count();
    transactions_ += partition->transactions_.aborted().size();
  }
  if (transactions_ >= limits_.transactions_max / 2) compactor_.shed_aborted();
  return transactions_ < limits_.transactions_max;
}

// See EntryKind::tail and flusher.h.
Result<void> CoreLog::log_tail(PartitionLog& partition) {
  if (partition.tail_logged_in_ == flusher_.cycle()) return {};
  const SegmentPlace place = partition.staged_place();
  const auto partial = static_cast<std::uint32_t>(place.bytes % disk_block_bytes);
  if (partial > 0) {
    const Result<CommitLog::Draft> draft = commit_.begin(partial);
    if (!draft) return fail(draft.error());
    partition.gather(place.base_offset, place.bytes - partial, draft->payload, cache_);
    commit_.finish({.kind = EntryKind::tail,
                    .key = partition.key(),
                    .base_offset = place.base_offset,
                    .segment_base = place.base_offset,
                    .segment_pos = static_cast<std::uint32_t>(place.bytes - partial)});
    cache_.sub_dirty(draft->chunk, partial);  // Only for replay: no segment waits for it.
  }
  partition.tail_logged_in_ = flusher_.cycle();
  return {};
}

// Writes what the broker decides into the batch: offset, epoch, and timestamps where they differ.
CoreLog::Stamp CoreLog::stamp_batch(PartitionLog& partition, MutableBytes batch,
                                    const record::CheckedBatch& checked,
                                    const AppendRequest& request, Now now) {
  Stamp stamp;
  stamp.header = *record::parse_header(batch);
  record::set_base_offset(batch, partition.staged_end_);
  record::set_leader_epoch(batch, request.leader_epoch);
  stamp.max_timestamp = checked.max_timestamp;
  if (partition.config_.rules.log_append_time) {
    stamp.log_append_time_ms = now.wall_ms;
    stamp.max_timestamp = now.wall_ms;
    record::set_log_append_time(batch, now.wall_ms);
  } else if (stamp.header.max_timestamp != checked.max_timestamp) {
    record::set_max_timestamp(batch, checked.max_timestamp);
  }
  stamp.header = *record::parse_header(batch);
  stamp.max_timestamp_offset = stamp.header.base_offset + checked.max_timestamp_delta;
  return stamp;
}

// A batch of a partition has changed what is known of its producers.
void CoreLog::note_producers(const PartitionLog& partition, std::size_t producers_before,
                             std::size_t open_before) {
  if (partition.producers_.open_count() > open_before) ++transactions_;
  if (partition.producers_.size() > producers_before) bound_producers();
}

// Whoever brings up new producer ids in one partition makes that partition forget first. Those
// with open transactions stay.
void CoreLog::bound_producers() {
  const auto idle_count = [](const PartitionLog& partition) {
    return partition.producers_.size() - partition.producers_.open_count();
  };
  while (true) {
    std::size_t count = 0;
    PartitionLog* most = nullptr;
    for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
      PartitionLog* partition = partitions_.at_index(i);
      if (partition == nullptr) continue;
      count += partition->producers_.size();
      if (most == nullptr || idle_count(*partition) > idle_count(*most)) most = partition;
    }
    if (count <= limits_.producers_max || idle_count(*most) == 0) return;
    // One at a time but after a start with fewer cores than before.
    const std::size_t share = std::max<std::size_t>(idle_count(*most) / 2, 1);
    const std::size_t excess = count - limits_.producers_max;
    for (std::size_t i = 0; i < std::min(share, excess); ++i) most->producers_.drop_oldest();
  }
}

void CoreLog::roll(PartitionLog& partition, Now now) {
  if (!partition.segments_.empty()) {
    const SegmentInfo& closed = partition.active();
    flusher_.store_index(index_path(partition.key(), closed.base_offset),
                         std::move(partition.index_), closed.size_bytes);
  }
  partition.roll(now.wall_ms, limits_.index_interval_bytes);
}

void CoreLog::book(PartitionLog& partition, PartitionId id, const CommitLog::Draft& draft,
                   Bytes batch, const Stamp& stamp, bool rolls, Now now) {
  if (rolls) roll(partition, now);
  const std::size_t producers_before = partition.producers_.size();
  const std::size_t open_before = partition.producers_.open_count();
  const record::BatchHeader& header = stamp.header;
  const SegmentPlace place = partition.staged_place();
  const std::uint64_t seq =
      commit_.finish({.kind = EntryKind::batch,
                      .key = partition.key(),
                      .base_offset = header.base_offset,
                      .leader_epoch = header.leader_epoch,
                      .last_offset_delta = header.last_offset_delta,
                      .segment_base = place.base_offset,
                      .segment_pos = static_cast<std::uint32_t>(place.bytes),
                      .payload_crc = header.crc});
  partition.tail_logged_in_ = flusher_.cycle();
  partition.on_batch({.base_offset = header.base_offset,
                      .end_offset = header.last_offset() + 1,
                      .max_timestamp = stamp.max_timestamp,
                      .segment_base = place.base_offset,
                      .seq = seq,
                      .chunk = draft.chunk,
                      .chunk_pos = draft.chunk_pos,
                      .segment_pos = static_cast<std::uint32_t>(place.bytes),
                      .bytes = static_cast<std::uint32_t>(batch.size())},
                     {header, batch}, stamp.max_timestamp_offset, now.wall_ms);
  ++cached_batches_;
  if (header.has_producer()) note_producers(partition, producers_before, open_before);
  counters_.appends.add();
  counters_.append_bytes.add(batch.size());
  if (!pending_.empty() && pending_.back().partition == id && pending_.back().seq == seq) {
    pending_.back().end_offset = header.last_offset() + 1;
    pending_.back().bytes += batch.size();
  } else {
    pending_.push_back({seq, id, header.last_offset() + 1, batch.size()});
  }
}

Result<std::uint64_t> CoreLog::advance_log_start(PartitionLog& partition, std::int64_t offset,
                                                 Now now) {
  (void)now;
  if (stopping_ || fenced()) return fail(Errc::fenced);
  if (wal_.file == no_file) return fail(Errc::full);
  if (offset < partition.log_start_ || offset > partition.durable_end_) {
    return fail(Errc::out_of_range);
  }
  const Result<std::uint64_t> seq = move_log_start(partition, offset);
  if (!seq) return seq;
  delete_segments(partition, partition.removable(partition.segments_before(offset)), *seq);
  return seq;
}

Result<std::uint64_t> CoreLog::move_log_start(PartitionLog& partition, std::int64_t offset) {
  const Result<CommitLog::Draft> draft = commit_.begin(0);
  if (!draft) return fail(draft.error());
  const std::uint64_t seq = commit_.finish(
      {.kind = EntryKind::log_start, .key = partition.key(), .base_offset = offset});
  partition.set_log_start(offset);
  note_advanced(partition, partition.id_);
  return seq;
}

// ---- what became durable

void CoreLog::note_advanced(PartitionLog& partition, PartitionId id) {
  if (partition.advanced_) return;
  partition.advanced_ = true;
  advanced_.push_back(id);
}

void CoreLog::advance_durable() {
  while (!pending_.empty() && pending_.front().seq <= commit_.durable_seq()) {
    const Pending& item = pending_.front();
    PartitionLog* partition = partitions_.find(item.partition);
    if (partition != nullptr && !partition->removing_) {
      TR_ASSERT(item.end_offset > partition->durable_end_);
      TR_ASSERT(item.end_offset <= partition->staged_end_);
      partition->set_durable_end(item.end_offset);
      partition->unwritten_durable_bytes_ += item.bytes;
      note_advanced(*partition, item.partition);
      flusher_.on_durable(item.partition);
    }
    pending_.pop_front();
  }
}

std::size_t CoreLog::take_advanced(std::span<PartitionLog*> partitions) {
  std::size_t count = 0;
  std::size_t looked = 0;
  for (; looked < advanced_.size() && count < partitions.size(); ++looked) {
    PartitionLog* partition = partitions_.find(advanced_[looked]);
    if (partition == nullptr || partition->removing_) continue;
    partition->advanced_ = false;
    partitions[count++] = partition;
  }
  advanced_.erase(advanced_.begin(), advanced_.begin() + static_cast<std::ptrdiff_t>(looked));
  return count;
}

// ---- reading

Result<ReadId> CoreLog::read(PartitionLog& partition, const ReadRequest& request) {
  return reads_.read(partition.id_, request);
}

Result<ReadId> CoreLog::find_timestamp(PartitionLog& partition, std::int64_t timestamp,
                                       std::uint64_t word) {
  return reads_.find_timestamp(partition.id_, timestamp, word);
}

// ---- retention

void CoreLog::apply_retention(PartitionLog& partition, Now now) {
  const RetentionRule& rule = partition.config_.retention;
  const std::size_t count =
      partition.removable(segments_to_delete(partition.segments_, partition.log_start_, rule,
                                             now.wall_ms));
  // What is undecided or not durable yet is nobody's past.
  const bool all_expired = partition.stable_end() == partition.staged_end() &&
                           active_has_expired(partition.segments_, count, rule, now.wall_ms);
  if (count == 0 && !all_expired) return;
  const std::int64_t start = all_expired ? partition.staged_end()
                                         : partition.segments_[count].base_offset;
  Result<std::uint64_t> seq = commit_.staged_seq();
  if (start > partition.log_start_) seq = move_log_start(partition, start);
  // So that its file can go, too.
  if (seq && all_expired) partition.roll_next_ = true;
  if (seq) return delete_segments(partition, count, *seq);
  retention_at_ = now.instant;  // Again at the next turn.
}

void CoreLog::delete_segments(PartitionLog& partition, std::size_t count, std::uint64_t seq) {
  if (count == 0) return;
  TR_ASSERT(count < partition.segments_.size());
  TR_ASSERT(partition.segments_[count].base_offset <= partition.written_.base_offset);
  for (std::size_t i = 0; i < count; ++i) {
    const SegmentInfo& segment = partition.segments_[i];
    flusher_.remove_file(segment_path(partition.key(), segment), seq);
    flusher_.remove_file(index_path(partition.key(), segment), seq);
    std::erase(partition.unsynced_, segment.base_offset);
  }
  reader_.forget(partition.key());
  partition.drop_segments(count);
}

void CoreLog::check_clock(Now now) {
  if (now.instant < retention_at_ || wal_.file == no_file || stopping_ || fenced()) return;
  retention_at_ = now.instant + limits_.retention_check;
  const std::int64_t expired_ms = now.wall_ms - limits_.producer_expiry.ns / 1'000'000;
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr || partition->removing_) continue;
    partition->producers_.expire(expired_ms);
    apply_retention(*partition, now);
  }
}

// ---- memory

void CoreLog::make_cache_room() {
  for (const bool clean_too : {false, true}) {
    if (cached_batches_ < limits_.cached_batches_max) return;
    cached_batches_ = 0;
    for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
      PartitionLog* partition = partitions_.at_index(i);
      if (partition == nullptr) continue;
      partition->drop_cached(cache_, clean_too);
      cached_batches_ += partition->batches_.size();
    }
  }
  // Too many small batches wait for their segments.
  if (cached_batches_ >= limits_.cached_batches_max) flusher_.want_checkpoint();
}

// ---- the turn

void CoreLog::on_disk_done(const DiskDone& done, Now now) {
  (void)now;
  switch (asker_of(done.tag)) {
    case Asker::commit_log: commit_.on_disk_done(done); return;
    case Asker::file_table: files_.on_disk_done(done); return;
    case Asker::segment_writer: writer_.on_disk_done(done); return;
    case Asker::reader: reader_.on_disk_done(done); return;
    case Asker::checkpoint:
    case Asker::index:
    case Asker::remover: flusher_.on_disk_done(done); return;
    case Asker::tail: on_tail_done(done); return;
    case Asker::compactor: compactor_.on_disk_done(done); return;
    case Asker::wal_file: on_wal_done(done); return;
    case Asker::wal_scanner:
    case Asker::wal_format:
    case Asker::boot: break;
  }
  TR_ASSERT(false);  // Those are Boot's own.
}

void CoreLog::step(Now now) {
  if (wal_.file == no_file) {
    open_wal();
    return;
  }
  advance_durable();
  if (cached_batches_ >= limits_.cached_batches_max) make_cache_room();
  step_tail_loads();
  check_clock(now);
  if (!wal_.closing) flusher_.step(now);  // No checkpoint behind the last one.
  if (!fenced()) compactor_.step(now, usable_bytes_);
  finish_removals();  // Their last writes may have been done just now.
  reads_.step();
  commit_.step();
  if (stopping_ && !fenced()) step_stop();
  mirror_counters();
}

Instant CoreLog::next_deadline() const {
  if (wal_.file == no_file || fenced()) return never();
  return std::min({flusher_.next_deadline(), compactor_.next_deadline(), retention_at_});
}

void CoreLog::mirror_counters() {
  mirror(counters_.frames, commit_.counters().frames);
  mirror(counters_.wal_bytes, commit_.counters().bytes);
  mirror(counters_.syncs, commit_.counters().syncs);
  mirror(counters_.segment_bytes, flusher_.counters().segment_bytes);
  mirror(counters_.checkpoints, flusher_.counters().checkpoints);
  mirror(counters_.hot_reads, reads_.counters().hot_reads);
  mirror(counters_.cold_reads, reads_.counters().cold_reads);
  const Compactor::Counters compaction = compactor_.counters();
  mirror(counters_.compactions, compaction.passes);
  mirror(counters_.compaction_failures, compaction.failures);
  mirror(counters_.compaction_read_bytes, compaction.read_bytes);
  mirror(counters_.compaction_written_bytes, compaction.written_bytes);
  mirror(counters_.compaction_records_dropped, compaction.records_dropped);
  counters_.compaction_dirty_bytes.set(static_cast<std::int64_t>(compaction.dirty_bytes));
  counters_.dirty_bytes.set(static_cast<std::int64_t>(cache_.dirty_bytes()));
  counters_.replay_bytes.set(static_cast<std::int64_t>(flusher_.replay_bytes()));
  counters_.partitions.set(static_cast<std::int64_t>(partitions_.size()));
  counters_.open_files.set(static_cast<std::int64_t>(files_.open_count()));
  counters_.usable_bytes.set(static_cast<std::int64_t>(std::min<std::uint64_t>(
      usable_bytes_, std::numeric_limits<std::int64_t>::max())));
  counters_.refuses_for_space.set(refuses_for_space() ? 1 : 0);
}

}  // namespace tailrace::log
