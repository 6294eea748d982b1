#include "log/commit_log.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "log/little_endian.h"
#include "record/batch_view.h"

namespace tailrace::log {
namespace {

// The tag of a write is its frame's seq; seqs are far from reaching this.
constexpr std::uint64_t sync_word = std::uint64_t{1} << 55;

}  // namespace

CommitLog::CommitLog(const Limits& limits, ChunkCache& cache, OpQueue& queue)
    : limits_(limits),
      cache_(cache),
      queue_(queue),
      entries_(limits.frame_entries_max),
      in_flight_(limits.frames_in_flight_max) {
  TR_ASSERT(limits.wal_bytes % disk_block_bytes == 0);
  TR_ASSERT(limits.frame_bytes_max % disk_block_bytes == 0);
  // Two of the largest, so that a skipped end of the ring can never block it for good.
  TR_ASSERT(limits.wal_bytes >= 2 * std::uint64_t{limits.frame_bytes_max});
  TR_ASSERT(cache.chunk_bytes() == limits.frame_bytes_max);
  TR_ASSERT(limits.frame_entries_max > 0);
}

void CommitLog::start(FileId file, const Uuid& wal, std::uint16_t life, const WalMark& kept_from,
                      const WalMark& next) {
  TR_ASSERT(file_ == no_file);
  TR_ASSERT(file != no_file);
  TR_ASSERT(kept_from.seq > 0);
  TR_ASSERT(kept_from.seq <= next.seq);
  TR_ASSERT(kept_from.file_pos % disk_block_bytes == 0);
  TR_ASSERT(next.file_pos % disk_block_bytes == 0);
  TR_ASSERT(kept_from.file_pos >= disk_block_bytes);
  file_ = file;
  wal_ = wal;
  life_ = life;
  kept_seq_ = kept_from.seq;
  kept_pos_ = kept_from.file_pos - disk_block_bytes;
  durable_ = next;
  next_seq_ = next.seq;
  previous_crc_ = next.previous_crc;
  write_pos_ = log_pos_of(next);
  TR_ASSERT(write_pos_ - kept_pos_ <= limits_.wal_bytes);
}

Result<CommitLog::Draft> CommitLog::begin(std::size_t payload_bytes) {
  TR_ASSERT(file_ != no_file);
  TR_ASSERT(!drafting_);
  TR_ASSERT(frame_size(payload_bytes, 1) <= limits_.frame_bytes_max);
  if (failed_) return fail(Errc::fenced);

  if (!frame_has_room(payload_bytes)) {
    if (!entries_.empty()) {
      if (in_flight_.full()) return fail(Errc::full);
      seal();
    }
    if (!chunk_has_room(frame_size(payload_bytes, 1)) && !open_chunk()) return fail(Errc::full);
  }
  if (!ring_has_room(frame_size(payload_bytes_ + payload_bytes, entries_.size() + 1))) {
    return fail(Errc::full);
  }
  TR_ASSERT(frame_has_room(payload_bytes));
  drafting_ = true;
  draft_bytes_ = static_cast<std::uint32_t>(payload_bytes);
  const auto pos = static_cast<std::uint32_t>(chunk_pos_ + frame_header_bytes + payload_bytes_);
  return Draft{.payload = cache_.bytes(chunk_).subspan(pos, payload_bytes),
               .chunk = chunk_,
               .chunk_pos = pos};
}

std::uint64_t CommitLog::finish(Entry entry) {
  TR_ASSERT(drafting_);
  drafting_ = false;
  entry.payload_pos = static_cast<std::uint32_t>(frame_header_bytes) + payload_bytes_;
  entry.payload_bytes = draft_bytes_;
  const Bytes payload =
      cache_.bytes(chunk_).subspan(chunk_pos_ + entry.payload_pos, entry.payload_bytes);
  if (entry.kind == EntryKind::batch) {
    // What recovery will compare; the CRC itself was computed while the batch was copied in.
    TR_ASSERT(payload.size() >= record::header_bytes);
    TR_ASSERT(load_be<std::uint32_t>(payload.data() + 17) == entry.payload_crc);
    TR_ASSERT(load_be<std::int64_t>(payload.data()) == entry.base_offset);
    TR_ASSERT(load_be<std::int32_t>(payload.data() + 12) == entry.leader_epoch);
    TR_ASSERT(load_be<std::int32_t>(payload.data() + 23) == entry.last_offset_delta);
  } else {
    entry.payload_crc = crc32c(payload);
  }
  if (entry.kind == EntryKind::batch || entry.kind == EntryKind::tail) {
    cache_.add_dirty(chunk_, draft_bytes_);
  }
  payload_bytes_ += draft_bytes_;
  const bool pushed = entries_.push(entry);
  TR_ASSERT(pushed);
  return next_seq_;
}

void CommitLog::abandon() {
  TR_ASSERT(drafting_);
  drafting_ = false;
}

// Sealed when nothing is under way (whatever has come in since goes out together), or when the
// frame is half full: then waiting would only make the disk idle.
void CommitLog::step() {
  TR_ASSERT(!drafting_);
  if (failed_ || entries_.empty() || in_flight_.full()) return;
  if (in_flight_.empty() || open_frame_bytes() * 2 >= limits_.frame_bytes_max) seal();
}

void CommitLog::seal() {
  TR_ASSERT(!drafting_);
  TR_ASSERT(!entries_.empty());
  TR_ASSERT(!in_flight_.full());
  FrameHeader header{.wal = wal_,
                     .life = life_,
                     .seq = next_seq_,
                     .frame_bytes = frame_size(payload_bytes_, entries_.size()),
                     .payload_bytes = payload_bytes_,
                     .entry_count = static_cast<std::uint32_t>(entries_.size()),
                     .previous_crc = previous_crc_,
                     .durable_seq = durable_seq()};
  TR_ASSERT(ring_has_room(header.frame_bytes));
  const MutableBytes block = cache_.bytes(chunk_).subspan(chunk_pos_, header.frame_bytes);
  previous_crc_ = seal_frame(block, header, {entries_.begin(), entries_.size()});

  const std::uint64_t start_pos = placed(header.frame_bytes);
  write_pos_ = start_pos + header.frame_bytes;
  const Frame frame{.seq = next_seq_,
                    .chunk = chunk_,
                    .frame_bytes = header.frame_bytes,
                    .header_crc = previous_crc_,
                    .end_pos = write_pos_};
  cache_.pin(chunk_);
  in_flight_.push(frame);
  queue_.push({.kind = limits_.durable_writes ? DiskOpKind::write_durable : DiskOpKind::write,
               .disk_class = DiskClass::wal,
               .file = file_,
               .file_pos = file_pos_of(start_pos),
               .block = block,
               .tag = make_tag(Asker::commit_log, frame.seq)});

  counters_.frames += 1;
  counters_.entries += entries_.size();
  counters_.bytes += header.frame_bytes;
  counters_.payload_bytes += payload_bytes_;
  next_seq_ += 1;
  chunk_pos_ += header.frame_bytes;
  payload_bytes_ = 0;
  entries_.clear();
  TR_ASSERT(chunk_pos_ <= cache_.chunk_bytes());
}

void CommitLog::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::commit_log);
  TR_ASSERT(!drafting_);
  const std::uint64_t word = word_of(done.tag);
  if (word == sync_word) {
    on_sync_done(done.result);
  } else {
    on_write_done(word, done.result);
  }
  if (failed_) {
    drop_finished();
    return;
  }
  advance_durable();
  start_sync();
}

void CommitLog::on_write_done(std::uint64_t seq, std::int64_t result) {
  TR_ASSERT(!in_flight_.empty());
  TR_ASSERT(seq >= in_flight_.front().seq);
  TR_ASSERT(seq - in_flight_.front().seq < in_flight_.size());
  Frame& frame = in_flight_[seq - in_flight_.front().seq];
  TR_ASSERT(frame.seq == seq);
  TR_ASSERT(frame.state == FrameState::writing);
  cache_.unpin(frame.chunk);
  frame.state = limits_.durable_writes ? FrameState::safe : FrameState::written;
  if (result != std::int64_t{frame.frame_bytes}) on_failure("write", result, seq);
}

// A sync that fails is never retried: the kernel may have dropped the dirty pages and would
// report success the next time.
void CommitLog::on_sync_done(std::int64_t result) {
  TR_ASSERT(sync_in_flight_);
  sync_in_flight_ = false;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    Frame& frame = in_flight_[i];
    if (frame.state == FrameState::syncing) frame.state = FrameState::safe;
  }
  if (result < 0) on_failure("sync", result, durable_seq() + 1);
}

// One sync covers every write that is done by now. It starts only when it moves durable_seq():
// while the oldest write is missing, its own sync will cover the younger ones as well.
void CommitLog::start_sync() {
  if (limits_.durable_writes || sync_in_flight_ || in_flight_.empty()) return;
  if (in_flight_.front().state != FrameState::written) return;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    Frame& frame = in_flight_[i];
    if (frame.state == FrameState::written) frame.state = FrameState::syncing;
  }
  sync_in_flight_ = true;
  counters_.syncs += 1;
  queue_.push({.kind = DiskOpKind::sync,
               .disk_class = DiskClass::wal,
               .file = file_,
               .tag = make_tag(Asker::commit_log, sync_word)});
}

void CommitLog::advance_durable() {
  TR_ASSERT(!failed_);
  while (!in_flight_.empty() && in_flight_.front().state == FrameState::safe) {
    const Frame frame = in_flight_.pop();
    TR_ASSERT(frame.seq == durable_seq() + 1);
    durable_ = {.seq = frame.seq + 1,
                .file_pos = file_pos_of(frame.end_pos),
                .previous_crc = frame.header_crc};
  }
}

void CommitLog::on_failure(const char* what, std::int64_t result, std::uint64_t seq) {
  if (!failed_) {
    log_event(LogLevel::error, "log",
              "WAL {} failed at frame {}: {} {}; nothing is acknowledged any more", what, seq,
              result < 0 ? "errno" : "short, bytes", result < 0 ? -result : result);
  }
  failed_ = true;
  entries_.clear();
  payload_bytes_ = 0;
}

// After a failure frames only leave: their chunks are no longer read by the disk.
void CommitLog::drop_finished() {
  TR_ASSERT(failed_);
  while (!in_flight_.empty() && in_flight_.front().state != FrameState::writing) {
    (void)in_flight_.pop();
  }
}

void CommitLog::trim(const WalMark& mark) {
  TR_ASSERT(mark.seq >= kept_seq_);
  TR_ASSERT(mark.seq <= durable_.seq);
  const std::uint64_t mark_pos = log_pos_of(mark);
  TR_ASSERT(mark_pos <= write_pos_);
  kept_pos_ = mark_pos;
  kept_seq_ = mark.seq;
}

std::uint64_t CommitLog::durable_seq() const { return durable_.seq - 1; }

std::uint64_t CommitLog::staged_seq() const {
  return entries_.empty() ? next_seq_ - 1 : next_seq_;
}

WalMark CommitLog::durable_mark() const { return durable_; }

Result<WalMark> CommitLog::cut() {
  TR_ASSERT(!drafting_);
  if (failed_) return fail(Errc::fenced);
  if (!entries_.empty()) {
    if (in_flight_.full()) return fail(Errc::full);
    seal();
  }
  return WalMark{
      .seq = next_seq_, .file_pos = file_pos_of(write_pos_), .previous_crc = previous_crc_};
}

std::uint64_t CommitLog::bytes_since(const WalMark& mark) const {
  const std::uint64_t mark_pos = log_pos_of(mark);
  TR_ASSERT(mark_pos <= write_pos_);
  return write_pos_ - mark_pos;
}

std::uint64_t CommitLog::free_bytes() const {
  const std::uint64_t used_bytes = write_pos_ - kept_pos_ + open_frame_bytes();
  TR_ASSERT(write_pos_ - kept_pos_ <= limits_.wal_bytes);
  return used_bytes < limits_.wal_bytes ? limits_.wal_bytes - used_bytes : 0;
}

bool CommitLog::failed() const { return failed_; }

bool CommitLog::idle() const {
  return entries_.empty() && in_flight_.empty() && !sync_in_flight_;
}

std::uint64_t CommitLog::file_pos_of(std::uint64_t log_pos) const {
  return disk_block_bytes + log_pos % limits_.wal_bytes;
}

// Marks lie between the trim mark and the write end. A mark at the trim mark's place is either
// the trim mark itself or a whole lap further on; only the seq can tell.
std::uint64_t CommitLog::log_pos_of(const WalMark& mark) const {
  TR_ASSERT(mark.seq >= kept_seq_);
  if (mark.seq == kept_seq_) return kept_pos_;
  const std::uint64_t ring_pos = (mark.file_pos - disk_block_bytes) % limits_.wal_bytes;
  const std::uint64_t kept_ring_pos = kept_pos_ % limits_.wal_bytes;
  const std::uint64_t distance =
      (ring_pos + limits_.wal_bytes - kept_ring_pos) % limits_.wal_bytes;
  return kept_pos_ + (distance == 0 ? limits_.wal_bytes : distance);
}

std::uint64_t CommitLog::placed(std::uint64_t frame_bytes) const {
  const std::uint64_t ring_pos = write_pos_ % limits_.wal_bytes;
  const std::uint64_t rest_bytes = limits_.wal_bytes - ring_pos;
  return frame_bytes <= rest_bytes ? write_pos_ : write_pos_ + rest_bytes;
}

bool CommitLog::ring_has_room(std::uint64_t frame_bytes) const {
  return placed(frame_bytes) + frame_bytes - kept_pos_ <= limits_.wal_bytes;
}

bool CommitLog::frame_has_room(std::size_t payload_bytes) const {
  if (entries_.full()) return false;
  const std::uint32_t bytes = frame_size(payload_bytes_ + payload_bytes, entries_.size() + 1);
  return bytes <= limits_.frame_bytes_max && chunk_has_room(bytes);
}

bool CommitLog::chunk_has_room(std::uint64_t frame_bytes) const {
  return chunk_.index != UINT32_MAX && frame_bytes <= cache_.chunk_bytes() - chunk_pos_;
}

std::uint64_t CommitLog::open_frame_bytes() const {
  return entries_.empty() ? 0 : frame_size(payload_bytes_, entries_.size());
}

// The old chunk is sealed only when there is a new one: its rest may still do for less.
bool CommitLog::open_chunk() {
  TR_ASSERT(entries_.empty());
  const ChunkId chunk = cache_.acquire();
  if (chunk.index == UINT32_MAX) return false;
  if (chunk_.index != UINT32_MAX) cache_.seal(chunk_);
  chunk_ = chunk;
  chunk_pos_ = 0;
  return true;
}

}  // namespace tailrace::log
