#include "log/reader.h"

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace tailrace::log {

namespace {

// With less of a segment than so many index intervals, its index saves nothing.
constexpr std::uint64_t intervals_without_index = 2;

// What is read ahead of a target whose place is known to one index interval, at the least: a
// consumer that asks for little mostly asks for what follows soon after.
constexpr std::uint32_t read_ahead_bytes_min = 64U << 10;

}  // namespace

Reader::Reader(const Limits& limits, MutableBytes memory, FileTable& files, OpQueue& queue)
    : limits_(limits),
      memory_(memory),
      buffer_bytes_(limits.read_bytes()),
      files_(files),
      queue_(queue),
      jobs_(limits.reads_max),
      buffer_job_(limits.read_buffer_count, no_index) {
  TR_ASSERT(limits.reads_max > 0);
  TR_ASSERT(limits.read_buffer_count > 0);
  TR_ASSERT(buffer_bytes_ % disk_block_bytes == 0);
  // The largest batch fits wherever in its first block it starts.
  TR_ASSERT(buffer_bytes_ >= limits.batch_bytes_max() + disk_block_bytes);
  TR_ASSERT(memory.size() >= buffer_bytes_ * buffer_job_.size());
  TR_ASSERT(reinterpret_cast<std::uintptr_t>(memory.data()) % disk_block_bytes == 0);
  unused_jobs_.reserve(jobs_.size());
  for (std::size_t i = jobs_.size(); i > 0; --i) {
    unused_jobs_.push_back(static_cast<std::uint32_t>(i - 1));
  }
  queued_.reserve(jobs_.size());
  done_.reserve(jobs_.size());
  indexes_.reserve(indexes_max + 1);
}

Result<std::uint32_t> Reader::start(const Request& request) {
  if (unused_jobs_.empty()) return fail(Errc::full);
  const std::uint32_t id = unused_jobs_.back();
  unused_jobs_.pop_back();
  Job& job = jobs_[id];
  TR_ASSERT(job.phase == Phase::unused);
  job.request = request;
  job.request.index = nullptr;  // It may move before the job's turn comes.
  job.phase = Phase::queued;
  start_at_front(job);
  if (request.index != nullptr) {
    use_index(job, *request.index);
    job.place_known = true;
  } else {
    job.place_known =
        request.segment.size_bytes <= intervals_without_index * limits_.index_interval_bytes;
  }
  queued_.push_back(id);
  return id;
}

std::size_t Reader::take_done(std::span<Done> done) {
  const std::size_t count = std::min(done.size(), done_.size());
  for (std::size_t i = 0; i < count; ++i) {
    Job& job = jobs_[done_[i]];
    TR_ASSERT(job.phase == Phase::done);
    job.taken = true;
    done[i] = {done_[i], job.request.word, job.result};
  }
  done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

void Reader::release(std::uint32_t id) {
  TR_ASSERT(id < jobs_.size());
  Job& job = jobs_[id];
  TR_ASSERT(!job.cancelled);
  switch (job.phase) {
    case Phase::queued:
      std::erase(queued_, id);
      break;
    case Phase::finding_index:
    case Phase::needs_file:
      break;
    case Phase::opening_index:
    case Phase::opening:
      drop_lease(job);
      break;
    case Phase::loading_index:
    case Phase::reading:
      job.cancelled = true;  // The kernel writes into the buffer: on_disk_done() frees it.
      return;
    case Phase::done:
      if (!job.taken) std::erase(done_, id);
      break;
    case Phase::unused:
      TR_ASSERT(false);
  }
  free_job(id);
}

bool Reader::idle() const { return unused_jobs_.size() == jobs_.size(); }

void Reader::forget(const PartitionKey& key) {
  std::erase_if(indexes_, [&](const KeptIndex& kept) { return kept.key == key; });
  for (Job& job : jobs_) {
    if (job.phase != Phase::unused && job.request.key == key) job.forgotten = true;
  }
}

void Reader::step() {
  for (const std::uint32_t id : buffer_job_) {
    if (id != no_index) advance(id);
  }
  for (std::size_t b = 0; b < buffer_job_.size() && !queued_.empty(); ++b) {
    while (buffer_job_[b] == no_index && !queued_.empty()) {
      const std::uint32_t id = queued_.front();
      queued_.erase(queued_.begin());
      buffer_job_[b] = id;
      jobs_[id].buffer = static_cast<std::uint32_t>(b);
      jobs_[id].phase = jobs_[id].place_known ? Phase::needs_file : Phase::finding_index;
      advance(id);  // May be done already: then the buffer is free again.
    }
  }
}

void Reader::advance(std::uint32_t id) {
  Job& job = jobs_[id];
  switch (job.phase) {
    case Phase::finding_index:
      find_index(id);
      return;
    case Phase::opening_index:
      open_index(id);
      return;
    case Phase::needs_file:
    case Phase::opening:
      open_segment(id);
      return;
    case Phase::loading_index:
    case Phase::reading:
    case Phase::done:
      return;  // The disk's, or the caller's, turn.
    case Phase::unused:
    case Phase::queued:
      break;  // These hold no buffer.
  }
  TR_ASSERT(false);
}

void Reader::on_disk_done(const DiskDone& done) {
  TR_ASSERT(asker_of(done.tag) == Asker::reader);
  const auto id = static_cast<std::uint32_t>(word_of(done.tag));
  TR_ASSERT(id < jobs_.size());
  Job& job = jobs_[id];
  TR_ASSERT(job.phase == Phase::loading_index || job.phase == Phase::reading);
  if (job.cancelled) {
    drop_lease(job);
    free_job(id);
  } else if (job.phase == Phase::loading_index) {
    on_index_loaded(id, done.result);
  } else {
    on_read(id, done.result);
  }
}

// --- where to begin

void Reader::start_at_front(Job& job) {
  job.batch_pos = 0;
  job.expected_base = job.request.segment.base_offset;
  job.from_index = false;
  job.read_count = 0;
}

void Reader::use_index(Job& job, const Index& index) {
  IndexEntry entry = index.at_or_before(job.request.offset);
  if (job.request.offset < 0) {
    // Both lie at or before the target; the later one is nearer.
    entry = index.before_timestamp(job.request.timestamp);
    const IndexEntry other = index.at_or_before(job.request.offset_start);
    if (other.base_offset > entry.base_offset) entry = other;
  }
  // Files lie: an entry that cannot be of this segment is no hint.
  if (entry.base_offset <= job.request.segment.base_offset) return;
  if (entry.base_offset >= job.request.segment.end_offset) return;
  if (entry.segment_pos == 0 || entry.segment_pos >= job.request.segment.size_bytes) return;
  job.batch_pos = entry.segment_pos;
  job.expected_base = entry.base_offset;
  job.from_index = true;
}

void Reader::find_index(std::uint32_t id) {
  Job& job = jobs_[id];
  const SegmentInfo& segment = job.request.segment;
  if (KeptIndex* kept = kept_index(job.request.key, segment.base_offset); kept != nullptr) {
    kept->used = ++index_use_;
    use_index(job, kept->index);
    job.phase = Phase::needs_file;
    open_segment(id);
    return;
  }
  const auto lease = files_.acquire(index_path(job.request.key, segment), false);
  if (!lease) return;  // Every file is leased: step() asks again.
  job.lease = *lease;
  job.phase = Phase::opening_index;
  open_index(id);
}

void Reader::open_index(std::uint32_t id) {
  Job& job = jobs_[id];
  TR_ASSERT(job.phase == Phase::opening_index);
  const auto lease = files_.poll(job.lease);
  if (!lease) {
    job.lease = {};  // The failed poll has given it back.
    // Not there (lost with a power cut, or never written): the walk from the front makes it anew.
    if (lease.error().code == Errc::not_found) {
      keep_index(job, Index(limits_.index_interval_bytes), 0);
    }
    job.phase = Phase::needs_file;
    open_segment(id);
    return;
  }
  if (lease->file == no_file) return;
  job.lease = *lease;
  job.phase = Phase::loading_index;
  ++counters_.index_loads;
  queue_.push({.kind = DiskOpKind::read,
               .disk_class = DiskClass::read,
               .file = lease->file,
               .file_pos = 0,
               .block = buffer(job.buffer),
               .tag = make_tag(Asker::reader, id)});
}

void Reader::on_index_loaded(std::uint32_t id, std::int64_t result) {
  Job& job = jobs_[id];
  const FileName path = index_path(job.request.key, job.request.segment);
  files_.forget(path);  // Its content is kept, so the descriptor need not be.
  drop_lease(job);
  if (result >= 0) {
    TR_ASSERT(static_cast<std::uint64_t>(result) <= buffer_bytes_);
    auto decoded = Index::decode(buffer(job.buffer).first(static_cast<std::size_t>(result)),
                                 limits_.index_interval_bytes);
    if (decoded) {
      use_index(job, decoded->index);
      keep_index(job, std::move(decoded->index), decoded->covered_bytes);
    } else {
      log_event(LogLevel::warn, "log", "index {} is useless ({}): made anew", path.text(),
                to_string(decoded.error().code));
      keep_index(job, Index(limits_.index_interval_bytes), 0);
    }
  }
  job.phase = Phase::needs_file;
  open_segment(id);
}

// --- reading

void Reader::open_segment(std::uint32_t id) {
  Job& job = jobs_[id];
  if (job.phase == Phase::needs_file) {
    const auto lease =
        files_.acquire(segment_path(job.request.key, job.request.segment), false);
    if (!lease) return;  // Every file is leased: step() asks again.
    job.lease = *lease;
    job.phase = Phase::opening;
  }
  TR_ASSERT(job.phase == Phase::opening);
  const auto lease = files_.poll(job.lease);
  if (!lease) {
    job.lease = {};
    finish(id, fail(Errc::io, lease.error().detail));
    return;
  }
  if (lease->file == no_file) return;
  job.lease = *lease;
  begin_read(id, 0);
}

// The first read covers an index interval and what is asked for. It mostly reaches the batch, but
// may cut it: the second one, from there, covers that batch (`need_bytes` of it are known to be
// needed) and what is asked for. When that does not do either, the place was not known well, and
// the next ones take the whole buffer.
void Reader::begin_read(std::uint32_t id, std::uint64_t need_bytes) {
  Job& job = jobs_[id];
  TR_ASSERT(job.lease.file != no_file);
  const std::uint64_t size_bytes = job.request.segment.size_bytes;
  if (job.batch_pos >= size_bytes) {
    finish(id, fail(error_at_end(job)));
    return;
  }
  job.read_pos = round_down(job.batch_pos, disk_block_bytes);
  const std::uint64_t rest = round_up(size_bytes - job.read_pos, disk_block_bytes);
  const std::uint64_t most = std::min<std::uint64_t>(rest, buffer_bytes_);
  std::uint64_t wanted = most;
  if (job.read_count < 2) {
    const std::uint64_t ahead = std::max(job.request.bytes_max, read_ahead_bytes_min);
    const std::uint64_t end = job.read_count == 0
                                  ? job.read_pos + limits_.index_interval_bytes + ahead
                                  : job.batch_pos + std::max(need_bytes, ahead);
    wanted = std::min(most, round_up(end - job.read_pos, disk_block_bytes));
    ++job.read_count;
  }
  job.read_bytes = static_cast<std::uint32_t>(wanted);
  job.read_most = wanted == most;
  job.phase = Phase::reading;
  TR_ASSERT(job.read_bytes > 0);
  TR_ASSERT(job.read_bytes <= buffer_bytes_);
  queue_.push({.kind = DiskOpKind::read,
               .disk_class = DiskClass::read,
               .file = job.lease.file,
               .file_pos = job.read_pos,
               .block = buffer(job.buffer).first(job.read_bytes),
               .tag = make_tag(Asker::reader, id)});
}

void Reader::on_read(std::uint32_t id, std::int64_t result) {
  Job& job = jobs_[id];
  if (result < 0) {
    finish(id, fail(Errc::io, static_cast<std::uint16_t>(-result)));
    return;
  }
  TR_ASSERT(result <= job.read_bytes);
  ++counters_.reads;
  counters_.bytes += static_cast<std::uint64_t>(result);
  // The last block's padding is not the segment's. A file shorter than the segment shows as a
  // batch that is never whole.
  job.valid_end = std::min(job.read_pos + static_cast<std::uint64_t>(result),
                           job.request.segment.size_bytes);
  walk(id);
}

// Walks from batch to batch to the first one wanted.
void Reader::walk(std::uint32_t id) {
  Job& job = jobs_[id];
  const Request& request = job.request;
  KeptIndex* kept = job.forgotten ? nullptr : kept_index(request.key, request.segment.base_offset);
  while (job.batch_pos < request.segment.size_bytes) {
    const Look look = look_at(job);
    if (look.kind == Look::Kind::cut) {
      // Read again from there, but not the very same bytes for ever.
      const bool again = round_down(job.batch_pos, disk_block_bytes) == job.read_pos;
      if (again && job.read_most) return on_bad_batch(id);
      return begin_read(id, record::header_bytes);
    }
    if (look.kind == Look::Kind::bad) return on_bad_batch(id);

    const record::BatchHeader& header = look.header;
    if (header.last_offset() >= request.offset_end) {
      return finish(id, request.offset >= 0
                            ? Result<Bytes>(Bytes{})
                                              : Result<Bytes>(fail(Errc::not_found)));
    }
    const bool wanted = request.offset >= 0 ? header.last_offset() >= request.offset
                                            : header.last_offset() >= request.offset_start &&
                                                  header.max_timestamp >= request.timestamp;
    if (wanted) {
      if (look.bytes.size() == header.size_bytes()) return collect(id);
      const bool again = round_down(job.batch_pos, disk_block_bytes) == job.read_pos;
      if (again && job.read_most) return on_bad_batch(id);
      return begin_read(id, header.size_bytes());
    }
    pass(job, header, kept);
  }
  finish(id, fail(error_at_end(job)));
}

// The batch at batch_pos, as far as it was read.
Reader::Look Reader::look_at(const Job& job) const {
  Look look;
  if (job.batch_pos + record::header_bytes > job.valid_end) {
    look.kind = job.batch_pos + record::header_bytes > job.request.segment.size_bytes
                    ? Look::Kind::bad
                    : Look::Kind::cut;
    return look;
  }
  const Bytes bytes = buffer(job.buffer).subspan(job.batch_pos - job.read_pos,
                                                 job.valid_end - job.batch_pos);
  const auto header = record::parse_header(bytes);
  look.kind = Look::Kind::bad;
  if (!header) return look;
  // Offsets follow each other without a gap, unless compaction has made some. This finds rot in the
  // headers of batches that are passed over, whose CRC nobody looks at: it must not lead past the
  // one that was asked for.
  const bool may_skip = job.request.segment.may_have_gaps() && !job.from_index;
  if (header->base_offset < job.expected_base) return look;
  if (header->base_offset > job.expected_base && !may_skip) return look;
  if (header->base_offset > INT64_MAX - header->last_offset_delta) return look;
  if (header->last_offset() >= job.request.segment.end_offset) return look;
  if (header->size_bytes() > job.request.segment.size_bytes - job.batch_pos) return look;
  look.kind = Look::Kind::batch;
  look.header = *header;
  look.bytes = bytes.first(std::min(bytes.size(), header->size_bytes()));
  return look;
}

// On to the next batch; tells the index of this one if it has not heard of it.
void Reader::pass(Job& job, const record::BatchHeader& header, KeptIndex* kept) {
  if (kept != nullptr && kept->covered_bytes == job.batch_pos) {
    kept->index.on_batch(header.base_offset, job.batch_pos, header.max_timestamp);
    kept->covered_bytes += header.size_bytes();
  }
  job.batch_pos += header.size_bytes();
  job.expected_base = header.last_offset() + 1;
  job.from_index = false;
}

// Batches from batch_pos on, each whole and with the right CRC.
void Reader::collect(std::uint32_t id) {
  Job& job = jobs_[id];
  const Request& request = job.request;
  const std::uint64_t first_pos = job.batch_pos;
  KeptIndex* kept = job.forgotten ? nullptr : kept_index(request.key, request.segment.base_offset);
  while (job.batch_pos < request.segment.size_bytes) {
    const Look look = look_at(job);
    // The first one was whole and good so far, or we were not here.
    if (look.kind != Look::Kind::batch) break;
    const std::size_t size_bytes = look.header.size_bytes();
    if (look.bytes.size() < size_bytes) break;
    const std::uint64_t total = job.batch_pos - first_pos + size_bytes;
    if (job.batch_pos > first_pos && total > request.bytes_max) break;
    if (look.header.last_offset() >= request.offset_end) break;
    if (!record::crc_matches(look.bytes)) break;
    pass(job, look.header, kept);
  }
  if (job.batch_pos == first_pos) {
    finish(id, fail(corrupt(job)));
    return;
  }
  TR_ASSERT(first_pos >= job.read_pos);
  TR_ASSERT(job.batch_pos <= job.valid_end);
  finish(id, Bytes(buffer(job.buffer).subspan(first_pos - job.read_pos,
                                              job.batch_pos - first_pos)));
}

void Reader::on_bad_batch(std::uint32_t id) {
  Job& job = jobs_[id];
  if (job.from_index) {
    if (!job.place_known) keep_index(job, Index(limits_.index_interval_bytes), 0);
    start_at_front(job);
    begin_read(id, 0);
    return;
  }
  finish(id, fail(corrupt(job)));
}

Error Reader::corrupt(const Job& job) const {
  log_event(LogLevel::error, "log", "{} holds no valid batch at {}",
            segment_path(job.request.key, job.request.segment).text(), job.batch_pos);
  return {Errc::corrupt};
}

// The whole segment was walked in vain.
Error Reader::error_at_end(const Job& job) const {
  const bool vouched = job.request.offset >= 0 &&
                       job.request.offset < job.request.segment.end_offset &&
                       !job.request.segment.may_have_gaps();
  return vouched ? corrupt(job) : Error{Errc::not_found};
}

void Reader::finish(std::uint32_t id, Result<Bytes> result) {
  Job& job = jobs_[id];
  TR_ASSERT(job.phase != Phase::done);
  TR_ASSERT(!job.cancelled);
  drop_lease(job);
  job.phase = Phase::done;
  job.result = result;
  if (!result || result->empty()) free_buffer(job);
  done_.push_back(id);
}

void Reader::free_job(std::uint32_t id) {
  TR_ASSERT(jobs_[id].lease.slot == UINT32_MAX);
  free_buffer(jobs_[id]);
  jobs_[id] = Job{};
  unused_jobs_.push_back(id);
}

void Reader::free_buffer(Job& job) {
  if (job.buffer == no_index) return;
  TR_ASSERT(buffer_job_[job.buffer] != no_index);
  buffer_job_[job.buffer] = no_index;
  job.buffer = no_index;
}

void Reader::drop_lease(Job& job) {
  if (job.lease.slot != UINT32_MAX) files_.release(job.lease);
  job.lease = {};
}

MutableBytes Reader::buffer(std::uint32_t index) const {
  TR_ASSERT(index < buffer_job_.size());
  return memory_.subspan(index * buffer_bytes_, buffer_bytes_);
}

// --- indexes kept

Reader::KeptIndex* Reader::kept_index(const PartitionKey& key, std::int64_t segment_base) {
  for (KeptIndex& kept : indexes_) {
    if (kept.segment_base == segment_base && kept.key == key) return &kept;
  }
  return nullptr;
}

void Reader::keep_index(const Job& job, Index index, std::uint64_t covered_bytes) {
  if (job.forgotten) return;
  drop_index(job);
  indexes_.push_back({job.request.key, job.request.segment.base_offset, std::move(index),
                      covered_bytes, ++index_use_});
  std::size_t bytes = 0;
  for (const KeptIndex& kept : indexes_) bytes += kept.index.memory_bytes();
  while (indexes_.size() > 1 && (indexes_.size() > indexes_max || bytes > index_bytes_max)) {
    const auto oldest = std::min_element(
        indexes_.begin(), indexes_.end(),
        [](const KeptIndex& a, const KeptIndex& b) { return a.used < b.used; });
    bytes -= oldest->index.memory_bytes();
    indexes_.erase(oldest);
  }
  TR_ASSERT(indexes_.size() <= indexes_max);
}

void Reader::drop_index(const Job& job) {
  std::erase_if(indexes_, [&](const KeptIndex& kept) {
    return kept.segment_base == job.request.segment.base_offset && kept.key == job.request.key;
  });
}

}  // namespace tailrace::log
