#include "log/compactor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/aligned.h"
#include "base/log.h"
#include "record/control_record.h"

namespace tailrace::log {
namespace {

constexpr std::uint64_t scan_tag = make_tag(Asker::compactor, 0);
constexpr std::uint64_t file_tag = make_tag(Asker::compactor, 1);
// Of records in one step, so that the requests beside it wait no longer than for each other.
constexpr std::uint64_t step_bytes_max = 32U << 10;
// How many times as long as reading a byte of records it takes to pack it again, by codec.
constexpr std::array<std::uint64_t, record::codec_mask + 1> packing_cost = {0, 16, 2, 2, 4};
// How much may be made up for when turns come late.
constexpr Duration burst = milliseconds(4);
constexpr Duration retry_after = seconds(30);

std::uint64_t dedupe_bytes(const Limits& limits) { return limits.compaction_memory_bytes; }

// Kafka's index counts offsets in 31 bits from the segment's base; a copy of ours should fit.
bool offsets_fit(std::int64_t base, std::int64_t end) { return end - base <= INT32_MAX; }

// As Kafka's are, and a newer version's may be.
constexpr std::size_t marker_bytes_max = 256;

std::int64_t time_after(std::int64_t time_ms, std::int64_t delay_ms) {
  std::int64_t after = 0;
  return __builtin_add_overflow(time_ms, delay_ms, &after) ? INT64_MAX : after;
}

bool is_older(std::int64_t time_ms, std::int64_t age_ms, std::int64_t wall_ms) {
  std::int64_t age = 0;
  if (__builtin_sub_overflow(wall_ms, time_ms, &age)) return time_ms < wall_ms;
  return age >= age_ms;
}

}  // namespace

std::size_t Compactor::memory_bytes(const Limits& limits) {
  return limits.read_bytes() + CompactedFile::buffer_bytes(limits);
}

Compactor::Compactor(const Limits& limits, MutableBytes memory, const Parts& parts)
    : limits_(limits),
      partitions_(parts.partitions),
      commit_(parts.commit),
      reader_(parts.reader),
      flusher_(parts.flusher),
      checker_(parts.checker),
      filter_(parts.checker, limits.batch_bytes_max()),
      map_(dedupe_bytes(limits)),
      scan_(limits, memory.first(limits.read_bytes()), scan_tag, parts.files, parts.queue),
      file_(limits, memory.subspan(limits.read_bytes()), file_tag, parts.queue) {
  TR_ASSERT(memory.size() >= memory_bytes(limits));
}

Compactor::Counters Compactor::counters() const {
  Counters counters = counters_;
  counters.read_bytes = scan_.bytes_read();
  counters.written_bytes = file_.bytes_written();
  return counters;
}

// ---- the turn

void Compactor::step(Now now, std::uint64_t usable_bytes) {
  stepped_at_ = now.instant;
  wants_turn_ = false;
  if (phase_ == Phase::idle) {
    if (stopping_ || now.instant < look_at_) return;
    look_at_ = now.instant + limits_.compaction_check;
    choose(now, usable_bytes);
    if (phase_ == Phase::idle) return;
  }
  if (phase_ == Phase::leaving) return step_leaving();
  PartitionLog* partition = partition_of_pass();
  if (partition == nullptr || stopping_) return leave();
  if (file_.failed()) {
    return on_error(*partition, {Errc::io, static_cast<std::uint16_t>(file_.error_number())}, now);
  }
  if (phase_ == Phase::finishing) {
    if (file_.done()) swap(*partition, now);
    if (phase_ != Phase::cleaning) return;
  }
  work(*partition, now);
}

PartitionLog* Compactor::partition_of_pass() {
  PartitionLog* partition = partitions_.find(pass_.id);
  if (partition == nullptr || partition->removing_) return nullptr;
  return partition->config_.compaction.compacts ? partition : nullptr;
}

Instant Compactor::next_deadline() const {
  if (phase_ == Phase::idle) return stopping_ ? never() : look_at_;
  return wants_turn_ ? std::max(stepped_at_, allowed_at_) : never();
}

void Compactor::on_disk_done(const DiskDone& done) {
  if (done.tag == scan_tag) return scan_.on_disk_done(done);
  TR_ASSERT(done.tag == file_tag);
  file_.on_disk_done(done);
}

void Compactor::work(PartitionLog& partition, Now now) {
  scan_.step();
  allowed_at_ = std::max(allowed_at_, Instant{now.instant.ns - burst.ns});
  std::uint64_t bytes = 0;
  while (phase_ == Phase::mapping || phase_ == Phase::cleaning) {
    switch (scan_.state()) {
      case SegmentScan::State::opening:
      case SegmentScan::State::reading: return;
      case SegmentScan::State::failed: return on_error(partition, scan_.error(), now);
      case SegmentScan::State::end:
        if (phase_ == Phase::cleaning && !file_.ready()) return;
        on_input_end(partition);
        continue;
      case SegmentScan::State::batch: break;
      case SegmentScan::State::idle: TR_ASSERT(false);
    }
    if (phase_ == Phase::cleaning && !file_.ready()) return;
    if (bytes >= step_bytes_max || now.instant < allowed_at_) {
      wants_turn_ = true;
      return;
    }
    const Result<Taken> taken = take(partition, scan_.batch(), now);
    if (!taken) return on_error(partition, taken.error(), now);
    bytes += taken->cost;
    allowed_at_ =
        allowed_at_ + nanoseconds(static_cast<std::int64_t>(
                          taken->cost * 1'000'000'000 / limits_.compaction_bytes_per_second));
    if (!taken->whole) continue;
    if (!map_full_) {
      scan_.next();
      continue;
    }
    map_full_ = false;
    scan_.close();
    begin_cleaning(partition);
  }
}

// Maps or cleans it, or a piece of it. The cost is in bytes of compaction_bytes_per_second.
Result<Compactor::Taken> Compactor::take(PartitionLog& partition, const record::BatchView& batch,
                                         Now now) {
  const std::uint64_t written_before = file_.size_bytes();
  const std::uint64_t walked_before = filter_.walked_bytes();
  const std::uint64_t unpacked_before = filter_.unpacked_bytes();
  const std::uint64_t packed_before = filter_.packed_bytes();
  const Result<bool> whole =
      phase_ == Phase::mapping ? map_batch(batch) : clean_batch(partition, batch, now);
  if (!whole) return fail(whole.error());
  const std::uint64_t walked = filter_.walked_bytes() - walked_before;
  const std::uint8_t codec = batch.header.codec_bits();
  const bool is_piece = codec == 0 && walked > 0;
  return Taken{.cost = (is_piece ? walked : batch.bytes.size()) +
                       (file_.size_bytes() - written_before) +
                       (filter_.unpacked_bytes() - unpacked_before) +
                       (filter_.packed_bytes() - packed_before) * packing_cost[codec],
               .whole = *whole};
}

// ---- what there is to do

Compactor::Dirt Compactor::dirt_of(const PartitionLog& partition, Now now) const {
  Dirt dirt;
  const CompactionRule& rule = partition.config_.compaction;
  const std::int64_t clean_end = partition.clean_passes_.end_offset();
  const std::int64_t end = std::min({partition.checkpointed_end_, partition.written_.base_offset,
                                     partition.stable_end()});
  for (std::size_t i = 0; i + 1 < partition.segments_.size(); ++i) {
    const SegmentInfo& segment = partition.segments_[i];
    if (segment.end_offset > end) break;
    const std::int64_t newest =
        segment.max_timestamp >= 0 ? segment.max_timestamp : segment.created_ms;
    const bool is_dirty = segment.end_offset > clean_end;
    if (is_dirty && rule.lag_ms_min > 0 && !is_older(newest, rule.lag_ms_min, now.wall_ms)) break;
    ++dirt.segments;
    dirt.bytes += segment.size_bytes;
    dirt.end_offset = segment.end_offset;
    if (!is_dirty) continue;
    dirt.dirty_bytes += segment.size_bytes;
    dirt.due = dirt.due || (rule.lag_ms_max < INT64_MAX &&
                            is_older(segment.created_ms, rule.lag_ms_max, now.wall_ms));
  }
  if (dirt.segments == 0) return dirt;
  const auto& aborted = partition.transactions_.aborted();
  dirt.due = dirt.due ||
             (sheds_aborted_ && !aborted.empty() &&
              aborted.front().last_offset < dirt.end_offset);
  dirt.due = dirt.due || partition.markers_go_ms_ <= now.wall_ms ||
             partition.clean_passes_.has_expired(rule.delete_retention_ms, now.wall_ms) ||
             (dirt.dirty_bytes > 0 && dirt.ratio() >= rule.dirty_ratio_min);
  return dirt;
}

void Compactor::choose(Now now, std::uint64_t usable_bytes) {
  counters_.dirty_bytes = 0;
  PartitionId best;
  Dirt most;
  for (std::size_t i = 0; i < partitions_.capacity(); ++i) {
    const PartitionLog* partition = partitions_.at_index(i);
    if (partition == nullptr || partition->removing_) continue;
    if (!partition->config_.compaction.compacts) continue;
    const Dirt dirt = dirt_of(*partition, now);
    counters_.dirty_bytes += dirt.dirty_bytes;
    if (!dirt.due || now.instant < partition->compact_again_at_) continue;
    if (usable_bytes < room_for(*partition, dirt)) continue;
    if (!best.is_null() && dirt.ratio() <= most.ratio()) continue;
    best = partitions_.handle_at(i);
    most = dirt;
  }
  if (best.is_null()) sheds_aborted_ = false;
  if (!best.is_null()) begin(partitions_.at(best), best, most, now);
}

// Old files stay until the next checkpoint: what is written by then is there twice.
std::uint64_t Compactor::room_for(const PartitionLog& partition, const Dirt& dirt) const {
  const auto segment = static_cast<std::uint64_t>(partition.config_.segment_bytes);
  const auto interval_s =
      static_cast<std::uint64_t>(limits_.checkpoint_interval.ns) / 1'000'000'000;
  const std::uint64_t twice =
      2 * segment + 2 * (interval_s + 1) * limits_.compaction_bytes_per_second;
  return limits_.free_bytes_min + std::min(dirt.bytes, twice);
}

void Compactor::begin(PartitionLog& partition, PartitionId id, const Dirt& dirt, Now now) {
  const auto& segments = partition.segments_;
  const CleanPasses& passes = partition.clean_passes_;
  pass_ = {.id = id, .key = partition.key(), .rule = partition.config_.compaction,
           .inputs = {segments.begin(),
                      segments.begin() + static_cast<std::ptrdiff_t>(dirt.segments)},
           .aborted = partition.transactions().aborted()};
  pass_.dirty_from = std::max(passes.end_offset(), pass_.inputs.front().base_offset);
  pass_.expired_end = passes.expired_end(pass_.rule.delete_retention_ms, now.wall_ms);
  pass_.waiting.assign(passes.size() + 1, 0);
  pass_.end = std::max(pass_.dirty_from, pass_.inputs.back().end_offset);
  map_.begin(pass_.dirty_from, static_cast<std::uint64_t>(pass_.end - pass_.dirty_from));
  transactions_.start(pass_.aborted);
  while (pass_.input < pass_.inputs.size() &&
         pass_.inputs[pass_.input].end_offset <= pass_.dirty_from) {
    ++pass_.input;
  }
  if (pass_.input == pass_.inputs.size()) return begin_cleaning(partition);
  phase_ = Phase::mapping;
  start_input();
}

void Compactor::start_input() {
  filter_.cancel();
  const SegmentInfo& segment = pass_.inputs[pass_.input];
  scan_.start(segment_path(pass_.key, segment), segment);
}

void Compactor::on_input_end(PartitionLog& partition) {
  scan_.close();
  ++pass_.input;
  const bool more = pass_.input < pass_.inputs.size();
  if (phase_ == Phase::mapping) {
    if (more) return start_input();
    return begin_cleaning(partition);
  }
  group_.made.end_offset = pass_.inputs[pass_.input - 1].end_offset;
  if (!more || pass_.inputs[pass_.input].base_offset >= pass_.end) return finish_group();
  const SegmentInfo& next = pass_.inputs[pass_.input];
  const std::uint64_t bytes = file_.size_bytes() + next.size_bytes;
  const bool fits = bytes <= static_cast<std::uint64_t>(partition.config_.segment_bytes) &&
                    bytes <= INT32_MAX && offsets_fit(group_.made.base_offset, next.end_offset);
  if (!fits) return finish_group();
  start_input();
}

// ---- mapping

Hash128 Compactor::hash_of(Bytes key) const {
  SipKey sip;
  std::memcpy(sip.data(), pass_.key.topic.bytes.data(), sip.size());
  return sip_hash_128(sip, key);
}

Result<bool> Compactor::map_batch(const record::BatchView& batch) {
  const record::BatchHeader& header = batch.header;
  if (header.is_control()) {
    transactions_.on_marker(header.producer_id);
    return true;
  }
  const bool is_aborted = header.is_transactional() &&
                          transactions_.on_records(header.producer_id, header.base_offset);
  if (is_aborted || header.last_offset() < pass_.dirty_from) return true;
  return filter_.look_on(batch, step_bytes_max, [&](const record::BatchFilter::Seen& seen) {
    if (seen.offset < pass_.dirty_from || !seen.has_key) return true;
    if (map_.put(hash_of(seen.key), seen.offset)) return true;
    pass_.end = seen.offset;  // From here on it is the next pass's.
    map_full_ = true;
    return false;
  });
}

// ---- cleaning

void Compactor::begin_cleaning(PartitionLog& partition) {
  transactions_.start(pass_.aborted);
  pass_.input = 0;
  phase_ = Phase::cleaning;
  begin_group(partition);
}

void Compactor::begin_group(PartitionLog& partition) {
  const SegmentInfo& first = pass_.inputs[pass_.input];
  group_ = {.first = pass_.input,
            .made = {.base_offset = first.base_offset,
                     .end_offset = first.end_offset,
                     .created_ms = first.created_ms,
                     .generation = partition.generation_next_++},
            .index = Index(limits_.index_interval_bytes)};
  file_.start(segment_path(pass_.key, group_.made));
  start_input();
}

Result<bool> Compactor::clean_batch(PartitionLog& partition, const record::BatchView& batch,
                                    Now now) {
  group_.leader_epoch = batch.header.leader_epoch;
  // From when frames were larger: it can be read still, but not written.
  if (batch.bytes.size() > limits_.batch_bytes_max()) return fail(Errc::too_large);
  if (!batch.header.is_control()) return clean_records(partition, batch);
  clean_marker(partition, batch, now);
  return true;
}

void Compactor::clean_marker(PartitionLog& partition, const record::BatchView& batch, Now now) {
  const record::BatchHeader& header = batch.header;
  const record::FoundRecord newest{.offset = header.last_offset(),
                                   .timestamp = header.max_timestamp};
  const bool has_rest = transactions_.on_marker(header.producer_id);
  if (has_rest || partition.producers_.ends_with(header)) return write(batch, newest);
  std::int64_t goes_ms = header.base_timestamp;
  if (header.has_delete_horizon()) {
    if (goes_ms <= now.wall_ms) {
      counters_.records_dropped += static_cast<std::uint64_t>(header.record_count);
      return;
    }
    write(batch, newest);
  } else {
    goes_ms = time_after(now.wall_ms, pass_.rule.delete_retention_ms);
    std::array<std::byte, marker_bytes_max + record::horizon_growth_max> made;
    if (batch.bytes.size() > marker_bytes_max) return write(batch, newest);
    const Result<Bytes> waiting = record::with_delete_horizon(made, batch, goes_ms);
    if (!waiting) return write(batch, newest);  // No marker of ours.
    write({*record::parse_header(*waiting), *waiting}, newest);
  }
  pass_.markers_go_ms = std::max(pass_.markers_go_ms, goes_ms);
}

Result<bool> Compactor::clean_records(PartitionLog& partition, const record::BatchView& batch) {
  const record::BatchHeader& header = batch.header;
  const bool is_aborted = header.is_transactional() &&
                          transactions_.on_records(header.producer_id, header.base_offset);
  const std::int32_t level =
      partition.config_.rules.compression == header.codec_bits()
          ? partition.config_.rules.compression_level : 0;
  const Result<bool> whole = filter_.filter_on(
      batch, step_bytes_max, [&](const record::BatchFilter::Seen& seen) {
        return !is_aborted && keeps(partition, seen);
      });
  if (!whole || !*whole) return whole;
  const Result<record::BatchFilter::Filtered> filtered = filter_.remake(batch, level);
  if (!filtered) return fail(filtered.error());
  counters_.records_dropped +=
      static_cast<std::uint64_t>(header.record_count - filtered->record_count);
  if (filtered->record_count > 0) {
    write({*record::parse_header(filtered->batch), filtered->batch}, filtered->newest);
  } else if (header.base_offset >= pass_.end || partition.producers_.ends_with(header)) {
    write_empty(header);
  } else {
    return true;
  }
  if (header.is_transactional()) transactions_.on_kept(header.producer_id);
  return true;
}

bool Compactor::keeps(const PartitionLog& partition, const record::BatchFilter::Seen& seen) {
  if (seen.offset >= pass_.end) return true;
  if (!seen.has_key) return false;  // From before the topic was compacted.
  if (map_.find(hash_of(seen.key)) > seen.offset) return false;
  if (seen.has_value) return true;
  if (seen.offset < pass_.expired_end) return false;
  keep_waiting(partition, seen.offset);
  return true;
}

void Compactor::keep_waiting(const PartitionLog& partition, std::int64_t offset) {
  ++pass_.waiting[partition.clean_passes_.index_of(offset)];
}

void Compactor::write(const record::BatchView& batch, const record::FoundRecord& newest) {
  SegmentInfo& made = group_.made;
  if (newest.timestamp > made.max_timestamp) {
    made.max_timestamp = newest.timestamp;
    made.max_timestamp_offset = newest.offset;
  }
  group_.index.on_batch(batch.header.base_offset, file_.size_bytes(), newest.timestamp);
  file_.append(batch.bytes);
}

void Compactor::write_empty(const record::BatchHeader& header) {
  std::byte bytes[record::header_bytes];
  record::store_empty_batch(bytes, header);
  write({header, bytes}, {});
}

void Compactor::finish_group() {
  phase_ = Phase::finishing;
  if (file_.size_bytes() == 0) {
    // A segment has at least one batch, if only to say that these offsets are gone.
    const std::int64_t last = group_.made.end_offset - 1 - group_.made.base_offset;
    write_empty({.base_offset = group_.made.base_offset,
                 .leader_epoch = group_.leader_epoch,
                 // One segment may have a few more offsets than fit.
                 .last_offset_delta =
                     static_cast<std::int32_t>(std::min<std::int64_t>(last, INT32_MAX))});
  }
  if (file_.ready()) file_.finish();
}

// ---- the swap

void Compactor::swap(PartitionLog& partition, Now now) {
  const auto& segments = partition.segments_;
  const std::size_t count = pass_.input - group_.first;
  const auto begin = pass_.inputs.begin() + static_cast<std::ptrdiff_t>(group_.first);
  const auto at = std::search(segments.begin(), segments.end(), begin,
                              begin + static_cast<std::ptrdiff_t>(count));
  // Retention may have taken some of them meanwhile.
  if (at == segments.end()) return leave();
  for (auto old = begin; old != begin + static_cast<std::ptrdiff_t>(count); ++old) {
    flusher_.remove_replaced(segment_path(pass_.key, *old));
    flusher_.remove_replaced(index_path(pass_.key, *old));
  }
  group_.made.size_bytes = file_.size_bytes();
  partition.replace_segments(static_cast<std::size_t>(at - segments.begin()), count, group_.made);
  // Of what was aborted before its end nothing is left, here or in the segments before.
  partition.transactions_.trim_front(group_.made.end_offset);
  reader_.forget(pass_.key);
  flusher_.store_index(index_path(pass_.key, group_.made), std::move(group_.index),
                       group_.made.size_bytes);
  file_.reset();
  const bool more = pass_.input < pass_.inputs.size() &&
                    pass_.inputs[pass_.input].base_offset < pass_.end;
  if (!more) return end_pass(partition, now);
  phase_ = Phase::cleaning;
  begin_group(partition);
}

void Compactor::end_pass(PartitionLog& partition, Now now) {
  partition.clean_passes_.add(pass_.end, now.wall_ms, pass_.rule.delete_retention_ms,
                              pass_.waiting);
  partition.markers_go_ms_ = pass_.markers_go_ms == INT64_MIN ? INT64_MAX : pass_.markers_go_ms;
  flusher_.want_checkpoint();  // The old files wait for it.
  ++counters_.passes;
  phase_ = Phase::idle;
  look_at_ = now.instant;
}

// ---- when it does not go on

void Compactor::on_error(PartitionLog& partition, Error error, Now now) {
  const std::size_t input = std::min(pass_.input, pass_.inputs.size() - 1);
  if (!is_there(partition, pass_.inputs[input])) return leave();  // Retention was faster.
  ++counters_.failures;
  const bool is_disk = error.code == Errc::io || error.code == Errc::not_found;
  const std::int64_t base = pass_.inputs[input].base_offset;
  log_event(LogLevel::warn, "log", "{} is not compacted ({} in the segment at {}{}{}); {}",
            partition_directory(pass_.key).text(), to_string(error.code), base,
            is_disk && error.detail != 0 ? ": " : "",
            is_disk && error.detail != 0 ? std::strerror(error.detail) : "",
            is_disk ? "it is tried again" : "it is not tried again before a restart");
  partition.compact_again_at_ = is_disk ? now.instant + retry_after : never();
  leave();
}

bool Compactor::is_there(const PartitionLog& partition, const SegmentInfo& segment) const {
  const auto& segments = partition.segments_;
  return std::find(segments.begin(), segments.end(), segment) != segments.end();
}

void Compactor::leave() {
  phase_ = Phase::leaving;
  step_leaving();
}

void Compactor::step_leaving() {
  if (scan_.state() == SegmentScan::State::reading) return;
  if (scan_.state() != SegmentScan::State::idle) scan_.close();
  if (file_.ready() || file_.done()) file_.give_up();
  if (!file_.failed() && !file_.is_closed()) return;
  if (file_.failed()) {
    flusher_.remove_file(file_.path(), commit_.staged_seq());
    file_.reset();
  }
  phase_ = Phase::idle;
  look_at_ = std::max(look_at_, stepped_at_ + milliseconds(100));
}

}  // namespace tailrace::log
