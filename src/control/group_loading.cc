// GroupCoordinator: which partitions are this node's, and reading them.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "control/group_coordinator.h"
#include "control/internal_topics.h"
#include "record/record_iterator.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

constexpr std::size_t read_bytes_min = 1U << 20;

}  // namespace

void GroupCoordinator::adopt(Now now) {
  const Topic* topic = state_.find_topic(offsets_topic_name);
  const Uuid id = topic == nullptr ? Uuid{} : topic->id;
  if (id != topic_id_) {
    for (Partition& partition : partitions_) let_go(partition, now);
    partitions_.clear();
    topic_id_ = id;
  }
  if (topic != nullptr) take_over(*topic, now);
  forget_deleted_topics(now);
  start_loads(now);
  update_counters();
}

// The number of partitions is that of the first look: groups would change places with it.
void GroupCoordinator::take_over(const Topic& topic, Now now) {
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
    partition.state = Partition::State::waiting;
    partition.index = static_cast<std::int32_t>(i);
    partition.owner = bus::owner_core(topic.id, partition.index, core_count_);
    partition.incarnation = from.incarnation;
    partition.leader_epoch = from.leader_epoch;
    partition.life = ++life_;
    partition.offset = 0;
    partition.retry_at = now.instant;
    ++loading_count_;
  }
}

// What is on its way to the log keeps its life's number and is not applied any more.
void GroupCoordinator::let_go(Partition& partition, Now now) {
  const bool was_loading = partition.state == Partition::State::waiting ||
                           partition.state == Partition::State::loading;
  if (was_loading) --loading_count_;
  partition.state = Partition::State::away;
  partition.life = ++life_;
  std::vector<Entry*> gone;
  for (const auto& [name, entry] : groups_) {
    if (entry->partition == partition.index) gone.push_back(entry.get());
  }
  for (Entry* entry : gone) {
    entry->group.answer_all(ErrorCode::not_coordinator);
    const GroupEffects effects = entry->group.take_effects();
    for (const JoinAnswer& join : effects.joins) answer_join(join);
    for (const SyncAnswer& sync : effects.syncs) answer_sync(sync);
    erase_entry(*entry);
  }
  LogAppender::Writes ended;
  appender_.drop(partition.index, ended);
  end_writes(ended, now);
}

void GroupCoordinator::start_loads(Now now) {
  for (Partition& partition : partitions_) {
    if (reads_out_ >= limits_.group_loads_max) return;
    if (partition.state != Partition::State::waiting || partition.retry_at > now.instant) continue;
    partition.state = Partition::State::loading;
    auto slot = std::make_unique<Slot>();
    slot->bytes.resize(std::max<std::size_t>(read_bytes_min, limits_.batch_bytes_max));
    slot->partition = partition.index;
    slot->life = partition.life;
    ++reads_out_;
    read_on(partition, std::move(slot));
  }
}

void GroupCoordinator::read_on(Partition& partition, std::unique_ptr<Slot> slot) {
  bus::LogTask& task = slot->task;
  task.kind = bus::LogTask::Kind::read;
  task.owner = partition.owner;
  task.topic = topic_id_;
  task.partition = partition.index;
  task.incarnation = partition.incarnation;
  task.offset = partition.offset;
  task.room = slot->bytes;
  log_tasks_.push_back(&task);
  slots_.emplace(&task, std::move(slot));
}

void GroupCoordinator::on_read(std::unique_ptr<Slot> slot, Now now) {
  const auto index = static_cast<std::size_t>(slot->partition);
  const bool is_stale = index >= partitions_.size() || partitions_[index].life != slot->life;
  if (is_stale) {
    --reads_out_;
    return start_loads(now);
  }
  Partition& partition = partitions_[index];
  const bus::LogTask& task = slot->task;
  const bool is_read = task.error == 0 &&
                       replay(Bytes(slot->bytes).first(task.bytes), partition, now) &&
                       (task.bytes > 0 || partition.offset >= task.end_offset);
  if (is_read && partition.offset < task.end_offset) {
    return read_on(partition, std::move(slot));
  }
  --reads_out_;
  if (is_read) {
    finish_load(partition, now);
  } else {
    log_event(LogLevel::error, "control",
              "groups: partition {} of {} cannot be read at offset {} (error {}); tried again",
              partition.index, offsets_topic_name, partition.offset, task.error);
    partition.state = Partition::State::waiting;
    partition.retry_at = now.instant + limits_.group_load_retry;
  }
  start_loads(now);
}

bool GroupCoordinator::replay(Bytes batches, Partition& partition, Now now) {
  while (!batches.empty()) {
    const Result<record::BatchView> batch = record::parse_batch(batches);
    if (!batch || !record::crc_matches(batch->bytes)) return false;
    batches = batches.subspan(batch->bytes.size());
    const std::int64_t next = batch->header.last_offset() + 1;
    if (next <= partition.offset) continue;  // Read before.
    if (!batch->header.is_control() && !replay_batch(*batch, partition, now)) return false;
    partition.offset = next;
  }
  return true;
}

bool GroupCoordinator::replay_batch(const record::BatchView& batch, Partition& partition,
                                    Now now) {
  Bytes records = batch.records();
  if (batch.header.codec_bits() != 0) {
    if (decoder_ == nullptr) {
      decoder_ = std::make_unique<record::Decoder>(std::size_t{8} * limits_.batch_bytes_max);
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
    const Bytes key{record->key, static_cast<std::size_t>(record->key_size)};
    const bool is_tombstone = record->value_size < 0;
    const Bytes value = is_tombstone
                            ? Bytes{}
                            : Bytes{record->value, static_cast<std::size_t>(record->value_size)};
    replay_record(key, value, is_tombstone, partition, now);
  }
  return true;
}

// What cannot be understood is left where it is: a newer Kafka may have written it.
void GroupCoordinator::replay_record(Bytes key_bytes, Bytes value, bool is_tombstone,
                                     Partition& partition, Now now) {
  const Result<RecordKey> key = parse_record_key(key_bytes);
  if (!key || key->kind == RecordKey::Kind::other) return;
  const GroupRules rules{limits_.group_members_max, limits_.group_initial_delay};
  Entry* entry = find_entry(key->group);
  const bool is_group = key->kind == RecordKey::Kind::group;
  if (is_tombstone && entry == nullptr) return;
  if (entry == nullptr) {
    auto made = std::make_unique<Entry>(std::string(key->group), partition.index, ++entry_number_,
                                        Group(std::string(key->group), rules));
    entry = made.get();
    add_entry(std::move(made));
  }
  if (is_group && is_tombstone) {
    entry->group = Group(entry->name, rules);
  } else if (is_group) {
    if (const Result<GroupRecord> record = parse_group_value(value)) {
      entry->group = Group(entry->name, rules, *record, now);
    }
  } else if (is_tombstone) {
    entry->offsets.erase(key->topic, key->partition);
  } else if (Result<OffsetRecord> record = parse_offset_value(value)) {
    entry->offsets.set(key->topic, key->partition, std::move(*record));
  }
  count(*entry);
}

void GroupCoordinator::finish_load(Partition& partition, Now now) {
  partition.state = Partition::State::active;
  --loading_count_;
  std::vector<Entry*> mine;
  for (const auto& [name, entry] : groups_) {
    if (entry->partition == partition.index) mine.push_back(entry.get());
  }
  std::size_t offsets = 0;
  for (Entry* entry : mine) {
    offsets += entry->offsets.size();
    settle(*entry, now);
  }
  if (!mine.empty()) {
    log_event(LogLevel::info, "control", "groups: partition {} read: {} groups, {} offsets",
              partition.index, mine.size(), offsets);
  }
  topic_count_seen_ = 0;  // Topics may have gone while nobody watched.
  forget_deleted_topics(now);
}

// Offsets go with their topic, so that a topic of the same name does not begin in the middle.
void GroupCoordinator::forget_deleted_topics(Now now) {
  std::vector<std::pair<std::string, std::vector<Change>>> gone;
  const std::size_t topics = state_.topics().size();
  const bool may_have_gone = topic_count_seen_ == 0 || topics < topic_count_seen_;
  topic_count_seen_ = topics;
  if (!may_have_gone) return;
  for (const auto& [name, entry] : groups_) {
    const bool is_active = partitions_[static_cast<std::size_t>(entry->partition)].state ==
                           Partition::State::active;
    if (!is_active || entry->group.state() == Group::State::dead) continue;
    std::vector<Change> changes;
    for (const auto& [topic, offsets] : entry->offsets.topics()) {
      if (state_.find_topic(topic) != nullptr) continue;
      for (const auto& [index, record] : offsets) changes.push_back({{topic, index}, {}});
    }
    if (!changes.empty()) gone.emplace_back(name, std::move(changes));
  }
  for (auto& [name, changes] : gone) {
    Entry* entry = find_entry(name);
    if (entry != nullptr) write_offsets(*entry, std::move(changes), nullptr, {}, now);
  }
}

}  // namespace tailrace::control
