#include "log/segment_writer.h"

#include <algorithm>
#include <cerrno>

namespace tailrace::log {

namespace {

constexpr std::uint64_t reserve_bytes_max = std::uint64_t{16} << 20;

// "a/b/c.log" -> "a/b" -> "a".
std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  TR_ASSERT(slash != std::string_view::npos);
  TR_ASSERT(slash > 0);
  return path.substr(0, slash);
}

}  // namespace

std::size_t SegmentWriter::buffer_bytes(const Limits& limits) {
  // One block more: a gather begins anywhere in its first block.
  return limits.segment_write_bytes + disk_block_bytes;
}

SegmentWriter::SegmentWriter(const Limits& limits, MutableBytes memory, FileTable& files,
                             OpQueue& queue)
    : memory_(memory),
      buffer_bytes_(buffer_bytes(limits)),
      write_bytes_(limits.segment_write_bytes),
      files_(files),
      queue_(queue),
      buffers_(limits.segment_writes_max, BufferState::free),
      queued_(limits.partitions_max),
      active_(limits.segment_writes_max),
      done_(limits.partitions_max) {
  TR_ASSERT(limits.segment_writes_max > 0);
  TR_ASSERT(buffer_bytes_ % disk_block_bytes == 0);
  TR_ASSERT(memory.size() >= buffer_bytes_ * buffers_.size());
  TR_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % disk_block_bytes == 0);
}

std::uint32_t SegmentWriter::take_buffer() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i] != BufferState::free) continue;
    buffers_[i] = BufferState::taken;
    return static_cast<std::uint32_t>(i);
  }
  return UINT32_MAX;
}

MutableBytes SegmentWriter::buffer(std::uint32_t index) {
  TR_ASSERT(index < buffers_.size());
  TR_ASSERT(buffers_[index] == BufferState::taken);
  return memory_.subspan(index * buffer_bytes_, buffer_bytes_);
}

void SegmentWriter::give_back(std::uint32_t index) {
  TR_ASSERT(index < buffers_.size());
  TR_ASSERT(buffers_[index] == BufferState::taken);
  buffers_[index] = BufferState::free;
}

void SegmentWriter::start(const Job& job) {
  if (job.buffer != UINT32_MAX) {
    TR_ASSERT(job.buffer < buffers_.size());
    TR_ASSERT(buffers_[job.buffer] == BufferState::taken);
    TR_ASSERT(job.bytes > 0);
    TR_ASSERT(job.bytes <= buffer_bytes_);
    TR_ASSERT(job.bytes % disk_block_bytes == 0);
    TR_ASSERT(job.file_pos % disk_block_bytes == 0);
    buffers_[job.buffer] = BufferState::writing;
  } else {
    TR_ASSERT(job.sync);
  }
  TR_ASSERT(queued_.size() + active_count_ + done_.size() < done_.capacity());
  queued_.push(job);
}

void SegmentWriter::step() {
  for (std::size_t slot = 0; slot < active_.size(); ++slot) {
    Active& active = active_[slot];
    if (active.phase == Phase::needs_file) try_lease(slot);
    if (active.phase != Phase::opening) continue;
    const Result<FileTable::Lease> lease = files_.poll(active.lease);
    if (!lease) {
      active.lease = {};  // The failed poll has given it back.
      finish(slot, lease.error().detail, false);
      continue;
    }
    active.lease = *lease;
    if (lease->file != no_file) on_leased(slot);
  }
  for (std::size_t slot = 0; slot < active_.size() && !queued_.empty(); ++slot) {
    if (active_[slot].phase == Phase::unused) begin(slot, queued_.pop());
  }
}

void SegmentWriter::begin(std::size_t slot, const Job& job) {
  active_[slot] = {.job = job};
  ++active_count_;
  if (job.create) {
    push_directory_op(slot, DiskOpKind::make_directory, Phase::making_topic_directory);
  } else {
    active_[slot].phase = Phase::needs_file;
    try_lease(slot);
  }
}

void SegmentWriter::try_lease(std::size_t slot) {
  Active& active = active_[slot];
  TR_ASSERT(active.phase == Phase::needs_file);
  const Result<FileTable::Lease> lease = files_.acquire(active.job.path, active.job.create);
  if (!lease) return;  // Every file is leased: step() asks again.
  active.lease = *lease;
  active.phase = Phase::opening;
  if (lease->file != no_file) on_leased(slot);
}

void SegmentWriter::on_leased(std::size_t slot) {
  const Active& active = active_[slot];
  if (active.job.buffer == UINT32_MAX) {
    after_trim(slot);
  } else if (wants_space(active)) {
    reserve(slot);
  } else {
    write(slot);
  }
}

bool SegmentWriter::wants_space(const Active& active) const {
  const Job& job = active.job;
  if (job.is_last || job.bytes < write_bytes_) return false;  // It does not grow fast.
  return job.file_pos + job.bytes > files_.reserved_bytes(active.lease);
}

void SegmentWriter::reserve(std::size_t slot) {
  Active& active = active_[slot];
  active.phase = Phase::reserving;
  const std::uint64_t end = active.job.file_pos + active.job.bytes;
  const std::uint64_t ahead = std::min(end, reserve_bytes_max);
  files_.set_reserved_bytes(active.lease, end + ahead);
  push_op(slot, {.kind = DiskOpKind::allocate,
                 .file = active.lease.file,
                 .file_pos = active.job.file_pos,
                 .size = end + ahead - active.job.file_pos});
}

void SegmentWriter::write(std::size_t slot) {
  Active& active = active_[slot];
  const Job& job = active.job;
  active.phase = Phase::writing;
  push_op(slot, {.kind = DiskOpKind::write,
                 .file = active.lease.file,
                 .file_pos = job.file_pos,
                 .block = memory_.subspan(job.buffer * buffer_bytes_, job.bytes)});
}

void SegmentWriter::after_write(std::size_t slot) {
  Active& active = active_[slot];
  if (!active.job.is_last) return after_trim(slot);
  // The space may have been reserved before this process began, so this does not ask.
  active.phase = Phase::trimming;
  files_.set_reserved_bytes(active.lease, 0);
  push_op(slot, {.kind = DiskOpKind::truncate,
                 .file = active.lease.file,
                 .file_pos = active.job.file_pos + active.job.bytes});
}

void SegmentWriter::after_trim(std::size_t slot) {
  Active& active = active_[slot];
  if (!active.job.sync) {
    after_sync(slot);
    return;
  }
  active.phase = Phase::syncing;
  push_op(slot, {.kind = DiskOpKind::sync, .file = active.lease.file});
}

void SegmentWriter::after_sync(std::size_t slot) {
  if (active_[slot].job.create) {
    push_directory_op(slot, DiskOpKind::sync_directory, Phase::syncing_directory);
  } else {
    finish(slot, 0, false);
  }
}

void SegmentWriter::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::segment_writer);
  const std::size_t slot = word_of(done.tag);
  TR_ASSERT(slot < active_.size());
  Active& active = active_[slot];
  const std::int32_t error_number =
      done.result < 0 ? static_cast<std::int32_t>(-done.result) : 0;
  switch (active.phase) {
    case Phase::making_topic_directory:
      if (error_number != 0) return finish(slot, error_number, false);
      push_directory_op(slot, DiskOpKind::make_directory, Phase::making_directory);
      return;
    case Phase::making_directory:
      if (error_number == ENOENT) {
        // The topic's directory was empty and has been removed, with another partition's.
        push_directory_op(slot, DiskOpKind::make_directory, Phase::making_topic_directory);
        return;
      }
      if (error_number != 0) return finish(slot, error_number, false);
      active.phase = Phase::needs_file;
      try_lease(slot);
      return;
    case Phase::reserving:
      write(slot);  // Whatever came of it: the write will find out whether there is space.
      return;
    case Phase::writing:
      if (error_number != 0) return finish(slot, error_number, false);
      if (done.result != active.job.bytes) return finish(slot, EIO, false);
      after_write(slot);
      return;
    case Phase::trimming:
      after_trim(slot);  // Failed, it costs space and nothing else.
      return;
    case Phase::syncing:
      if (error_number != 0) return finish(slot, error_number, true);
      after_sync(slot);
      return;
    case Phase::syncing_directory:
      if (error_number != 0) return finish(slot, error_number, true);
      push_directory_op(slot, DiskOpKind::sync_directory, Phase::syncing_topic_directory);
      return;
    case Phase::syncing_topic_directory:
      if (error_number != 0) return finish(slot, error_number, true);
      push_directory_op(slot, DiskOpKind::sync_directory, Phase::syncing_root_directory);
      return;
    case Phase::syncing_root_directory:
      return finish(slot, error_number, error_number != 0);
    case Phase::unused:
    case Phase::needs_file:
    case Phase::opening:
      break;  // No operation of ours is under way in these.
  }
  TR_ASSERT(false);
}

void SegmentWriter::push_directory_op(std::size_t slot, DiskOpKind kind, Phase phase) {
  Active& active = active_[slot];
  active.phase = phase;
  const std::string_view directory = parent_of(active.job.path.text());
  const bool one_up =
      phase == Phase::making_topic_directory || phase == Phase::syncing_topic_directory;
  std::string_view name = directory;
  if (one_up) name = parent_of(directory);
  if (phase == Phase::syncing_root_directory) name = parent_of(parent_of(directory));
  push_op(slot, {.kind = kind, .name = FileName(name)});
}

void SegmentWriter::push_op(std::size_t slot, DiskOp op) {
  op.disk_class = DiskClass::segment;
  op.tag = make_tag(Asker::segment_writer, slot);
  queue_.push(op);
}

void SegmentWriter::finish(std::size_t slot, std::int32_t error_number, bool sync_failed) {
  Active& active = active_[slot];
  TR_ASSERT(active.phase != Phase::unused);
  TR_ASSERT(error_number != 0 || !sync_failed);
  if (active.lease.slot != UINT32_MAX) files_.release(active.lease);
  if (active.job.buffer != UINT32_MAX) {
    TR_ASSERT(buffers_[active.job.buffer] == BufferState::writing);
    buffers_[active.job.buffer] = BufferState::free;
  }
  const bool pushed = done_.push({active.job.word, error_number, sync_failed});
  TR_ASSERT(pushed);
  active = {};
  TR_ASSERT(active_count_ > 0);
  --active_count_;
}

std::size_t SegmentWriter::take_done(std::span<Done> done) {
  std::size_t count = 0;
  while (count < done.size() && !done_.empty()) done[count++] = done_.pop();
  return count;
}

bool SegmentWriter::idle() const {
  return queued_.empty() && active_count_ == 0 && done_.empty();
}

}  // namespace tailrace::log
