// PartitionOwner's appends and deletions.
#include "broker/partition_owner.h"
#include "record/batch_view.h"

namespace tailrace::broker {
namespace {

// Which errors name a record by their detail.
bool names_record(Errc code) {
  return code == Errc::malformed || code == Errc::invalid_timestamp;
}

}  // namespace

// A transaction that is not open here may have ended, and a batch that came late would open it for
// ever: its coordinator has to be asked. All items of a task then wait for that, so that what is
// appended of a request is appended together.
bool PartitionOwner::asks_first(Task& task) {
  if (task.kind != TaskKind::append || task.is_verified) return false;
  task.needs_verification = false;
  for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
    item->needs_verification = false;
    if (!item->is_transactional || item->skip) continue;
    const OwnedPartition* partition = find(item->key);
    if (partition == nullptr || partition->log == nullptr) continue;  // Told when it is begun.
    const log::ProducerTable& producers = partition->log->producers();
    const Result<record::BatchHeader> header = record::parse_header(item->records);
    if (!header) continue;
    if (producers.in_transaction(header->producer_id, header->producer_epoch)) continue;
    log_.expect(*partition->log, *header);
    item->guard = producers.guard();
    item->needs_verification = true;
    task.needs_verification = true;
  }
  return task.needs_verification;
}

bool PartitionOwner::begin_append(TaskItem& item, log::PartitionLog& log, Now now) {
  OwnedPartition& partition = *item.partition;
  const Task& task = *item.task;
  const bool is_client = task.from != bus::control_core;
  if (item.epoch >= 0 && item.epoch != partition.leader_epoch) {
    item.error = item.epoch < partition.leader_epoch ? kafka::ErrorCode::fenced_leader_epoch
                                                     : kafka::ErrorCode::unknown_leader_epoch;
    return close_item(item), true;
  }
  const auto bytes = static_cast<std::int64_t>(item.records.size());
  if (is_client && bytes > partition.config.batch_bytes_max) {
    item.error = kafka::to_error_code(Errc::too_large);
    return close_item(item), true;
  }
  const log::AppendRequest request{
      .batch = item.records,
      .leader_epoch = partition.leader_epoch,
      .origin = is_client ? record::BatchOrigin::client : record::BatchOrigin::coordinator,
      .transaction_version = task.transaction_version,
      .epoch_per_transaction = task.epoch_per_transaction,
      .is_verified = item.is_verified,
      .guard = item.guard};
  const Result<log::Appended> appended = log_.append(log, request, now);
  if (!appended) {
    if (appended.error().code == Errc::full) return false;
    item.error = kafka::to_error_code(appended.error().code);
    if (names_record(appended.error().code)) item.bad_record = appended.error().detail;
    return close_item(item), true;
  }
  item.answer_offset = appended->base_offset;
  item.answer_timestamp = appended->log_append_time_ms;
  item.log_start = log.log_start();
  if (!appended->duplicate) {
    counters_.bytes_appended.add(item.records.size());
    counters_.records_appended.add(
        static_cast<std::uint64_t>(appended->end_offset - appended->base_offset));
  }
  if (!task.wait_durable || appended->end_offset <= log.durable_end()) {
    return close_item(item), true;
  }
  item.wait_offset = appended->end_offset;
  partition.durable_waits.push_back(item);
  return true;
}

// Nearly in the order of what they wait for: a duplicate waits behind younger appends although its
// own end may be durable earlier. Never too early, and rare.
void PartitionOwner::end_durable_waits(OwnedPartition& partition) {
  const std::int64_t durable_end = partition.log->durable_end();
  while (TaskItem* item = partition.durable_waits.front()) {
    if (item->wait_offset > durable_end) return;
    partition.durable_waits.remove(*item);
    item->log_start = partition.log->log_start();
    close_item(*item);
  }
}

bool PartitionOwner::begin_delete(TaskItem& item, log::PartitionLog& log, Now now) {
  const std::int64_t offset = item.offset == -1 ? log.durable_end() : item.offset;
  if (!item.partition->config.retention.delete_policy) {
    item.error = kafka::ErrorCode::policy_violation;
    return close_item(item), true;
  }
  if (offset < 0 || offset > log.durable_end()) {
    item.error = kafka::ErrorCode::offset_out_of_range;
    return close_item(item), true;
  }
  // Another request may have moved the start as far already, and wait for the same frame.
  Result<std::uint64_t> sequence = log.log_start_seq();
  if (offset > log.log_start()) {
    sequence = log_.advance_log_start(log, offset, now);
  } else if (*sequence > log_.durable_seq() && log_.fenced()) {
    sequence = fail(Errc::fenced);
  }
  if (!sequence) {
    if (sequence.error().code == Errc::full) return false;
    item.error = kafka::to_error_code(sequence.error().code);
    return close_item(item), true;
  }
  item.log_start = log.log_start();
  if (*sequence <= log_.durable_seq()) return close_item(item), true;
  item.wait_seq = *sequence;
  deletes_.push_back(item);
  return true;
}

// Nearly in the order of what they wait for, as above: never too early.
void PartitionOwner::end_deletes() {
  while (TaskItem* item = deletes_.front()) {
    if (item->wait_seq > log_.durable_seq()) return;
    deletes_.remove(*item);
    close_item(*item);
  }
}

void PartitionOwner::cancel_writes(Task& task) {
  if (task.link.linked) stalled_writes_.remove(task);
  bool begun = true;
  for (TaskItem* item = task.first; item != nullptr; item = item->next_in_task) {
    if (item == task.next_item) begun = false;
    if (item->wait_link.linked) {
      if (task.kind == TaskKind::append) item->partition->durable_waits.remove(*item);
      if (task.kind == TaskKind::delete_records) deletes_.remove(*item);
    } else if (begun) {
      continue;  // It has its answer.
    }
    item->error = kafka::ErrorCode::request_timed_out;
  }
  task.next_item = nullptr;
  task.items_open = 0;
  finish(task);
}

}  // namespace tailrace::broker
