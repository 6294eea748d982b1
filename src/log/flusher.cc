#include "log/flusher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace tailrace::log {
namespace {

// Syncs that run side by side at a checkpoint, beside the writes.
constexpr std::size_t sync_jobs_max = 32;
constexpr Duration retry_after = seconds(1);
// An index file is brought up to date when so many entries are missing in it.
constexpr std::size_t index_entries_behind_max = 64;

}  // namespace

Flusher::Flusher(const Limits& limits, const Parts& parts)
    : limits_(limits),
      partitions_(parts.partitions),
      commit_(parts.commit),
      cache_(parts.cache),
      files_(parts.files),
      writer_(parts.writer),
      checkpoint_writer_(parts.queue),
      index_writer_(parts.queue),
      remover_(parts.queue),
      jobs_(limits.segment_writes_max + sync_jobs_max) {
  waiting_.reserve(limits.partitions_max);
}

void Flusher::begin(std::string_view path, const Uuid& wal, std::uint64_t checkpoint_number,
                    const WalMark& replay_from, Now now) {
  TR_ASSERT(path_.empty());
  TR_ASSERT(!path.empty());
  path_ = path;
  snapshot_.wal = wal;
  number_ = checkpoint_number;
  replay_from_ = replay_from;
  checkpoint_at_ = now.instant + limits_.checkpoint_interval;
  retry_at_ = now.instant;
}

void Flusher::queue_partition(PartitionLog& partition, PartitionId id) {
  if (partition.queued_) return;
  partition.queued_ = true;
  write_queue_.push_back(id);
}

void Flusher::on_durable(PartitionId id) {
  PartitionLog& partition = partitions_.at(id);
  if (partition.unwritten_durable_bytes_ >= limits_.segment_write_bytes) {
    queue_partition(partition, id);
  }
}

void Flusher::store_index(const FileName& path, Index index, std::uint64_t covered_bytes) {
  if (!index.entries().empty()) indexes_.push_back({path, std::move(index), covered_bytes});
}

void Flusher::remove_file(const FileName& path, std::uint64_t seq) {
  files_.forget(path);
  removes_.push_back({path, false, seq});
}
void Flusher::remove_directory(const FileName& path, std::uint64_t seq) {
  removes_.push_back({path, true, seq});
}

void Flusher::remove_all_replaced(const FileName& directory, std::uint64_t seq) {
  std::erase_if(replaced_, [&](const Replaced& item) {
    const std::string_view path = item.path.text();
    if (path.substr(0, path.rfind('/')) != directory.text()) return false;
    remove_file(item.path, seq);
    return true;
  });
}

void Flusher::step(Now now) {
  writer_.step();
  take_done(now);
  if (!failed_) {
    step_checkpoint(now);
    write_segments(now);
  }
  store_indexes();
  remove_files();
  writer_.step();
}

bool Flusher::settle(Now now) {
  writer_.step();
  take_done(now);
  bool torn = false;
  for (std::size_t i = 0; i < partitions_.capacity() && !out_of_space_; ++i) {
    PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr || !partition->is_torn()) continue;
    torn = true;
    partition->flush_until_ = partition->tail_.place;
    queue_partition(*partition, partitions_.handle_at(i));
  }
  if (torn && !failed_) write_segments(now);
  writer_.step();
  return !torn && writer_.idle();
}

void Flusher::step_writes(Now now) {
  writer_.step();
  take_done(now);
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr || !partition->has_unwritten()) continue;
    partition->flush_until_ = partition->staged_place();
    queue_partition(*partition, partitions_.handle_at(i));
  }
  making_room_ = true;
  if (!failed_) write_segments(now);
  making_room_ = false;
  writer_.step();
}

// ---- writing segments

void Flusher::write_segments(Now now) {
  if (now.instant < retry_at_) return;
  // One look at each waiting partition per turn: those that cannot go on now wait at the back.
  for (std::size_t looks = write_queue_.size(); looks > 0; --looks) {
    const PartitionId id = write_queue_.front();
    PartitionLog* partition = partitions_.find(id);
    if (partition == nullptr || partition->removing_) {
      if (partition != nullptr) partition->queued_ = false;
      write_queue_.pop_front();
      continue;
    }
    if (partition->jobs_ > 0) {
      write_queue_.pop_front();
      write_queue_.push_back(id);
      continue;
    }
    const std::uint32_t buffer = writer_.take_buffer();
    if (buffer == UINT32_MAX) return;
    writer_.give_back(buffer);
    write_queue_.pop_front();
    partition->queued_ = false;
    if (start_write(*partition, id)) queue_partition(*partition, id);
  }
  // What met the full disk is gone, perhaps removed for that very reason. Nothing is left that
  // would find out whether there is space again, so the next write shall.
  if (out_of_space_ && write_queue_.empty() && writer_.idle()) out_of_space_ = false;
}

bool Flusher::start_write(PartitionLog& partition, PartitionId id) {
  SegmentPlace& written = partition.written_;
  const bool must_flush = !reached(partition);
  const std::size_t room = SegmentWriter::buffer_bytes(limits_);
  std::uint64_t size = 0;
  bool is_whole = false;
  while (true) {
    size = partition.durable_bytes_in(written.base_offset, commit_.durable_seq(),
                                      written.bytes + room + disk_block_bytes);
    const SegmentInfo* segment = partition.find_segment(written.base_offset);
    is_whole = segment != nullptr && !partition.is_active(written.base_offset) &&
               size == segment->size_bytes;
    if (!is_whole || written.bytes != size) break;
    partition.on_written({segment->end_offset, 0}, cache_);  // On to the next segment.
  }
  const std::uint64_t from = round_down(written.bytes, disk_block_bytes);
  std::uint64_t to = size;
  if (to - from > room) {
    to = from + room;
  } else if (!is_whole && !must_flush) {
    to = round_down(size, disk_block_bytes);
    if (to < from + limits_.segment_write_bytes) return false;
  }
  if (to <= written.bytes) return false;

  const std::uint32_t slot = take_job();
  const std::uint32_t buffer = writer_.take_buffer();
  TR_ASSERT(slot != UINT32_MAX);
  TR_ASSERT(buffer != UINT32_MAX);
  const MutableBytes block = writer_.buffer(buffer);
  const auto bytes = static_cast<std::uint32_t>(round_up(to - from, disk_block_bytes));
  partition.gather(written.base_offset, from, block.first(to - from), cache_);
  std::memset(block.data() + (to - from), 0, bytes - (to - from));

  Job& job = jobs_[slot];
  job = {.used = true, .partition = id, .to = {written.base_offset, to}, .is_sync = false,
         .tail = {}};
  const std::size_t partial = to % disk_block_bytes;
  std::memcpy(job.tail.data(), block.data() + (to - from) - partial, partial);
  ++partition.jobs_;
  auto& unsynced = partition.unsynced_;
  if (std::find(unsynced.begin(), unsynced.end(), written.base_offset) == unsynced.end()) {
    unsynced.push_back(written.base_offset);
  }
  counters_.segment_writes += 1;
  counters_.segment_bytes += bytes;
  writer_.start({.path = segment_path(partition.key(), written.base_offset),
                 // A later entry of the replay may delete this segment: then it is gone already.
                 .create = written.bytes == 0 || making_room_,
                 .buffer = buffer,
                 .file_pos = from,
                 .bytes = bytes,
                 .is_last = is_whole && to == size,
                 .word = slot});
  return true;
}

std::uint32_t Flusher::take_job() {
  for (std::uint32_t i = 0; i < jobs_.size(); ++i) {
    if (!jobs_[i].used) return i;
  }
  return UINT32_MAX;
}

void Flusher::take_done(Now now) {
  std::array<SegmentWriter::Done, 16> done;
  const std::size_t count = writer_.take_done(done);
  for (std::size_t i = 0; i < count; ++i) {
    Job& job = jobs_[done[i].word];
    TR_ASSERT(job.used);
    job.used = false;
    if (job.is_sync) --sync_jobs_;
    PartitionLog& partition = partitions_.at(job.partition);
    --partition.jobs_;
    if (done[i].error_number == 0) {
      out_of_space_ = false;
      if (!job.is_sync) on_write_done(partition, job.partition, job);
      continue;
    }
    if (partition.removing_) continue;
    if (done[i].error_number == ENOSPC && !done[i].sync_failed) {
      out_of_space_ = true;  // The core tells of it: it knows the other reasons, too.
      retry_at_ = now.instant + retry_after;
      queue_partition(partition, job.partition);
      continue;
    }
    failed_ = true;
    log_event(LogLevel::error, "log", "{} of {} failed: {}; the core stops acknowledging",
        done[i].sync_failed ? "sync" : "write",
        segment_path(partition.key(), job.to.base_offset).text(),
        std::strerror(done[i].error_number));
  }
}

void Flusher::on_write_done(PartitionLog& partition, PartitionId id, const Job& job) {
  partition.on_written(job.to, cache_);
  partition.keep_tail(job.to, job.tail);
  const bool more = partition.unwritten_durable_bytes_ >= limits_.segment_write_bytes;
  if (more || !reached(partition)) queue_partition(partition, id);
}

// ---- checkpoints

void Flusher::step_checkpoint(Now now) {
  switch (phase_) {
    case Phase::idle: {
      const bool is_due = now.instant >= checkpoint_at_ && !checkpoint_clean();
      if (now.instant >= checkpoint_at_) {
        checkpoint_at_ = now.instant + limits_.checkpoint_interval;
      }
      if (!wanted_ && !is_due && replay_bytes() < limits_.dirty_bytes_max / 2) return;
      if (now.instant < retry_at_) return;
      wanted_ = false;
      phase_ = Phase::cutting;
      [[fallthrough]];
    }
    case Phase::cutting:
      if (!cut(now)) return;
      [[fallthrough]];  // With nothing to flush no completion would bring us back.
    case Phase::flushing:
      if (!all_flushed()) return;
      for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
        if (partitions_.at_index(i) != nullptr) waiting_.push_back(partitions_.handle_at(i));
      }
      phase_ = Phase::syncing;
      [[fallthrough]];
    case Phase::syncing:
      if (all_synced()) write_checkpoint();
      return;
    case Phase::writing: finish_checkpoint(now); return;
  }
}

bool Flusher::cut(Now now) {
  const Result<WalMark> mark = commit_.cut();
  if (!mark) return false;  // Too many frames under way: one of them will be done.
  ++cycle_;
  snapshot_.replay_from = *mark;
  snapshot_.partitions.clear();
  waiting_.clear();
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr || partition->removing_) continue;
    snapshot_.partitions.push_back(partition->checkpoint());
    partition->flush_until_ = partition->staged_place();
    partition->cut_end_ = partition->staged_end_;
    if (reached(*partition)) continue;
    waiting_.push_back(partitions_.handle_at(i));
    queue_partition(*partition, partitions_.handle_at(i));
  }
  removals_before_cut_ = removes_.size();
  checkpoint_at_ = now.instant + limits_.checkpoint_interval;
  phase_ = Phase::flushing;
  return true;
}

bool Flusher::all_flushed() {
  std::erase_if(waiting_, [&](PartitionId id) {
    PartitionLog* partition = partitions_.find(id);
    if (partition == nullptr || partition->removing_ || reached(*partition)) return true;
    queue_partition(*partition, id);
    return false;
  });
  return waiting_.empty();
}

bool Flusher::all_synced() {
  std::erase_if(waiting_, [&](PartitionId id) {
    PartitionLog* partition = partitions_.find(id);
    if (partition == nullptr || partition->removing_) return true;
    // A write under way may be of a segment whose sync would then be forgotten.
    if (partition->jobs_ > 0) return false;
    if (partition->unsynced_.empty()) return true;
    if (sync_jobs_ == sync_jobs_max) return false;
    const std::int64_t base = partition->unsynced_.back();
    partition->unsynced_.pop_back();
    if (partition->find_segment(base) == nullptr) return partition->unsynced_.empty();
    const std::uint32_t slot = take_job();
    TR_ASSERT(slot != UINT32_MAX);
    jobs_[slot] = {.used = true, .partition = id, .to = {base, 0}, .is_sync = true, .tail = {}};
    ++sync_jobs_;
    ++partition->jobs_;
    writer_.start({.path = segment_path(partition->key(), base), .sync = true, .word = slot});
    return false;
  });
  return waiting_.empty() && sync_jobs_ == 0;
}

void Flusher::write_checkpoint() {
  // Files that a partition had let go of before the cut are named nowhere once it counts, so
  // they must be gone by then, or nobody would ever remove them.
  if (removals_before_cut_ > 0 || !remover_.idle()) return;
  // What was removed since the cut was not written or synced any more, but the snapshot names it:
  // the entries that say it is gone must be there to be replayed.
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    const PartitionLog* partition = partitions_.at_index(i);
    if (partition != nullptr && partition->removing_) return;
  }
  if (!removes_.empty() && removes_.back().seq > commit_.durable_seq()) return;
  if (commit_.durable_seq() + 1 < snapshot_.replay_from.seq) return;
  snapshot_.number = number_ + 1;
  const char* ending = snapshot_.number % 2 == 0 ? "a" : "b";
  checkpoint_writer_.start(fmt::format("{}.checkpoint-{}", path_, ending), snapshot_);
  phase_ = Phase::writing;
}

void Flusher::finish_checkpoint(Now now) {
  if (checkpoint_writer_.busy()) return;
  phase_ = Phase::idle;
  if (!checkpoint_writer_.succeeded()) {
    log_event(LogLevel::warn, "log", "a checkpoint of {} could not be written; trying again",
              path_);
    wanted_ = true;
    retry_at_ = now.instant + retry_after;
    checkpoint_at_ = retry_at_;
    return;
  }
  number_ = snapshot_.number;
  replay_from_ = snapshot_.replay_from;
  commit_.trim(replay_from_);
  counters_.checkpoints += 1;
  std::erase_if(replaced_, [&](const Replaced& item) {
    if (item.cycle == cycle_) return false;  // Since the cut.
    remove_file(item.path, commit_.staged_seq());
    return true;
  });
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr || partition->removing_ || partition->segments_.empty()) continue;
    partition->checkpointed_end_ = partition->cut_end_;
    const std::size_t entries = partition->index_.entries().size();
    if (entries < partition->indexed_entries_ + index_entries_behind_max) continue;
    partition->indexed_entries_ = entries;
    const SegmentInfo& active = partition->active();
    store_index(index_path(partition->key(), active.base_offset), partition->index_,
                active.size_bytes);
  }
}

bool Flusher::checkpoint_clean() const {
  return phase_ == Phase::idle && commit_.idle() && replay_bytes() == 0 && replaced_.empty();
}

// ---- indexes and removals

void Flusher::store_indexes() {
  if (indexes_.empty() || index_writer_.busy()) return;
  index_writer_.start(indexes_.front().path, indexes_.front().index,
                      indexes_.front().covered_bytes);
  indexes_.pop_front();
}

void Flusher::remove_files() {
  while (!removes_.empty() && removes_.front().seq <= commit_.durable_seq()) {
    const PendingRemove& item = removes_.front();
    if (item.is_directory) {
      remover_.enqueue_directory(item.path);
    } else {
      remover_.enqueue(item.path);
    }
    removes_.pop_front();
    if (removals_before_cut_ > 0) --removals_before_cut_;
  }
  remover_.step();
}

void Flusher::on_disk_done(const DiskDone& done) {
  switch (asker_of(done.tag)) {
    case Asker::checkpoint: checkpoint_writer_.on_disk_done(done); return;
    case Asker::index: index_writer_.on_disk_done(done); return;
    case Asker::remover: remover_.on_disk_done(done); return;
    case Asker::commit_log:
    case Asker::file_table:
    case Asker::segment_writer:
    case Asker::reader:
    case Asker::wal_scanner:
    case Asker::wal_format:
    case Asker::boot:
    case Asker::tail:
    case Asker::wal_file:
    case Asker::compactor: break;
  }
  TR_ASSERT(false);  // CoreLog gives us only these.
}

Instant Flusher::next_deadline() const {
  if (failed_) return never();
  // What else there is to do begins with a disk completion.
  if (phase_ == Phase::idle && wanted_) return retry_at_;
  if (out_of_space_ && writer_.idle()) return retry_at_;
  return checkpoint_clean() ? never() : checkpoint_at_;
}

bool Flusher::idle() const {
  return writer_.idle() && remover_.idle() && !index_writer_.busy() && !checkpoint_writer_.busy() &&
         indexes_.empty() && removes_.empty();
}

}  // namespace tailrace::log
