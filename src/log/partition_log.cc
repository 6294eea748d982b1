#include "log/partition_log.h"

#include <algorithm>
#include <cstring>

#include "base/stream_copy.h"

namespace tailrace::log {
namespace {

// After a restart a segment larger than this is not appended to any more: its index would have to
// be read back first. Below it, a search from the front costs a few reads.
constexpr std::uint64_t reopened_segment_bytes_max = 4U << 20;

}  // namespace

PartitionLog::PartitionLog(const PartitionKey& key, const Limits& limits)
    : key_(key), index_(limits.index_interval_bytes) {}

PartitionLog::PartitionLog(const PartitionCheckpoint& checkpoint, const Limits& limits)
    : key_(checkpoint.key),
      log_start_(checkpoint.log_start),
      durable_end_(checkpoint.end_offset),
      staged_end_(checkpoint.end_offset),
      segments_(checkpoint.segments),
      index_(limits.index_interval_bytes,
             segments_.empty() ? -1 : segments_.back().max_timestamp) {
  for (const SegmentInfo& segment : segments_) {
    size_bytes_ += segment.size_bytes;
    generation_next_ = std::max(generation_next_, segment.generation + 1);
  }
  clean_passes_.restore(checkpoint.passes);
  checkpointed_end_ = checkpoint.end_offset;
  epochs_.restore(checkpoint.epochs);
  producers_.restore(checkpoint.producers);
  transactions_.restore(checkpoint.aborted);
  written_ = staged_place();
  tail_unknown_ = written_.bytes % disk_block_bytes != 0;
  roll_next_ = written_.bytes > reopened_segment_bytes_max;
}

record::FoundRecord PartitionLog::max_timestamp() const {
  record::FoundRecord found;
  for (const SegmentInfo& segment : segments_) {
    if (segment.max_timestamp_offset < log_start_) continue;
    if (segment.max_timestamp <= found.timestamp) continue;
    found = {.offset = segment.max_timestamp_offset, .timestamp = segment.max_timestamp};
  }
  return found;
}

const SegmentInfo* PartitionLog::find_segment(std::int64_t offset) const {
  const auto behind = std::upper_bound(
      segments_.begin(), segments_.end(), offset,
      [](std::int64_t wanted, const SegmentInfo& segment) { return wanted < segment.base_offset; });
  if (behind == segments_.begin()) return nullptr;
  const SegmentInfo& segment = *std::prev(behind);
  return offset < segment.end_offset ? &segment : nullptr;
}

void PartitionLog::roll(std::int64_t wall_ms, std::uint32_t index_interval_bytes) {
  TR_ASSERT(segments_.empty() || segments_.back().end_offset == staged_end_);
  // The first segment of a log is where writing begins; later ones are reached by on_written().
  if (segments_.empty()) written_ = {staged_end_, 0};
  segments_.push_back({.base_offset = staged_end_, .end_offset = staged_end_,
                       .created_ms = wall_ms});
  index_ = Index(index_interval_bytes);
  indexed_entries_ = 0;
  roll_next_ = false;
  tail_unknown_ = false;
}

void PartitionLog::on_batch(const CachedBatch& batch, const record::BatchView& view,
                            std::int64_t max_timestamp_offset, std::int64_t wall_ms) {
  SegmentInfo& segment = active();
  TR_ASSERT(batch.base_offset == staged_end_);
  TR_ASSERT(batch.segment_base == segment.base_offset);
  TR_ASSERT(batch.segment_pos == segment.size_bytes);
  TR_ASSERT(batch.end_offset > batch.base_offset);
  index_.on_batch(batch.base_offset, batch.segment_pos, batch.max_timestamp);
  if (segment.size_bytes == 0) segment.created_ms = wall_ms;
  segment.size_bytes += batch.bytes;
  size_bytes_ += batch.bytes;
  segment.end_offset = batch.end_offset;
  if (batch.max_timestamp > segment.max_timestamp) {
    segment.max_timestamp = batch.max_timestamp;
    segment.max_timestamp_offset = max_timestamp_offset;
  }
  epochs_.on_batch(view.header.leader_epoch, batch.base_offset);
  if (view.header.has_producer()) on_producer_batch(view, wall_ms);
  batches_.push_back(batch);
  staged_end_ = batch.end_offset;
}

void PartitionLog::on_producer_batch(const record::BatchView& view, std::int64_t wall_ms) {
  const record::BatchHeader& header = view.header;
  if (!header.is_control()) return producers_.on_batch(header, header.base_offset, wall_ms);
  const Result<record::TransactionMarker> marker = record::marker_of(view);
  if (!marker) return;  // Some other control record: no transaction of ours.
  const std::int64_t start = producers_.on_marker(header, *marker, wall_ms);
  if (start < 0) return;
  const std::int64_t marker_offset = header.base_offset;
  transactions_.on_end({.producer_id = header.producer_id,
                        .first_offset = start,
                        .last_offset = marker_offset,
                        .stable_end = std::min(producers_.first_open(), marker_offset + 1)},
                       marker->is_commit);
}

void PartitionLog::set_log_start(std::int64_t offset) {
  log_start_ = offset;
  epochs_.trim_front(offset);
  transactions_.trim_front(offset);
}

std::size_t PartitionLog::segments_before(std::int64_t offset) const {
  std::size_t count = 0;
  while (count + 1 < segments_.size() && segments_[count].end_offset <= offset) ++count;
  return count;
}

std::size_t PartitionLog::removable(std::size_t count) const {
  std::size_t found = 0;
  while (found < count && found + 1 < segments_.size() &&
         segments_[found].base_offset < written_.base_offset &&
         segments_[found].end_offset <= durable_end_) {
    ++found;
  }
  return found;
}

void PartitionLog::drop_segments(std::size_t count) {
  TR_ASSERT(count < segments_.size());
  const auto end = segments_.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto segment = segments_.begin(); segment != end; ++segment) {
    TR_ASSERT(size_bytes_ >= segment->size_bytes);
    size_bytes_ -= segment->size_bytes;
  }
  segments_.erase(segments_.begin(), end);
}

void PartitionLog::replace_segments(std::size_t first, std::size_t count, const SegmentInfo& made) {
  TR_ASSERT(count > 0);
  TR_ASSERT(first + count < segments_.size());  // Never the active one.
  TR_ASSERT(made.base_offset == segments_[first].base_offset);
  TR_ASSERT(made.end_offset == segments_[first + count - 1].end_offset);
  TR_ASSERT(made.end_offset <= written_.base_offset);
  const auto begin = segments_.begin() + static_cast<std::ptrdiff_t>(first);
  for (std::size_t i = 0; i < count; ++i) {
    TR_ASSERT(size_bytes_ >= segments_[first + i].size_bytes);
    size_bytes_ -= segments_[first + i].size_bytes;
  }
  *begin = made;
  segments_.erase(begin + 1, begin + static_cast<std::ptrdiff_t>(count));
  size_bytes_ += made.size_bytes;
  while (!batches_.empty() && batches_.front().end_offset <= made.end_offset) {
    TR_ASSERT(first_unwritten_ > batches_first_);
    batches_.pop_front();
    ++batches_first_;
  }
}

std::size_t PartitionLog::first_beyond(const SegmentPlace& place) const {
  std::size_t low = 0;
  std::size_t high = batches_.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const CachedBatch& batch = batches_[middle];
    const SegmentPlace end{batch.segment_base, std::uint64_t{batch.segment_pos} + batch.bytes};
    if (end <= place) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void PartitionLog::gather(std::int64_t base, std::uint64_t from, MutableBytes to,
                          ChunkCache& cache) const {
  if (tail_.place.base_offset == base && from < tail_.place.bytes && !to.empty()) {
    const std::uint64_t block_start = round_down(tail_.place.bytes, disk_block_bytes);
    TR_ASSERT(from >= block_start);
    TR_ASSERT(!tail_unknown_);
    const std::size_t size = std::min<std::size_t>(to.size(), tail_.place.bytes - from);
    std::memcpy(to.data(), tail_.block->data() + (from - block_start), size);
    from += size;
    to = to.subspan(size);
  }
  for (std::size_t i = first_beyond({base, from}); !to.empty(); ++i) {
    const CachedBatch& batch = batches_[i];
    TR_ASSERT(batch.segment_base == base);
    TR_ASSERT(batch.segment_pos <= from);
    TR_ASSERT(cache.holds(batch.chunk));
    const auto inner = static_cast<std::uint32_t>(from - batch.segment_pos);
    const std::size_t size = std::min<std::size_t>(to.size(), batch.bytes - inner);
    stream_copy(to.data(), cache.bytes(batch.chunk).subspan(batch.chunk_pos + inner, size));
    from += size;
    to = to.subspan(size);
  }
}

void PartitionLog::keep_tail(const SegmentPlace& place, Bytes block) {
  tail_.place = place;
  const std::size_t size = place.bytes % disk_block_bytes;
  if (size == 0) return;
  TR_ASSERT(block.size() >= size);
  if (tail_.block == nullptr) tail_.block = std::make_unique<AlignedBuffer>(disk_block_bytes);
  std::memcpy(tail_.block->data(), block.data(), size);
}

std::uint64_t PartitionLog::durable_bytes_in(std::int64_t segment_base,
                                             std::uint64_t frames_durable,
                                             std::uint64_t bytes_enough) const {
  std::uint64_t bytes = written_.bytes;
  // A tail that was replayed reaches beyond what is taken for written.
  if (tail_.place.base_offset == segment_base) bytes = std::max(bytes, tail_.place.bytes);
  for (std::size_t i = first_unwritten_ - batches_first_;
       i < batches_.size() && bytes < bytes_enough; ++i) {
    const CachedBatch& batch = batches_[i];
    if (batch.segment_base != segment_base || batch.seq > frames_durable) break;
    bytes = std::uint64_t{batch.segment_pos} + batch.bytes;
  }
  return bytes;
}

void PartitionLog::on_written(const SegmentPlace& place, ChunkCache& cache) {
  TR_ASSERT(place >= written_);
  if (place.base_offset == written_.base_offset) {
    const std::uint64_t bytes = place.bytes - written_.bytes;
    unwritten_durable_bytes_ -= std::min(unwritten_durable_bytes_, bytes);
  }
  written_ = place;
  while (has_unwritten()) {
    const CachedBatch& batch = batches_[first_unwritten_ - batches_first_];
    const SegmentPlace end{batch.segment_base, std::uint64_t{batch.segment_pos} + batch.bytes};
    if (end > place) break;
    cache.sub_dirty(batch.chunk, batch.bytes);
    ++first_unwritten_;
  }
}

std::size_t PartitionLog::drop_cached(const ChunkCache& cache, bool clean_too) {
  // The youngest clean batch whose chunk is gone takes everything older with it, so that what is
  // left has no gap.
  std::size_t drop = 0;
  const std::size_t clean = first_unwritten_ - batches_first_;
  for (std::size_t i = clean; i > 0 && drop == 0; --i) {
    if (clean_too || !cache.holds(batches_[i - 1].chunk)) drop = i;
  }
  for (std::size_t i = 0; i < drop; ++i) batches_.pop_front();
  batches_first_ += drop;
  return drop;
}

void PartitionLog::replay_tail(const SegmentPlace& place, Bytes block) {
  TR_ASSERT(tail_unknown_);
  TR_ASSERT(batches_.empty());
  keep_tail(place, block);
  tail_unknown_ = false;
  written_ = {place.base_offset, round_down(place.bytes, disk_block_bytes)};
  unwritten_durable_bytes_ += place.bytes - written_.bytes;
}

PartitionCheckpoint PartitionLog::checkpoint() const {
  return {.key = key_,
          .log_start = log_start_,
          .end_offset = staged_end_,
          .segments = segments_,
          .epochs = epochs_.entries(),
          .producers = producers_.snapshot(),
          .aborted = transactions_.aborted(),
          .passes = clean_passes_.passes()};
}

}  // namespace tailrace::log
