// The parts of CoreLog that come and go with files: opening and closing the WAL, reading back the
// last block of a partition after a restart, and replay.
#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "log/core_log.h"

namespace tailrace::log {

// ---- the WAL file

void CoreLog::attach(std::string_view path, const Uuid& wal, std::uint16_t life,
                     std::uint64_t checkpoint_number, const WalMark& replay_from,
                     const WalMark& next, Now now) {
  TR_ASSERT(wal_.path.empty());
  wal_.path = path;
  wal_.id = wal;
  wal_.life = life;
  wal_.replay_from = replay_from;
  wal_.next = next;
  retention_at_ = now.instant + limits_.retention_check;
  if (replay_chunk_.index != UINT32_MAX) cache_.seal(replay_chunk_);
  flusher_.begin(path, wal, checkpoint_number, replay_from, now);
}

void CoreLog::open_wal() {
  if (wal_.asked || wal_.path.empty()) return;
  wal_.asked = true;
  queue_.push({.kind = DiskOpKind::open,
               .disk_class = DiskClass::wal,
               .tag = make_tag(Asker::wal_file, 0),
               .name = FileName(wal_.path + ".wal")});
}

void CoreLog::on_wal_done(const DiskDone& done) {
  if (wal_.closing) {
    wal_.closed = true;
    return;
  }
  if (done.result < 0) {
    log_event(LogLevel::error, "log", "cannot open {}.wal: {}", wal_.path,
              std::strerror(static_cast<int>(-done.result)));
    wal_.failed = true;
    return;
  }
  wal_.file = static_cast<FileId>(done.result);
  commit_.start(wal_.file, wal_.id, wal_.life, wal_.replay_from, wal_.next);
}

void CoreLog::step_stop() {
  compactor_.stop();
  const bool busy = !removing_.empty() || tail_loads_used_ > 0 || !compactor_.idle();
  if (!flusher_.checkpoint_clean() || busy) {
    flusher_.want_checkpoint();
    return;
  }
  if (!flusher_.idle() || !reader_.idle()) return;
  files_.close_all();
  if (!files_.idle() || files_.open_count() > 0 || wal_.closing) return;
  wal_.closing = true;
  queue_.push({.kind = DiskOpKind::close,
               .disk_class = DiskClass::wal,
               .file = wal_.file,
               .tag = make_tag(Asker::wal_file, 1)});
}

bool CoreLog::stopped() const { return stopping_ && (fenced() || wal_.closed); }

bool CoreLog::settle(Now now) {
  // Segments before the start may have been removed without a further entry.
  for (PartitionLog* partition : partitions()) {
    const Result<bool> dropped = replay_log_start(*partition, partition->log_start_);
    TR_ASSERT(dropped.has_value());
    if (*dropped) continue;
    flusher_.settle(now);
    return false;
  }
  if (!flusher_.settle(now)) return false;
  files_.close_all();
  return files_.idle() && files_.open_count() == 0;
}

// ---- the last block of a partition, after a restart

void CoreLog::load_tail(PartitionLog& partition, PartitionId id) {
  if (partition.tail_loading_ || tail_loads_used_ == tail_loads_max) return;
  const auto free = std::find_if(tail_loads_.begin(), tail_loads_.end(),
                                 [](const TailLoad& load) { return !load.used; });
  TR_ASSERT(free != tail_loads_.end());
  partition.tail_loading_ = true;
  ++partition.jobs_;
  ++tail_loads_used_;
  free->used = true;
  free->reading = false;
  free->partition = id;
  free->lease = {};
  if (free->block == nullptr) free->block = std::make_unique<AlignedBuffer>(disk_block_bytes);
}

void CoreLog::step_tail_loads() {
  if (tail_loads_used_ == 0) return;
  for (std::size_t i = 0; i < tail_loads_.size(); ++i) {
    TailLoad& load = tail_loads_[i];
    if (!load.used || load.reading) continue;
    PartitionLog& partition = partitions_.at(load.partition);
    const SegmentPlace place = partition.staged_place();
    const bool is_first = load.lease.slot == UINT32_MAX;
    const Result<FileTable::Lease> lease =
        is_first ? files_.acquire(segment_path(partition.key(), place.base_offset), false)
                 : files_.poll(load.lease);
    if (!lease) {
      if (lease.error().code == Errc::full) continue;
      end_tail_load(load, false);
      continue;
    }
    load.lease = *lease;
    if (load.lease.file == no_file) continue;
    load.reading = true;
    queue_.push({.kind = DiskOpKind::read,
                 .disk_class = DiskClass::read,
                 .file = load.lease.file,
                 .file_pos = round_down(place.bytes, disk_block_bytes),
                 .block = load.block->bytes(),
                 .tag = make_tag(Asker::tail, i)});
  }
}

void CoreLog::on_tail_done(const DiskDone& done) {
  TailLoad& load = tail_loads_[word_of(done.tag)];
  TR_ASSERT(load.used && load.reading);
  files_.release(load.lease);
  const std::uint64_t needed =
      partitions_.at(load.partition).staged_place().bytes % disk_block_bytes;
  end_tail_load(load, done.result >= static_cast<std::int64_t>(needed));
}

void CoreLog::end_tail_load(TailLoad& load, bool succeeded) {
  PartitionLog& partition = partitions_.at(load.partition);
  load.used = false;
  --tail_loads_used_;
  --partition.jobs_;
  partition.tail_loading_ = false;
  if (!partition.tail_unknown_) return;  // A new segment was begun meanwhile.
  if (succeeded) {
    partition.keep_tail(partition.staged_place(), load.block->bytes());
    partition.tail_unknown_ = false;
    return;
  }
  // What is stored stays readable as far as it is; what comes goes elsewhere.
  partition.roll_next_ = true;
  log_event(LogLevel::warn, "log", "{}: its last block cannot be read; a new segment is begun",
            partition_directory(partition.key()).text());
}

// ---- replay

void CoreLog::restore(const Checkpoint& checkpoint) {
  for (const PartitionCheckpoint& partition : checkpoint.partitions) {
    const PartitionId id = partitions_.insert(partition, limits_);
    TR_ASSERT(!id.is_null());  // Boot has checked the number.
    partitions_.at(id).id_ = id;
    by_key_.emplace(partition.key, id);
  }
  transactions_ = limits_.transactions_max;  // To be counted when the first one begins.
}

Result<bool> CoreLog::replay(const Entry& entry, Bytes payload, Now now) {
  PartitionLog* partition = find(entry.key);
  if (partition == nullptr) {
    if (entry.kind == EntryKind::remove) return true;
    // A log may begin with a deletion of nothing.
    const bool begins = entry.kind == EntryKind::batch || entry.kind == EntryKind::log_start;
    if (!begins || entry.base_offset != 0) return fail(Errc::malformed);
    const Result<PartitionLog*> made = create(entry.key, {}, now);
    if (!made) return fail(made.error());
    partition = *made;
  }
  switch (entry.kind) {
    case EntryKind::batch:
      return replay_batch(*partition, partition->id_, entry, payload, now);
    case EntryKind::tail: return replay_tail(*partition, entry, payload);
    case EntryKind::log_start: return replay_log_start(*partition, entry.base_offset);
    case EntryKind::remove:
      if (partition->jobs_ > 0) return false;  // Being written to make memory free.
      remove_files_of(*partition, 0);
      by_key_.erase(entry.key);
      partitions_.erase(partition->id_);
      return true;
    case EntryKind::truncate: break;  // Nobody writes it yet: replicas will.
  }
  return fail(Errc::unsupported);
}

Result<bool> CoreLog::replay_batch(PartitionLog& partition, PartitionId id, const Entry& entry,
                                   Bytes payload, Now now) {
  if (entry.base_offset != partition.staged_end_) return fail(Errc::malformed);
  const bool rolls = !partition.is_active(entry.segment_base);
  if (rolls && (entry.segment_base != entry.base_offset || entry.segment_pos != 0)) {
    return fail(Errc::malformed);
  }
  if (!rolls && (entry.segment_pos != partition.active().size_bytes || !partition.tail_known())) {
    return fail(Errc::malformed);
  }
  const Result<record::BatchView> view = record::parse_batch(payload);
  if (!view || view->bytes.size() != payload.size()) return fail(Errc::malformed);

  if (replay_chunk_.index == UINT32_MAX ||
      replay_chunk_pos_ + payload.size() > cache_.chunk_bytes()) {
    if (replay_chunk_.index != UINT32_MAX) cache_.seal(replay_chunk_);
    replay_chunk_ = cache_.acquire();
    replay_chunk_pos_ = 0;
    if (replay_chunk_.index == UINT32_MAX) return false;
  }
  if (rolls) roll(partition, now);
  std::memcpy(cache_.bytes(replay_chunk_).data() + replay_chunk_pos_, payload.data(),
              payload.size());
  cache_.add_dirty(replay_chunk_, payload.size());
  std::int64_t max_timestamp_offset = view->header.last_offset();
  if (view->header.max_timestamp > partition.active().max_timestamp) {
    const auto found = checker_.find_timestamp(*view, view->header.max_timestamp);
    if (found) max_timestamp_offset = found->offset;
  }
  const std::size_t producers_before = partition.producers_.size();
  const std::size_t open_before = partition.producers_.open_count();
  // seq 0: it is durable whatever the WAL does from now on.
  partition.on_batch({.base_offset = entry.base_offset,
                      .end_offset = view->header.last_offset() + 1,
                      .max_timestamp = view->header.max_timestamp,
                      .segment_base = entry.segment_base,
                      .seq = 0,
                      .chunk = replay_chunk_,
                      .chunk_pos = replay_chunk_pos_,
                      .segment_pos = entry.segment_pos,
                      .bytes = static_cast<std::uint32_t>(payload.size())},
                     *view, max_timestamp_offset, now.wall_ms);
  note_producers(partition, producers_before, open_before);
  replay_chunk_pos_ += static_cast<std::uint32_t>(payload.size());
  partition.set_durable_end(partition.staged_end_);
  partition.unwritten_durable_bytes_ += payload.size();
  ++cached_batches_;
  flusher_.on_durable(id);
  return true;
}

Result<bool> CoreLog::replay_tail(PartitionLog& partition, const Entry& entry, Bytes payload) {
  const SegmentPlace place = partition.staged_place();
  if (!partition.is_active(entry.segment_base) || entry.segment_pos % disk_block_bytes != 0 ||
      entry.segment_pos + payload.size() != place.bytes || payload.size() >= disk_block_bytes) {
    return fail(Errc::malformed);
  }
  if (partition.tail_unknown_) partition.replay_tail(place, payload);
  return true;
}

// Segments before the new start may have been removed already, written or not.
Result<bool> CoreLog::replay_log_start(PartitionLog& partition, std::int64_t offset) {
  if (offset > partition.staged_end_) return fail(Errc::malformed);
  partition.set_log_start(std::max(partition.log_start_, offset));
  const std::size_t whole = partition.segments_before(partition.log_start_);
  if (whole == 0) return true;
  if (partition.jobs_ > 0) return false;  // Being written to make memory free.
  const SegmentPlace first{partition.segments_[whole].base_offset, 0};
  if (partition.written_ < first) partition.on_written(first, cache_);
  delete_segments(partition, whole, 0);
  return true;
}

}  // namespace tailrace::log
