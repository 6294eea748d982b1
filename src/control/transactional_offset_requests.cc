// GroupCoordinator: offsets that are committed in a transaction (TxnOffsetCommit). The request has
// passed the coordinator of transactions (control/transaction_coordinator.h), in the same turn:
// so the batch is on its way to the partition before the marker that ends the transaction, and
// tasks of a partition keep their order. It is not gathered with others: each producer has its own.
#include <algorithm>
#include <deque>

#include "control/group_coordinator.h"
#include "control/optional_text.h"
#include "kafka/gen/txn_offset_commit.h"
#include "record/batch_builder.h"
#include "record/control_record.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

constexpr std::int16_t first_with_abortable = 4;  // versions that know TRANSACTION_ABORTABLE
constexpr std::int16_t first_fenced = 2;          // and PRODUCER_FENCED

ErrorCode told(ErrorCode error, std::int16_t version) {
  if (error == ErrorCode::transaction_abortable && version < first_with_abortable) {
    return ErrorCode::invalid_txn_state;
  }
  if (error == ErrorCode::producer_fenced && version < first_fenced) {
    return ErrorCode::invalid_producer_epoch;
  }
  return error;
}

}  // namespace

void GroupCoordinator::commit_transactional(bus::ControlRequest* request, ErrorCode error,
                                            Now now) {
  const auto body = decode<kafka::TxnOffsetCommitRequest>(*request);
  if (!body) return close(request);
  auto pending = std::make_shared<Pending>();
  pending->request = request;
  for (const auto& topic : body->topics) {
    pending->errors.resize(pending->errors.size() + topic.partitions.size(), ErrorCode::none);
  }
  const auto refuse = [&](ErrorCode code) {
    std::fill(pending->errors.begin(), pending->errors.end(), told(code, request->api_version));
    finish_transactional(*pending);
  };
  if (error != ErrorCode::none) return refuse(error);
  Partition* partition = nullptr;
  error = find_partition(body->group_id, partition);
  if (error != ErrorCode::none) return refuse(error);
  Entry* entry = find_entry(body->group_id);
  if (entry == nullptr && body->generation_id >= 0) return refuse(ErrorCode::illegal_generation);
  if (entry == nullptr) entry = make_entry(body->group_id, partition->index);
  if (entry == nullptr) return refuse(ErrorCode::invalid_commit_offset_size);
  // A producer that says nothing of the group may commit for it (as before KIP-447).
  const bool is_member = body->generation_id >= 0 || !body->member_id.empty() ||
                         !body->group_instance_id.is_null();
  const bool has_epochs =
      entry->consumer != nullptr && entry->group.state() != Group::State::dead;
  if (is_member && has_epochs) {
    error = entry->consumer->check_commit(body->member_id, body->generation_id);
    // As Kafka: producers know no other code for it.
    if (error == ErrorCode::stale_member_epoch) error = ErrorCode::illegal_generation;
  } else if (is_member) {
    error = entry->group.check_commit(body->member_id, optional_of(body->group_instance_id),
                                      body->generation_id, now);
    // The offsets are of what was read before; the transaction keeps them together.
    if (error == ErrorCode::rebalance_in_progress) error = ErrorCode::none;
  } else if (entry->group.state() == Group::State::dead) {
    error = ErrorCode::coordinator_not_available;
  }
  if (error != ErrorCode::none) {
    refuse(error);
    return settle(*entry, now);
  }

  std::vector<TransactionalOffsets::Pending> offsets;
  std::vector<std::size_t> items;
  std::size_t item = 0;
  for (const auto& topic : body->topics) {
    for (const auto& at : topic.partitions) {
      ErrorCode& code = pending->errors[item++];
      const std::string_view metadata = at.committed_metadata.value;
      if (state_.find_partition(topic.name, at.partition_index) == nullptr) {
        code = ErrorCode::unknown_topic_or_partition;
      } else if (metadata.size() > limits_.offset_metadata_bytes_max) {
        code = ErrorCode::offset_metadata_too_large;
      } else if (!has_room_for(*entry, topic.name, at.partition_index, metadata,
                               offsets.size() + entry->transactional.size())) {
        code = ErrorCode::invalid_commit_offset_size;
      } else {
        offsets.push_back({{std::string(topic.name), at.partition_index},
                           {at.committed_offset, at.committed_leader_epoch, std::string(metadata),
                            now.wall_ms}});
        items.push_back(item - 1);
      }
    }
  }
  if (offsets.empty()) finish_transactional(*pending);
  else send_transactional(*entry, {body->producer_id, body->producer_epoch}, offsets, pending,
                          std::move(items), now);
  settle(*entry, now);
}

void GroupCoordinator::send_transactional(Entry& entry, const ProducerIdentity& producer,
                                          const std::vector<TransactionalOffsets::Pending>& offsets,
                                          const std::shared_ptr<Pending>& pending,
                                          std::vector<std::size_t> items, Now now) {
  record::BatchBuilder builder(limits_.batch_bytes_max);
  builder.start({.attributes = record::transactional_bit,
                 .producer_id = producer.id,
                 .producer_epoch = producer.epoch});
  for (const TransactionalOffsets::Pending& one : offsets) {
    const ByteString key = encode_offset_key(entry.name, one.key.topic, one.key.partition);
    const ByteString value = encode_offset_value(one.record);
    if (builder.add({now.wall_ms, Bytes(key), Bytes(value), {}})) continue;
    // They belong together, and one batch does not hold them.
    for (const std::size_t i : items) pending->errors[i] = ErrorCode::invalid_commit_offset_size;
    return finish_transactional(*pending);
  }
  const Result<Bytes> batch = builder.finish();
  TR_ASSERT(batch.has_value());
  auto made = std::make_unique<TransactionalWrite>();
  made->write = new_write(entry, Write::Kind::offsets);
  made->write->pending = pending;
  made->write->items = std::move(items);
  made->bytes.assign(batch->begin(), batch->end());
  made->producer_id = producer.id;
  made->number = ++transactional_number_;
  const Partition& partition = log_.partition(entry.partition);
  bus::LogTask& task = made->task;
  task.kind = bus::LogTask::Kind::append;
  task.owner = partition.owner;
  task.topic = log_.topic_id();
  task.partition = partition.index;
  task.incarnation = partition.incarnation;
  task.leader_epoch = partition.leader_epoch;
  task.records = made->bytes;
  for (const TransactionalOffsets::Pending& one : offsets) {
    entry.transactional.add(producer.id, one.key, one.record, made->number);
  }
  transactional_groups_[{entry.partition, producer.id}].insert(entry.name);
  ++pending->writes_out;
  ++entry.writes_out;
  counters_.offset_commits.add(offsets.size());
  log_tasks_.push_back(&task);
  transactional_writes_.emplace(&task, std::move(made));
}

bool GroupCoordinator::on_transactional_done(const bus::LogTask* task, Now now) {
  const auto found = transactional_writes_.find(task);
  if (found == transactional_writes_.end()) return false;
  const std::unique_ptr<TransactionalWrite> done = std::move(found->second);
  transactional_writes_.erase(found);
  Write& write = *done->write;
  auto error = static_cast<ErrorCode>(task->error);
  const bool is_lost = !log_.is_same_life(write.partition, write.life);
  if (is_lost) error = ErrorCode::not_coordinator;
  if (error != ErrorCode::none) counters_.write_failures.add();
  if (Entry* entry = is_lost ? nullptr : find_entry(write)) {
    --entry->writes_out;
    if (error == ErrorCode::none) {
      entry->transactional.keep(done->producer_id, done->number, ++offset_order_);
    } else {
      entry->transactional.forget(done->producer_id, done->number);
    }
    settle(*entry, now);
  }
  // The partition's word about the producer is the client's to know.
  const bool is_of_producer = error == ErrorCode::invalid_producer_epoch ||
                              error == ErrorCode::invalid_txn_state ||
                              error == ErrorCode::producer_fenced;
  const ErrorCode code = is_of_producer ? error : commit_error(error);
  Pending& pending = *write.pending;
  for (const std::size_t item : write.items) {
    pending.errors[item] = told(code, pending.request->api_version);
  }
  if (--pending.writes_out == 0) finish_transactional(pending);
  return true;
}

void GroupCoordinator::finish_transactional(Pending& pending) {
  using Told = kafka::TxnOffsetCommitResponse::TxnOffsetCommitResponseTopic;
  const auto body = decode<kafka::TxnOffsetCommitRequest>(*pending.request);
  TR_ASSERT(body.has_value());  // It was read once before.
  std::vector<Told> topics;
  std::deque<std::vector<Told::TxnOffsetCommitResponsePartition>> rooms;
  std::size_t item = 0;
  for (const auto& from : body->topics) {
    auto& partitions = rooms.emplace_back();
    for (const auto& at : from.partitions) {
      partitions.push_back({at.partition_index, to_wire(pending.errors[item++])});
    }
    topics.push_back({from.name, partitions});
  }
  kafka::TxnOffsetCommitResponse response;
  response.topics = topics;
  answer(pending.request, response);
}

// ---------------------------------------------------------------- the end of transactions

// A marker is durable. While its partition is read it is applied in its place in the log.
void GroupCoordinator::on_marker(std::int32_t partition, std::int64_t producer_id, bool is_commit,
                                 Now now) {
  const bool is_ours = static_cast<std::size_t>(partition) < log_.size();
  if (is_ours && !log_.is_active(partition)) return log_.read_once_more(partition);
  end_transactional(partition, producer_id, is_commit, now);
}

// What was committed outside of the transaction after it, in the order of the log, stays.
void GroupCoordinator::end_transactional(std::int32_t partition, std::int64_t producer_id,
                                         bool is_commit, Now now) {
  const auto found = transactional_groups_.find({partition, producer_id});
  if (found == transactional_groups_.end()) return;
  const std::set<std::string> names = std::move(found->second);
  transactional_groups_.erase(found);
  for (const std::string& name : names) {
    Entry* entry = find_entry(name);
    if (entry == nullptr) continue;
    for (TransactionalOffsets::Pending& one : entry->transactional.take(producer_id)) {
      const OffsetRecord* newer = entry->offsets.find(one.key.topic, one.key.partition);
      const bool is_stale = newer != nullptr && newer->order > one.record.order;
      if (!is_commit || is_stale) continue;
      entry->offsets.set(one.key.topic, one.key.partition, std::move(one.record));
    }
    // While its partition is read, a group may still get what it is missing.
    if (log_.is_active(partition)) settle(*entry, now);
    else count(*entry);
  }
}

void GroupCoordinator::on_control(Partition& partition, const record::BatchView& batch, Now now) {
  const Result<record::TransactionMarker> marker = record::marker_of(batch);
  if (!marker) return;
  end_transactional(partition.index, batch.header.producer_id, marker->is_commit, now);
}

void GroupCoordinator::load_transactional(const record::BatchHeader& batch, Entry& entry,
                                          const OffsetKey& key, OffsetRecord record) {
  entry.transactional.add(batch.producer_id, key, record, 0);
  transactional_groups_[{entry.partition, batch.producer_id}].insert(entry.name);
}

}  // namespace tailrace::control
