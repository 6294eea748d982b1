#include "log/core_reads.h"

#include <algorithm>

namespace tailrace::log {

CoreReads::CoreReads(const Limits& limits, const Parts& parts)
    : partitions_(parts.partitions),
      cache_(parts.cache),
      reader_(parts.reader),
      checker_(parts.checker),
      reads_(limits.reads_max) {
  done_.reserve(limits.reads_max);
}

std::int64_t CoreReads::hot_start(PartitionLog& partition) {
  // From the front: batches whose chunk was taken again.
  while (partition.first_unwritten_ > partition.batches_first_ &&
         !cache_.holds(partition.batches_.front().chunk)) {
    partition.batches_.pop_front();
    ++partition.batches_first_;
  }
  return partition.batches_.empty() ? partition.staged_end_
                                    : partition.batches_.front().base_offset;
}

Result<ReadId> CoreReads::read(Handle<PartitionLog> id, const ReadRequest& request) {
  PartitionLog& partition = partitions_.at(id);
  TR_ASSERT(request.offset_end <= partition.durable_end());
  if (request.offset < partition.log_start() || request.offset >= request.offset_end) {
    return fail(Errc::out_of_range);
  }
  const ReadId read_id = reads_.insert();
  if (read_id.is_null()) return fail(Errc::full);
  Read& read = reads_.at(read_id);
  read.word = request.word;
  read.partition = id;
  read.request = request;
  if (request.offset >= hot_start(partition)) {
    read_hot(partition, read, request);
    if (!read.pieces.empty() || read.done) return read_id;
  }
  if (const Result<void> started = read_cold(partition, read_id); !started) {
    reads_.erase(read_id);
    return fail(started.error());
  }
  ++partition.reads_;
  return read_id;
}

// Leaves `read` not done when the batch turns out not to be in memory.
void CoreReads::read_hot(PartitionLog& partition, Read& read, const ReadRequest& request) {
  std::size_t low = 0;
  std::size_t high = partition.batches_.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    if (partition.batches_[middle].end_offset <= request.offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  std::size_t count = 0;
  for (std::size_t i = low; i < partition.batches_.size(); ++i) {
    const CachedBatch& batch = partition.batches_[i];
    if (batch.end_offset > request.offset_end || !cache_.holds(batch.chunk)) break;
    const bool fits = read.bytes + batch.bytes <= request.bytes_max;
    if (!fits && (i > low || !request.at_least_one)) {
      read.done = true;
      break;
    }
    const Bytes bytes = cache_.bytes(batch.chunk).subspan(batch.chunk_pos, batch.bytes);
    const bool joins = count > 0 && read.pins[count - 1] == batch.chunk &&
                       read.piece_store[count - 1].data() + read.piece_store[count - 1].size() ==
                           bytes.data();
    if (joins) {
      Bytes& last = read.piece_store[count - 1];
      last = Bytes{last.data(), last.size() + bytes.size()};
    } else {
      if (count == Read::pieces_max) break;
      cache_.pin(batch.chunk);
      read.pins[count] = batch.chunk;
      read.piece_store[count++] = bytes;
    }
    read.bytes += batch.bytes;
    read.done = true;
  }
  read.pin_count = count;
  read.pieces = {read.piece_store.data(), count};
  if (read.done) counters_.hot_reads += 1;
}

SegmentInfo CoreReads::written_part(const PartitionLog& partition, const SegmentInfo& segment) {
  SegmentInfo part = segment;
  if (partition.written_.base_offset == segment.base_offset) {
    part.size_bytes = partition.written_.bytes;
    // It ends with a block: not inside of a batch, of which the rest is in memory only.
    if (partition.has_unwritten()) {
      const CachedBatch& next =
          partition.batches_[partition.first_unwritten_ - partition.batches_first_];
      if (next.segment_base == segment.base_offset) {
        part.size_bytes = std::min<std::uint64_t>(part.size_bytes, next.segment_pos);
        part.end_offset = next.base_offset;
      }
    }
  } else if (partition.written_.base_offset < segment.base_offset) {
    part.size_bytes = 0;
  }
  return part;
}

Result<void> CoreReads::read_cold(PartitionLog& partition, ReadId id) {
  Read& read = reads_.at(id);
  const ReadRequest& request = read.request;
  const SegmentInfo* segment = partition.find_segment(request.offset);
  TR_ASSERT(segment != nullptr);
  read.segment = *segment;
  const bool is_active = partition.is_active(segment->base_offset);
  const Result<std::uint32_t> job = reader_.start(
      {.key = partition.key(),
       .segment = written_part(partition, *segment),
       .index = is_active && !partition.index_.entries().empty() ? &partition.index_ : nullptr,
       .offset = request.offset,
       .bytes_max = request.bytes_max,
       .offset_end = request.offset_end,
       .word = id.packed()});
  if (!job) return fail(job.error());
  read.job = *job;
  counters_.cold_reads += 1;
  return {};
}

Result<ReadId> CoreReads::find_timestamp(Handle<PartitionLog> id, std::int64_t timestamp,
                                         std::uint64_t word) {
  PartitionLog& partition = partitions_.at(id);
  const ReadId read_id = reads_.insert();
  if (read_id.is_null()) return fail(Errc::full);
  Read& read = reads_.at(read_id);
  read.word = word;
  read.partition = id;
  read.is_search = true;
  read.timestamp = timestamp;
  read.searched_to = partition.log_start();
  ++partition.reads_;
  search(partition, read_id);
  // Done at once is not reported again.
  if (read.done) std::erase(done_, read_id);
  return read_id;
}

void CoreReads::search(PartitionLog& partition, ReadId id) {
  const std::int64_t hot = hot_start(partition);
  if (search_cold(partition, id, hot)) return;
  Read& read = reads_.at(id);
  search_hot(partition, read);
  const bool found = read.found.offset >= 0;
  finish(id, found ? Result<void>{} : fail(Errc::not_found));
}

// True when it started a read or finished the search.
bool CoreReads::search_cold(PartitionLog& partition, ReadId id, std::int64_t hot) {
  Read& read = reads_.at(id);
  for (const SegmentInfo& segment : partition.segments_) {
    if (segment.end_offset <= read.searched_to || segment.base_offset >= hot) continue;
    const SegmentInfo part = written_part(partition, segment);
    if (segment.max_timestamp < read.timestamp || part.size_bytes == 0) continue;
    if (part.end_offset <= read.searched_to) continue;
    // No more than that: what follows may leave memory meanwhile, and then it is looked at here.
    read.segment = part;
    const bool is_active = partition.is_active(segment.base_offset);
    const Result<std::uint32_t> job = reader_.start(
        {.key = partition.key(),
         .segment = part,
         .index = is_active && !partition.index_.entries().empty() ? &partition.index_ : nullptr,
         .offset = read.by_offset ? read.searched_to : -1,
         .timestamp = read.timestamp,
         .offset_start = read.searched_to,
         .word = id.packed()});
    if (!job) {
      finish(id, fail(job.error()));
      return true;
    }
    read.job = *job;
    counters_.cold_reads += 1;
    return true;
  }
  return false;
}

void CoreReads::search_hot(PartitionLog& partition, Read& read) {
  for (std::size_t i = 0; i < partition.batches_.size(); ++i) {
    const CachedBatch& batch = partition.batches_[i];
    if (batch.end_offset > partition.durable_end_) return;
    if (batch.max_timestamp < read.timestamp || batch.end_offset <= partition.log_start_) continue;
    if (!cache_.holds(batch.chunk)) continue;  // Was looked at in its segment.
    const Bytes bytes = cache_.bytes(batch.chunk).subspan(batch.chunk_pos, batch.bytes);
    const Result<record::BatchView> view = record::parse_batch(bytes);
    TR_ASSERT(view.has_value());
    const auto found = checker_.find_timestamp(*view, read.timestamp, partition.log_start_);
    if (!found) continue;
    read.found = *found;
    return;
  }
}

void CoreReads::on_cold_done(const Reader::Done& done) {
  const ReadId id = ReadId::unpacked(done.word);
  Read& read = reads_.at(id);
  TR_ASSERT(read.job == done.job);
  PartitionLog& partition = partitions_.at(read.partition);
  const bool is_gap = !done.batches && done.batches.error().code == Errc::not_found;
  if (read_again(partition, id, is_gap)) return;
  if (!read.is_search) {
    if (done.batches) {
      const bool too_large = !read.request.at_least_one &&
                             done.batches->size() > read.request.bytes_max;
      const bool has_piece = !done.batches->empty() && !too_large;
      read.piece_store[0] = *done.batches;
      read.pieces = {read.piece_store.data(), has_piece ? 1U : 0U};
      read.bytes = has_piece ? done.batches->size() : 0;
    }
    finish(id, done.batches ? Result<void>{} : fail(done.batches.error()));
    return;
  }
  if (!done.batches && done.batches.error().code != Errc::not_found) {
    finish(id, fail(done.batches.error()));
    return;
  }
  search_batches(partition, read, done.batches ? *done.batches : Bytes{});
  reader_.release(read.job);
  read.job = UINT32_MAX;
  if (read.found.offset >= 0) {
    finish(id, {});
  } else {
    search(partition, id);
  }
}

bool CoreReads::read_again(PartitionLog& partition, ReadId id, bool is_gap) {
  Read& read = reads_.at(id);
  const std::int64_t at = read.is_search ? read.searched_to : read.request.offset;
  const SegmentInfo* now = partition.find_segment(std::max(at, read.segment.base_offset));
  const bool replaced = now != nullptr && now->generation != read.segment.generation;
  const bool skips = !read.is_search && is_gap && read.segment.may_have_gaps();
  if (!replaced && !skips) return false;
  reader_.release(read.job);
  read.job = UINT32_MAX;
  if (read.is_search) {
    search(partition, id);
    return true;
  }
  if (!replaced) read.request.offset = read.segment.end_offset;
  if (read.request.offset >= read.request.offset_end) {
    finish(id, {});  // Nothing but a gap up to there.
    return true;
  }
  if (read.request.offset >= hot_start(partition)) read_hot(partition, read, read.request);
  if (read.done) {
    read.done = false;
    finish(id, {});
    return true;
  }
  if (partition.find_segment(read.request.offset) == nullptr) {
    finish(id, fail(Errc::out_of_range));  // Retention was faster.
    return true;
  }
  if (const Result<void> started = read_cold(partition, id); !started) {
    finish(id, fail(started.error()));
  }
  return true;
}

// What a cold read of a search brought; nothing: the segment has no such record.
void CoreReads::search_batches(PartitionLog& partition, Read& read, Bytes batches) {
  if (batches.empty()) read.searched_to = read.segment.end_offset;
  while (!batches.empty()) {
    const Result<record::BatchView> view = record::parse_batch(batches);
    if (!view || view->header.last_offset() >= partition.durable_end_) {
      read.searched_to = read.segment.end_offset;
      break;
    }
    batches = batches.subspan(view->bytes.size());
    if (view->header.max_timestamp >= read.timestamp) {
      const auto found = checker_.find_timestamp(*view, read.timestamp, partition.log_start_);
      if (found) {
        read.found = *found;
        return;
      }
    }
    read.searched_to = std::max(read.searched_to, view->header.last_offset() + 1);
  }
  // The batch with the timestamp lies before log_start: from here on, one after the other.
  read.by_offset = read.searched_to < read.segment.end_offset;
}

void CoreReads::finish(ReadId id, Result<void> status) {
  Read& read = reads_.at(id);
  TR_ASSERT(!read.done);
  read.done = true;
  read.status = status;
  PartitionLog& partition = partitions_.at(read.partition);
  TR_ASSERT(partition.reads_ > 0);
  --partition.reads_;
  if (read.found.offset >= 0) read.found_epoch = partition.epochs_.epoch_at(read.found.offset);
  done_.push_back(id);
}

const Read& CoreReads::get(ReadId id) const {
  const Read* read = reads_.find(id);
  TR_ASSERT(read != nullptr);
  return *read;
}

void CoreReads::release(ReadId id) {
  Read& read = reads_.at(id);
  for (std::size_t i = 0; i < read.pin_count; ++i) cache_.unpin(read.pins[i]);
  if (read.job != UINT32_MAX) reader_.release(read.job);
  if (read.done) {
    std::erase(done_, id);
  } else {
    --partitions_.at(read.partition).reads_;
  }
  reads_.erase(id);
}

std::size_t CoreReads::take_done(std::span<ReadId> reads) {
  const std::size_t count = std::min(reads.size(), done_.size());
  std::copy_n(done_.begin(), count, reads.begin());
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

void CoreReads::step() {
  reader_.step();
  std::array<Reader::Done, 16> done;
  const std::size_t count = reader_.take_done(done);
  for (std::size_t i = 0; i < count; ++i) on_cold_done(done[i]);
}

void CoreReads::end_reads_of(Handle<PartitionLog> partition) {
  for (std::size_t i = 0; i < reads_.capacity(); ++i) {
    Read* read = reads_.at_index(i);
    if (read == nullptr || read->done || !(read->partition == partition)) continue;
    if (read->job != UINT32_MAX) reader_.release(read->job);
    read->job = UINT32_MAX;
    finish(reads_.handle_at(i), fail(Errc::not_found));
  }
}

}  // namespace tailrace::log
