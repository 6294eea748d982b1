// GroupCoordinator: what is read from the partitions that have become this node's.
#include <utility>

#include "base/log.h"
#include "control/group_coordinator.h"
#include "control/internal_topics.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

}  // namespace

void GroupCoordinator::adopt(Now now) {
  log_.adopt(state_.find_topic(offsets_topic_name), now);
  // Topics that a group reads may have come or grown, or its configs are others; its next
  // heartbeat looks.
  for (const auto& [name, entry] : groups_) {
    if (entry->consumer == nullptr) continue;
    entry->consumer->on_new_image();
    entry->consumer->set_rules(consumer_rules(name));
  }
  forget_deleted_topics(now);
  update_counters();
}

// What is on its way to the log keeps its life's number and is not applied any more.
void GroupCoordinator::on_lost(Partition& partition, Now now) {
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

// What cannot be understood is left where it is: a newer Kafka may have written it.
void GroupCoordinator::on_record(Partition& partition, const record::BatchHeader& batch,
                                 const InternalLog::LoadedRecord& from, Now now) {
  const Result<RecordKey> key = parse_record_key(from.key);
  if (!key || key->kind == RecordKey::Kind::other) return;
  Entry* entry = find_entry(key->group);
  const bool is_group = key->kind == RecordKey::Kind::group;
  const bool is_offset = key->kind == RecordKey::Kind::offset;
  if (from.is_tombstone && entry == nullptr) return;
  if (entry == nullptr) {
    auto made = std::make_unique<Entry>(std::string(key->group), partition.index, ++entry_number_,
                                        Group(std::string(key->group), group_rules()));
    entry = made.get();
    add_entry(std::move(made));
  }
  // Their sizes are looked at when all are there.
  if (!is_group && !is_offset) return load_consumer_record(*key, from, *entry);
  if (is_group && from.is_tombstone) {
    entry->group = Group(entry->name, group_rules());
  } else if (is_group) {
    if (const Result<GroupRecord> record = parse_group_value(from.value)) {
      entry->group = Group(entry->name, group_rules(), *record, now);
    }
  } else if (from.is_tombstone) {
    entry->offsets.erase(key->topic, key->partition);
  } else if (Result<OffsetRecord> record = parse_offset_value(from.value)) {
    const OffsetKey offset_key{std::string(key->topic), key->partition};
    record->order = ++offset_order_;
    if (batch.is_transactional()) {
      load_transactional(batch, *entry, offset_key, std::move(*record));
    } else {
      entry->offsets.set(key->topic, key->partition, std::move(*record));
    }
  }
  count(*entry);
}

void GroupCoordinator::load_consumer_record(const RecordKey& key,
                                            const InternalLog::LoadedRecord& from, Entry& entry) {
  using Kind = RecordKey::Kind;
  const bool is_end = key.kind == Kind::consumer_group && from.is_tombstone;
  if (is_end) entry.consumer.reset();
  if (from.is_tombstone && entry.consumer == nullptr) return;
  if (entry.consumer == nullptr) {
    entry.consumer = std::make_unique<ConsumerGroup>(entry.name, consumer_rules(entry.name));
  }
  ConsumerGroup& group = *entry.consumer;
  switch (key.kind) {
    case Kind::consumer_group:
      if (const auto record = parse_consumer_group(from.value)) group.load(*record);
      return;
    case Kind::consumer_member: {
      const auto record = parse_consumer_member(from.value);
      if (from.is_tombstone || record) {
        group.load_member(key.member, from.is_tombstone ? nullptr : &*record);
      }
      return;
    }
    case Kind::target_epoch: {
      const auto epoch = parse_target_epoch(from.value);
      if (from.is_tombstone || epoch) group.load_target_epoch(from.is_tombstone ? 0 : *epoch);
      return;
    }
    case Kind::target: {
      const auto target = parse_target(from.value);
      if (from.is_tombstone || target) {
        group.load_target(key.member, from.is_tombstone ? nullptr : &*target);
      }
      return;
    }
    case Kind::current_assignment: {
      const auto record = parse_current_assignment(from.value);
      if (from.is_tombstone || record) {
        group.load_current(key.member, from.is_tombstone ? nullptr : &*record);
      }
      return;
    }
    case Kind::offset:
    case Kind::group:
    case Kind::other: return;  // Not of a consumer group.
  }
}

void GroupCoordinator::on_loaded(Partition& partition, Now now) {
  std::vector<Entry*> mine;
  for (const auto& [name, entry] : groups_) {
    if (entry->partition == partition.index) mine.push_back(entry.get());
  }
  std::size_t offsets = 0;
  for (Entry* entry : mine) {
    offsets += entry->offsets.size();
    if (entry->consumer != nullptr) entry->consumer->finish_load(state_, now);
    settle(*entry, now);
  }
  if (!mine.empty()) {
    log_event(LogLevel::info, "control", "groups: partition {} read: {} groups, {} offsets",
              partition.index, mine.size(), offsets);
  }
  looks_for_deleted_ = true;  // Topics may have gone while nobody watched.
  forget_deleted_topics(now);
}

// Offsets go with their topic, so that a topic of the same name does not begin in the middle.
void GroupCoordinator::forget_deleted_topics(Now now) {
  std::vector<std::pair<std::string, std::vector<Change>>> gone;
  const bool may_have_gone = looks_for_deleted_ || state_.topics_deleted() != deletions_seen_;
  deletions_seen_ = state_.topics_deleted();
  looks_for_deleted_ = false;
  if (!may_have_gone) return;
  for (const auto& [name, entry] : groups_) {
    if (!log_.is_active(entry->partition) || entry->group.state() == Group::State::dead) continue;
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
