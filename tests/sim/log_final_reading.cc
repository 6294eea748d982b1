// LogSimulation's reading of everything when a run is over, and what it is compared with.
#include <algorithm>

#include "log_simulation.h"

namespace tailrace::sim {

void LogSimulation::read_everything() {
  for (auto& [key, model] : models_) {
    if (world_.verdicts.all_kept()) read_everything(model);
  }
}

// Every record of a partition, from the start to the end.
void LogSimulation::read_everything(LogModel& model) {
  log::PartitionLog* partition = find(model);
  log::CoreLog& log = *cores_[owner(model.key)].log;
  std::int64_t at = partition->log_start();
  std::vector<FoundBatch> found;
  const std::uint64_t failed_before = reads_failed_;
  const Instant deadline = world_.clock.instant() + seconds(20);
  while (at < partition->durable_end() && world_.verdicts.all_kept()) {
    if (deadline <= world_.clock.instant()) {
      world_.verdicts.broken("liveness", "{}: reading stops at {}", model.name(), at);
      return;
    }
    OpenRead open{.core = owner(model.key), .id = {}, .key = model.key, .offset = at,
                  .offset_end = partition->durable_end(), .stable_end = partition->stable_end()};
    const auto id = log.read(*partition, {.offset = at, .offset_end = open.offset_end,
                                          .bytes_max = 50'000, .at_least_one = true});
    if (!id) {
      turn();
      at = std::max(at, partition->log_start());
      continue;
    }
    while (!log.get(*id).done && world_.clock.instant() < deadline) turn();
    const log::Read& read = log.get(*id);
    if (read.done && read.status) {
      for (const Bytes piece : read.pieces) take_batches(piece, found);
      check_committed(open, read);
      at = std::max(at, model.check_batches(at, read.pieces, world_.verdicts));
    } else if (read.done) {
      check_read(open, read);
      if (rotted_segment_) at = open.offset_end;
      turn();
    }
    at = std::max(at, partition->log_start());
    log.release_read(*id);
  }
  model.log_start = partition->log_start();
  // A flipped bit of an offset is found by nobody where offsets may be missing.
  if (rotted_segment_ || reads_failed_ != failed_before || !world_.verdicts.all_kept()) return;
  check_all(model, *partition, found);
  if (world_.verdicts.all_kept()) check_timestamps(model, *partition, found);
}

void LogSimulation::check_all(const LogModel& model, const log::PartitionLog& partition,
                              std::vector<FoundBatch> found) {
  const std::int64_t wall_ms = world_.clock.wall_most_ms();
  std::set<std::int64_t> seen;
  for (const FoundBatch& batch : found) {
    for (const ModelRecord& record : batch.records) seen.insert(record.offset);
  }
  model.check_keys(seen, partition.durable_end(), wall_ms, world_.verdicts);
  spoil(model, found);
  CompactionChecker(model, partition, wall_ms, world_.verdicts).on_all(found);
  std::uint64_t bytes = 0;
  for (const log::SegmentInfo& segment : partition.segments()) bytes += segment.size_bytes;
  if (bytes != partition.size_bytes()) {
    world_.verdicts.broken("sizes_add_up", "{}: {} bytes in segments, {} in the log", model.name(),
                           bytes, partition.size_bytes());
  }
}

void LogSimulation::spoil(const LogModel& model, std::vector<FoundBatch>& found) const {
  const auto lose = [&](auto which) {
    const auto at = std::find_if(found.begin(), found.end(), which);
    if (at != found.end()) found.erase(at);
  };
  if (world_.plant == Plant::lose_marker) {
    lose([](const FoundBatch& batch) { return batch.header.is_control(); });
  }
  if (world_.plant == Plant::lose_empty) {
    lose([](const FoundBatch& batch) {
      return batch.header.has_producer() && batch.header.record_count == 0;
    });
  }
  if (world_.plant == Plant::lose_newest && !found.empty()) found.pop_back();
  if (world_.plant == Plant::see_old && !found.empty()) {
    const ModelBatch* first = model.find(found.front().header.base_offset);
    if (first != nullptr) found.front().records = first->records;
  }
}

void LogSimulation::check_committed(const OpenRead& open, const log::Read& read) {
  LogModel& model = models_.at(open.key);
  const log::PartitionLog* partition = find(model);
  if (partition == nullptr || open.offset < partition->log_start() || rotted_segment_) return;
  std::vector<FoundBatch> found;
  for (const Bytes piece : read.pieces) take_batches(piece, found);
  if (found.empty()) return;
  const std::int64_t end = found.back().header.last_offset() + 1;
  const log::TransactionTable& table = partition->transactions();
  std::vector<log::AbortedRange> aborted(table.find(open.offset, end, {}));
  table.find(open.offset, end, aborted);
  if (world_.plant == Plant::keep_aborted) {
    log::TransactionTable all;
    all.restore(model.told_ever);
    aborted.resize(all.find(open.offset, end, {}));
    all.find(open.offset, end, aborted);
  }
  CompactionChecker(model, *partition, world_.clock.wall_most_ms(), world_.verdicts)
      .on_answer(found, aborted, open.stable_end);
}

// The first record at or behind a time, for some of the times that there are.
void LogSimulation::check_timestamps(const LogModel& model, log::PartitionLog& partition,
                                     std::span<const FoundBatch> found) {
  std::vector<const ModelRecord*> records;
  for (const FoundBatch& batch : found) {
    for (const ModelRecord& record : batch.records) records.push_back(&record);
  }
  if (records.empty()) return;
  log::CoreLog& log = *cores_[owner(model.key)].log;
  const Instant deadline = world_.clock.instant() + seconds(20);
  for (int i = 0; i < 3; ++i) {
    const std::int64_t wanted = records[prng_.below(records.size())]->timestamp +
                                static_cast<std::int64_t>(prng_.below(2));
    const bool is_late = world_.plant == Plant::late_timestamp;
    const std::int64_t start = partition.log_start();
    const auto first = std::find_if(records.begin(), records.end(), [&](const ModelRecord* one) {
      return one->timestamp >= wanted && one->offset >= start;
    });
    const auto id = log.find_timestamp(partition, wanted + (is_late ? 1 : 0), 0);
    if (!id) continue;
    while (!log.get(*id).done && world_.clock.instant() < deadline) turn();
    const log::Read& read = log.get(*id);
    const std::int64_t offset = read.status ? read.found.offset : -1;
    const std::int64_t expected = first == records.end() ? -1 : (*first)->offset;
    const bool fails = !read.done || (!read.status && read.status.error().code != Errc::not_found);
    // Retention may have taken of it meanwhile.
    if (start == partition.log_start() && (fails || offset != expected)) {
      world_.verdicts.broken("timestamps_found", "{}: of time {} the record at {} is found, it is "
                                                 "the one at {}", model.name(), wanted, offset,
                             expected);
    }
    log.release_read(*id);
  }
}

// Everything is compacted, over what earlier passes and crashes have left, and is read again.
void LogSimulation::compact_once_more() {
  const auto set = [&](bool compacts) {
    for (auto& [key, model] : models_) {
      if (!model.was_compacted) continue;
      model.config.compaction.compacts = compacts;
      model.config.compaction.dirty_ratio_min = 0;
      model.config.compaction.lag_ms_min = 0;
      cores_[owner(key)].log->set_config(*find(model), model.config);
    }
  };
  set(true);
  // Long enough for more than one pass: what one leaves with a time to go goes in a later one.
  const Instant until = world_.clock.instant() + milliseconds(250);
  while (world_.clock.instant() < until) turn();
  set(false);
  read_everything();
}

}  // namespace tailrace::sim
