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

// Behind the last record of whole batches.
std::int64_t end_of(std::span<const Bytes> pieces) {
  Bytes rest = pieces.back();
  while (true) {
    const Result<record::BatchHeader> header = record::parse_header(rest);
    TR_ASSERT(header.has_value());
    const std::size_t size = header->size_bytes();
    if (size >= rest.size()) return header->last_offset() + 1;
    rest = rest.subspan(size);
  }
}

// Where those that were aborted end who may have records among `pieces`, from `offset` on.
std::int64_t aborted_until(const log::PartitionLog& log, std::int64_t offset,
                           std::span<const Bytes> pieces) {
  const auto& aborted = log.transactions().aborted();
  const bool may_have_some = !aborted.empty() && aborted.back().last_offset >= offset;
  return may_have_some && !pieces.empty() ? end_of(pieces) : offset;
}

std::int64_t last_timestamp_of(const log::ProducerState& producer) {
  return producer.batch_count == 0 ? producer.last_seen_ms
                                   : producer.batches[producer.batch_count - 1U].timestamp_ms;
}

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
  item.stable_end = log->stable_end();
  item.log_start = log->log_start();
  if (item.epoch >= 0 && finds_divergence(item, *log)) return true;
  if (item.offset < log->log_start() || item.offset > log->durable_end()) {
    item.error = kafka::ErrorCode::offset_out_of_range;
    return true;
  }
  const bool committed = item.task->read_committed;
  item.bytes =
      bytes_ahead(*log, item.offset, committed ? item.stable_end : item.high_watermark);
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
  if (item.offset < log.log_start() || item.offset > log.durable_end()) {
    item.error = kafka::ErrorCode::offset_out_of_range;
    return close_item(item), true;
  }
  const bool committed = item.task->read_committed;
  const std::int64_t end = committed ? item.stable_end : item.high_watermark;
  if (item.offset >= end) return close_item(item), true;
  // What was aborted in it must fit in the memory for answers, and is a part of what is read.
  const std::uint64_t limit = committed ? limits_.cold_memory_bytes / 4 : UINT32_MAX;
  const auto bytes_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(item.bytes_max, limit));
  const auto word = reinterpret_cast<std::uint64_t>(&item);
  const Result<log::ReadId> read =
      log_.read(log, {item.offset, end, bytes_max, item.at_least_one, word});
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
      item.answer_offset = item.task->read_committed ? item.stable_end : item.high_watermark;
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
  if (item.task->read_committed && newest.offset >= item.stable_end) {
    return close_item(item), true;
  }
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
MutableBytes PartitionOwner::take_memory(const TaskItem& item, std::size_t bytes) {
  const bool may = item.at_least_one ||
                   cold_memory_.used_bytes() + bytes <= limits_.cold_memory_bytes / 2;
  return may ? cold_memory_.allocate(bytes) : MutableBytes{};
}

// Fills the item's answer: first, for readers of committed records, the list of what was aborted
// among what was read; behind it the records, unless they are pinned in memory. False: no memory,
// and item.bytes says of how much.
bool PartitionOwner::keep_answer(TaskItem& item, const log::Read& read) {
  TR_ASSERT(item.copy.empty());
  const log::TransactionTable& transactions = item.partition->log->transactions();
  const std::int64_t aborted_end =
      item.task->read_committed ? aborted_until(*item.partition->log, item.offset, read.pieces)
                                : item.offset;
  const std::size_t aborted_count = transactions.find(item.offset, aborted_end, {});
  const std::size_t list_bytes = aborted_count * sizeof(log::AbortedRange);
  const std::size_t copy_bytes = read.holds_buffer() ? read.bytes : 0;
  item.bytes = list_bytes + copy_bytes;
  if (item.bytes > 0) item.copy = take_memory(item, item.bytes);
  if (item.copy.empty() && item.bytes > 0) return false;

  auto* ranges = reinterpret_cast<log::AbortedRange*>(item.copy.data());
  for (std::size_t i = 0; i < aborted_count; ++i) new (ranges + i) log::AbortedRange;
  transactions.find(item.offset, aborted_end, {ranges, aborted_count});
  item.aborted = {ranges, aborted_count};
  if (copy_bytes > 0) {
    std::byte* to = item.copy.data() + list_bytes;
    for (const Bytes piece : read.pieces) {
      std::memcpy(to, piece.data(), piece.size());
      to += piece.size();
    }
    item.copied = item.copy.subspan(list_bytes, copy_bytes);
    item.pieces = {&item.copied, 1};
  } else if (!read.holds_buffer()) {
    item.pieces = read.pieces;
  }
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
  if (is_take && read.status) return end_take(item);
  if (!is_take && read.status) {
    const bool is_stable = !item.task->read_committed || read.found.offset < item.stable_end;
    if (is_stable) {
      item.answer_offset = read.found.offset;
      item.answer_timestamp = read.found.timestamp;
      item.answer_epoch = read.found_epoch;
    }
  } else if (is_take || read.status.error().code != Errc::not_found) {
    item.error = kafka::to_error_code(read.status.error().code);
  }
  log_.release_read(item.read);
  item.read = {};
  close_item(item);
}

// Unless the pieces lie in a read buffer they stay pinned until release().
void PartitionOwner::end_take(TaskItem& item) {
  const log::Read& read = log_.get(item.read);
  item.partition = find(item.key);
  bool is_kept = false;
  if (item.partition == nullptr || item.partition->log == nullptr) {
    item.error = kafka::to_error_code(Errc::not_found);  // It went while this was read.
  } else if (item.task->read_committed && item.offset < item.partition->log->log_start()) {
    // And so did the list of what was aborted in it.
    item.error = kafka::ErrorCode::offset_out_of_range;
  } else {
    is_kept = keep_answer(item, read);
    if (is_kept && !read.holds_buffer()) return close_item(item);
  }
  log_.release_read(item.read);
  item.read = {};
  // Without memory a fetch does without this one, or, for what it must not come back without,
  // waits and reads again.
  if (is_kept || item.error != kafka::ErrorCode::none) return close_item(item);
  if (item.at_least_one) return memory_waits_.push_back(item);
  item.bytes = 0;
  close_item(item);
}

void PartitionOwner::describe_producers(TaskItem& item, const log::PartitionLog& log) {
  const std::vector<log::ProducerState> states = log.producers().snapshot();
  if (states.empty()) return;
  item.copy = take_memory(item, states.size() * sizeof(ActiveProducer));
  if (item.copy.empty()) {
    item.error = kafka::ErrorCode::request_timed_out;  // Clients ask again.
    return;
  }
  auto* producers = reinterpret_cast<ActiveProducer*>(item.copy.data());
  for (std::size_t i = 0; i < states.size(); ++i) {
    const log::ProducerState& state = states[i];
    const bool has_batch = state.batch_count > 0;
    new (producers + i) ActiveProducer{
        .producer_id = state.producer_id,
        .last_timestamp = last_timestamp_of(state),
        .transaction_start = state.transaction_start,
        .last_sequence = has_batch ? state.batches[state.batch_count - 1U].last_sequence : -1,
        .coordinator_epoch = state.coordinator_epoch,
        .epoch = state.epoch};
  }
  item.producers = {producers, states.size()};
  item.task->holds_reads = true;
}

}  // namespace tailrace::broker
