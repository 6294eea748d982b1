#include "control/internal_log.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "record/record_iterator.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

constexpr std::size_t read_bytes_min = 1U << 20;
// Compressed, a batch may hold more than its size.
constexpr std::size_t decoded_factor = 8;

}  // namespace

InternalLog::InternalLog(const Limits& limits, bus::NodeId node_id, std::uint16_t core_count,
                         std::string_view what, std::string_view topic, Owner& owner)
    : limits_(limits), node_id_(node_id), core_count_(core_count), what_(what),
      topic_name_(topic), owner_(owner) {}

void InternalLog::adopt(const Topic* topic, Now now) {
  const Uuid id = topic == nullptr ? Uuid{} : topic->id;
  if (id != topic_id_) {
    for (Partition& partition : partitions_) let_go(partition, now);
    partitions_.clear();
    topic_id_ = id;
  }
  if (topic != nullptr) take_over(*topic, now);
  start_loads(now);
}

// The number of partitions is that of the first look: keys would change places with it.
void InternalLog::take_over(const Topic& topic, Now now) {
  if (partitions_.empty()) partitions_.resize(topic.partitions.size());
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const PartitionRecord& from = topic.partitions[i];
    Partition& partition = partitions_[i];
    const bool is_led = from.leader == node_id_;
    const bool is_same = partition.state != Partition::State::away && is_led &&
                         partition.leader_epoch == from.leader_epoch &&
                         partition.incarnation == from.incarnation;
    if (is_same) continue;
    let_go(partition, now);
    if (!is_led) continue;
    partition.index = static_cast<std::int32_t>(i);
    partition.owner = bus::owner_core(topic.id, partition.index, core_count_);
    partition.incarnation = from.incarnation;
    partition.leader_epoch = from.leader_epoch;
    begin_life(partition, now.instant);
  }
}

void InternalLog::begin_life(Partition& partition, Instant read_at) {
  partition.state = Partition::State::waiting;
  partition.life = ++life_;
  partition.offset = 0;
  partition.retry_at = read_at;
  ++loading_count_;
}

void InternalLog::let_go(Partition& partition, Now now) {
  const bool was_ours = partition.state != Partition::State::away;
  if (was_ours && partition.state != Partition::State::active) --loading_count_;
  partition.state = Partition::State::away;
  partition.life = ++life_;
  if (was_ours) owner_.on_lost(partition, now);
}

void InternalLog::start_loads(Now now) {
  for (Partition& partition : partitions_) {
    if (reads_.size() >= limits_.group_loads_max) return;
    if (partition.state != Partition::State::waiting || partition.retry_at > now.instant) continue;
    partition.state = Partition::State::loading;
    auto read = std::make_unique<Read>();
    read->bytes.resize(std::max<std::size_t>(read_bytes_min, limits_.batch_bytes_max));
    read->partition = partition.index;
    read->life = partition.life;
    read_on(partition, std::move(read));
  }
}

Instant InternalLog::next_deadline() const {
  Instant deadline = never();
  if (reads_.size() >= limits_.group_loads_max) return deadline;
  for (const Partition& partition : partitions_) {
    if (partition.state != Partition::State::waiting) continue;
    deadline = std::min(deadline, partition.retry_at);
  }
  return deadline;
}

void InternalLog::read_on(Partition& partition, std::unique_ptr<Read> read) {
  bus::LogTask& task = read->task;
  task.kind = bus::LogTask::Kind::read;
  task.owner = partition.owner;
  task.topic = topic_id_;
  task.partition = partition.index;
  task.incarnation = partition.incarnation;
  task.offset = partition.offset;
  task.room = read->bytes;
  tasks_.push_back(&task);
  reads_.emplace(&task, std::move(read));
}

void InternalLog::read_once_more(std::int32_t index) {
  partitions_[static_cast<std::size_t>(index)].once_more = true;
}

void InternalLog::read_again(std::int32_t index, Now now) {
  Partition& partition = partitions_[static_cast<std::size_t>(index)];
  let_go(partition, now);
  begin_life(partition, now.instant + limits_.group_load_retry);
}

void InternalLog::take_tasks(std::vector<bus::LogTask*>& tasks) {
  tasks.insert(tasks.end(), tasks_.begin(), tasks_.end());
  tasks_.clear();
}

bool InternalLog::on_done(const bus::LogTask* task, Now now) {
  const auto found = reads_.find(task);
  if (found == reads_.end()) return false;
  std::unique_ptr<Read> read = std::move(found->second);
  reads_.erase(found);
  on_read(std::move(read), now);
  return true;
}

void InternalLog::on_read(std::unique_ptr<Read> read, Now now) {
  if (!is_same_life(read->partition, read->life)) return start_loads(now);
  Partition& partition = partitions_[static_cast<std::size_t>(read->partition)];
  const bus::LogTask& task = read->task;
  const bool is_read = task.error == 0 &&
                       replay(Bytes(read->bytes).first(task.bytes), partition, now) &&
                       (task.bytes > 0 || partition.offset >= task.end_offset);
  const bool has_more = partition.offset < task.end_offset;
  if (is_read && (has_more || std::exchange(partition.once_more, false))) {
    return read_on(partition, std::move(read));
  }
  if (is_read) {
    partition.state = Partition::State::active;
    --loading_count_;
    owner_.on_loaded(partition, now);
  } else {
    log_event(LogLevel::error, "control",
              "{}: partition {} of {} cannot be read at offset {} (error {}); tried again", what_,
              partition.index, topic_name_, partition.offset, task.error);
    partition.state = Partition::State::waiting;
    partition.retry_at = now.instant + limits_.group_load_retry;
  }
  start_loads(now);
}

bool InternalLog::replay(Bytes batches, Partition& partition, Now now) {
  while (!batches.empty()) {
    const Result<record::BatchView> batch = record::parse_batch(batches);
    if (!batch || !record::crc_matches(batch->bytes)) return false;
    batches = batches.subspan(batch->bytes.size());
    const std::int64_t next = batch->header.last_offset() + 1;
    if (next <= partition.offset) continue;  // Read before.
    if (batch->header.is_control()) {
      owner_.on_control(partition, *batch, now);
    } else if (!replay_batch(*batch, partition, now)) {
      return false;
    }
    partition.offset = next;
  }
  return true;
}

bool InternalLog::replay_batch(const record::BatchView& batch, const Partition& partition,
                               Now now) {
  Bytes records = batch.records();
  if (batch.header.codec_bits() != 0) {
    if (decoder_ == nullptr) {
      decoder_ = std::make_unique<record::Decoder>(decoded_factor * limits_.batch_bytes_max);
    }
    if (!decoder_->start(batch.header.codec_bits(), records)) return false;
    const MutableBytes room = decoder_->memory();
    std::size_t filled = 0;
    while (true) {
      const Result<std::size_t> count = decoder_->next(room.subspan(filled));
      if (!count) return false;
      if (*count == 0) break;
      filled += *count;
    }
    records = room.first(filled);
  }
  record::RecordIterator iterator(records);
  for (std::int32_t i = 0; i < batch.header.record_count; ++i) {
    const Result<record::RecordFields> record = iterator.next();
    if (!record) return false;
    if (record->key_size < 0) continue;
    LoadedRecord loaded;
    loaded.key = {record->key, static_cast<std::size_t>(record->key_size)};
    loaded.is_tombstone = record->value_size < 0;
    if (!loaded.is_tombstone) {
      loaded.value = {record->value, static_cast<std::size_t>(record->value_size)};
    }
    owner_.on_record(partition, batch.header, loaded, now);
  }
  return true;
}

ErrorCode InternalLog::check(std::int32_t index) const {
  if (index < 0 || static_cast<std::size_t>(index) >= partitions_.size()) {
    return ErrorCode::not_coordinator;
  }
  switch (partition(index).state) {
    case Partition::State::away: return ErrorCode::not_coordinator;
    case Partition::State::waiting:
    case Partition::State::loading: return ErrorCode::coordinator_load_in_progress;
    case Partition::State::active: return ErrorCode::none;
  }
  return ErrorCode::not_coordinator;
}

bool InternalLog::is_same_life(std::int32_t index, std::uint64_t life) const {
  return static_cast<std::size_t>(index) < partitions_.size() && partition(index).life == life;
}

const InternalLog::Partition& InternalLog::partition(std::int32_t index) const {
  TR_ASSERT(index >= 0);
  TR_ASSERT(static_cast<std::size_t>(index) < partitions_.size());
  return partitions_[static_cast<std::size_t>(index)];
}

bool InternalLog::leads_any() const {
  return std::any_of(partitions_.begin(), partitions_.end(), [](const Partition& partition) {
    return partition.state != Partition::State::away;
  });
}

}  // namespace tailrace::control
