// PartitionOwner's fetches and look-ups.
#include <cstring>

#include "broker/log_view.h"
#include "broker/partition_owner.h"

namespace tailrace::broker {
namespace {

// ListOffsets' special timestamps.
constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr std::int64_t max_timestamp = -3;
constexpr std::int64_t earliest_local = -4;
constexpr std::int64_t latest_tiered = -5;
constexpr std::int64_t earliest_pending_upload = -6;

}  // namespace

void PartitionOwner::begin_watch(Task& task) {
  bool is_urgent = false;
  for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
    is_urgent |= look(*item);
    task.bytes_ready += item->bytes;
  }
  if (is_urgent || task.bytes_ready >= task.bytes_min) return finish(task);
  for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
    item->partition->watches.push_back(*item);
  }
}

// Takes stock of one partition. True when the fetch is to be answered whatever else there is.
bool PartitionOwner::look(TaskItem& item) {
  item.bytes = 0;
  item.error = kafka::ErrorCode::none;
  const log::PartitionLog* log = usable(item);
  if (log == nullptr) return true;
  item.high_watermark = log->durable_end();
  item.log_start = log->log_start();
  if (item.epoch >= 0 && finds_divergence(item, *log)) return true;
  if (item.offset < log->log_start() || item.offset > log->durable_end()) {
    item.error = kafka::ErrorCode::offset_out_of_range;
    return true;
  }
  item.bytes = bytes_ahead(*log, item.offset);
  return false;
}

// KIP-595: the client says which epoch its last record had; if our log's part of that epoch ends
// before the asked offset, the client has records that we do not.
bool PartitionOwner::finds_divergence(TaskItem& item, const log::PartitionLog& log) const {
  const log::EpochTable::End end = log.epochs().end_of(item.epoch, log.durable_end());
  if (end.epoch < 0) {
    item.error = kafka::ErrorCode::offset_out_of_range;
    return true;
  }
  if (end.epoch >= item.epoch && end.end_offset >= item.offset) return false;
  item.diverges = true;
  item.answer_epoch = end.epoch;
  item.answer_offset = end.end_offset;
  return true;
}

void PartitionOwner::end_watch(Task& task) {
  for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
    if (item->wait_link.linked) item->partition->watches.remove(*item);
  }
  finish(task);
}

void PartitionOwner::end_watches(OwnedPartition& partition) {
  for (TaskItem* item = partition.watches.front(); item != nullptr;) {
    TaskItem* next = partition.watches.next(*item);
    Task& task = *item->task;
    task.bytes_ready -= item->bytes;
    const bool is_urgent = look(*item);
    task.bytes_ready += item->bytes;
    if (is_urgent || task.bytes_ready >= task.bytes_min) {
      // A request may name a partition twice; then `next` leaves the list as well.
      const bool next_leaves = next != nullptr && next->task == &task;
      end_watch(task);
      if (next_leaves) next = partition.watches.front();
    }
    item = next;
  }
}

bool PartitionOwner::begin_take(TaskItem& item, log::PartitionLog& log) {
  const std::int64_t end = log.durable_end();
  if (item.offset < log.log_start() || item.offset > end) {
    item.error = kafka::ErrorCode::offset_out_of_range;
    return close_item(item), true;
  }
  if (item.offset == end) return close_item(item), true;
  const auto word = reinterpret_cast<std::uint64_t>(&item);
  const Result<log::ReadId> read =
      log_.read(log, {item.offset, end, item.bytes_max, item.at_least_one, word});
  if (!read) {
    if (read.error().code == Errc::full) return false;
    item.error = kafka::to_error_code(read.error().code);
    return close_item(item), true;
  }
  item.read = *read;
  if (log_.get(item.read).done) end_read(item);
  return true;
}

bool PartitionOwner::begin_list(TaskItem& item, log::PartitionLog& log) {
  switch (item.timestamp) {
    case latest:
      item.answer_offset = log.durable_end();
      item.answer_epoch = log.epochs().newest();
      break;
    case earliest:
    case earliest_local:
      item.answer_offset = log.log_start();
      item.answer_epoch = log.epochs().epoch_at(log.log_start());
      break;
    case max_timestamp: return find_newest(item, log);
    case latest_tiered:
    case earliest_pending_upload:
      break;  // Nothing is tiered: -1.
    default:
      return find_time(item, log, item.timestamp);
  }
  return close_item(item), true;
}

// The record with the largest timestamp may be on its way to the disk: the answer waits for it.
bool PartitionOwner::find_newest(TaskItem& item, const log::PartitionLog& log) {
  const record::FoundRecord newest = log.max_timestamp();
  if (newest.offset < log.log_start()) return close_item(item), true;
  item.answer_offset = newest.offset;
  item.answer_timestamp = newest.timestamp;
  item.answer_epoch = log.epochs().epoch_at(newest.offset);
  if (newest.offset < log.durable_end()) return close_item(item), true;
  item.wait_offset = newest.offset + 1;
  item.partition->durable_waits.push_back(item);
  return true;
}

bool PartitionOwner::find_time(TaskItem& item, log::PartitionLog& log, std::int64_t timestamp) {
  const auto word = reinterpret_cast<std::uint64_t>(&item);
  const Result<log::ReadId> read = log_.find_timestamp(log, timestamp, word);
  if (!read) {
    if (read.error().code == Errc::full) return false;
    item.error = kafka::to_error_code(read.error().code);
    return close_item(item), true;
  }
  item.read = *read;
  if (log_.get(item.read).done) end_read(item);
  return true;
}

// The response may wait for other partitions and for a slow client; the few read buffers must not,
// or all cold reads would wait for each other. Half of the memory is for those that wait for it
// (at_least_one, one per fetch): what they wait for is never held by their own fetch.
bool PartitionOwner::copy_out(TaskItem& item, const log::Read& read) {
  TR_ASSERT(item.copy.empty());
  if (read.bytes == 0) return true;
  const bool may = item.at_least_one ||
                   cold_memory_.used_bytes() + read.bytes <= limits_.cold_memory_bytes / 2;
  if (may) item.copy = cold_memory_.allocate(read.bytes);
  if (item.copy.empty()) return false;
  std::byte* to = item.copy.data();
  for (const Bytes piece : read.pieces) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  item.copied = item.copy.first(read.bytes);
  item.pieces = {&item.copied, 1};
  item.bytes = read.bytes;
  item.task->holds_reads = true;
  return true;
}

void PartitionOwner::end_memory_waits(Now now) {
  while (TaskItem* item = memory_waits_.front()) {
    if (!cold_memory_.can_allocate(item->bytes)) return;
    memory_waits_.remove(*item);
    item->bytes = 0;
    if (begin_item(*item, now)) continue;
    memory_waits_.push_back(*item);
    return;
  }
}

void PartitionOwner::end_read(TaskItem& item) {
  const log::Read& read = log_.get(item.read);
  TR_ASSERT(read.done);
  const bool is_take = item.task->kind == TaskKind::take;
  if (is_take && read.status && read.holds_buffer()) {
    const bool copied = copy_out(item, read);
    if (!copied) item.bytes = item.at_least_one ? read.bytes : 0;
    log_.release_read(item.read);
    item.read = {};
    // Without memory a fetch does without this one, or, for what it must not come back without,
    // waits and reads again.
    if (copied || !item.at_least_one) return close_item(item);
    memory_waits_.push_back(item);
    return;
  }
  if (is_take && read.status) {
    item.pieces = read.pieces;
    item.bytes = read.bytes;
    item.task->holds_reads = true;
    return close_item(item);  // The pieces stay pinned until release().
  }
  if (!is_take && read.status) {
    item.answer_offset = read.found.offset;
    item.answer_timestamp = read.found.timestamp;
    item.answer_epoch = read.found_epoch;
  } else if (is_take || read.status.error().code != Errc::not_found) {
    item.error = kafka::to_error_code(read.status.error().code);
  }
  log_.release_read(item.read);
  item.read = {};
  close_item(item);
}

}  // namespace tailrace::broker
