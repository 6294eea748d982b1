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
void GroupCoordinator::on_record(Partition& partition, const record::BatchHeader&,
                                 const InternalLog::LoadedRecord& from, Now now) {
  const Result<RecordKey> key = parse_record_key(from.key);
  if (!key || key->kind == RecordKey::Kind::other) return;
  const GroupRules rules{limits_.group_members_max, limits_.group_initial_delay};
  Entry* entry = find_entry(key->group);
  const bool is_group = key->kind == RecordKey::Kind::group;
  if (from.is_tombstone && entry == nullptr) return;
  if (entry == nullptr) {
    auto made = std::make_unique<Entry>(std::string(key->group), partition.index, ++entry_number_,
                                        Group(std::string(key->group), rules));
    entry = made.get();
    add_entry(std::move(made));
  }
  if (is_group && from.is_tombstone) {
    entry->group = Group(entry->name, rules);
  } else if (is_group) {
    if (const Result<GroupRecord> record = parse_group_value(from.value)) {
      entry->group = Group(entry->name, rules, *record, now);
    }
  } else if (from.is_tombstone) {
    entry->offsets.erase(key->topic, key->partition);
  } else if (Result<OffsetRecord> record = parse_offset_value(from.value)) {
    entry->offsets.set(key->topic, key->partition, std::move(*record));
  }
  count(*entry);
}

// Ends a transaction that committed offsets.
void GroupCoordinator::on_control(Partition&, const record::BatchView&, Now) {}

void GroupCoordinator::on_loaded(Partition& partition, Now now) {
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
