#include "control/group_coordinator.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "control/internal_topics.h"
#include "control/optional_text.h"
#include "kafka/apis.h"
#include "kafka/gen/join_group.h"
#include "kafka/gen/sync_group.h"

namespace tailrace::control {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;

constexpr std::size_t groups_per_check = 64;
constexpr std::size_t expired_per_write = 1000;

// Null could not be said before version 7.
kafka::NullableString protocol_name(const std::optional<std::string>& text, std::int16_t version) {
  if (!text && version < 7) return "";
  return nullable(text);
}

}  // namespace

ErrorCode commit_error(ErrorCode log_error) {
  switch (log_error) {
    case ErrorCode::none: return ErrorCode::none;
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::not_enough_replicas_after_append:
      return ErrorCode::coordinator_not_available;
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::not_coordinator:
    case ErrorCode::fenced_leader_epoch:
    case ErrorCode::unknown_leader_epoch:
    case ErrorCode::kafka_storage_error: return ErrorCode::not_coordinator;
    case ErrorCode::message_too_large: return ErrorCode::invalid_commit_offset_size;
    default: return ErrorCode::unknown_server_error;
  }
}

ErrorCode store_error(ErrorCode log_error) {
  const ErrorCode error = commit_error(log_error);
  return error == ErrorCode::invalid_commit_offset_size ? ErrorCode::unknown_server_error : error;
}

GroupCoordinator::GroupCoordinator(const Limits& limits, bus::NodeId node_id,
                                   std::uint16_t core_count, const ClusterState& state, Prng prng)
    : limits_(limits), state_(state), prng_(prng), arena_(limits.request_memory_bytes),
      appender_(limits.batch_bytes_max),
      log_(limits, node_id, core_count, "groups", offsets_topic_name, *this) {}

bool GroupCoordinator::is_for_groups(std::int16_t api_key) {
  switch (static_cast<ApiKey>(api_key)) {
    case ApiKey::join_group:
    case ApiKey::sync_group:
    case ApiKey::heartbeat:
    case ApiKey::leave_group:
    case ApiKey::offset_commit:
    case ApiKey::offset_fetch:
    case ApiKey::offset_delete:
    case ApiKey::describe_groups:
    case ApiKey::list_groups:
    case ApiKey::consumer_group_heartbeat:
    case ApiKey::consumer_group_describe:
    case ApiKey::delete_groups: return true;
    default: return false;
  }
}

void GroupCoordinator::on_request(bus::ControlRequest* request, Now now) {
  dispatch(request, now);
  update_counters();
}

void GroupCoordinator::dispatch(bus::ControlRequest* request, Now now) {
  switch (static_cast<ApiKey>(request->api_key)) {
    case ApiKey::join_group: return join_group(request, now);
    case ApiKey::sync_group: return sync_group(request, now);
    case ApiKey::heartbeat: return heartbeat(request, now);
    case ApiKey::leave_group: return leave_group(request, now);
    case ApiKey::offset_commit: return commit_offsets(request, now);
    case ApiKey::offset_fetch: return fetch_offsets(request);
    case ApiKey::offset_delete: return delete_offsets(request, now);
    case ApiKey::describe_groups: return describe_groups(request);
    case ApiKey::list_groups: return list_groups(request);
    case ApiKey::delete_groups: return delete_groups(request, now);
    case ApiKey::consumer_group_heartbeat: return consumer_heartbeat(request, now);
    case ApiKey::consumer_group_describe: return describe_consumer_groups(request);
    default: return close(request);
  }
}

void GroupCoordinator::close(bus::ControlRequest* request) {
  answers_.push_back({.request = request, .reply = {}, .close_connection = true});
}

// ---------------------------------------------------------------- groups

ErrorCode GroupCoordinator::find_partition(std::string_view group, Partition*& partition) {
  // A key in the log has a 15-bit length, whatever newer requests can say.
  if (group.size() > INT16_MAX) return ErrorCode::invalid_group_id;
  if (log_.size() == 0) return ErrorCode::not_coordinator;
  partition = &log_.partition(partition_of_group(group, log_.size()));
  return log_.check(partition->index);
}

GroupCoordinator::Entry* GroupCoordinator::find_entry(std::string_view group) {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : found->second.get();
}

GroupCoordinator::Entry* GroupCoordinator::find_entry(const Write& write) {
  Entry* entry = find_entry(write.group);
  return entry != nullptr && entry->number == write.entry_number ? entry : nullptr;
}

GroupCoordinator::Entry* GroupCoordinator::make_entry(std::string_view group,
                                                      std::int32_t partition) {
  if (groups_.size() >= limits_.groups_max || memory_bytes_ >= limits_.group_bytes_max) {
    return nullptr;
  }
  auto entry = std::make_unique<Entry>(std::string(group), partition, ++entry_number_,
                                       Group(std::string(group), group_rules()));
  Entry* made = entry.get();
  add_entry(std::move(entry));
  return made;
}

void GroupCoordinator::add_entry(std::unique_ptr<Entry> entry) {
  Entry& added = *entry;
  groups_.insert_or_assign(added.name, std::move(entry));
  count(added);
}

void GroupCoordinator::erase_entry(Entry& entry) {
  set_timer(entry, never());
  for (const std::int64_t producer : entry.transactional.producers()) {
    const auto found = transactional_groups_.find({entry.partition, producer});
    if (found == transactional_groups_.end()) continue;
    found->second.erase(entry.name);
    if (found->second.empty()) transactional_groups_.erase(found);
  }
  memory_bytes_ -= entry.counted_bytes;
  offset_count_ -= entry.counted_offsets;
  member_count_ -= entry.counted_members;
  groups_.erase(groups_.find(entry.name));
}

void GroupCoordinator::settle(Entry& entry, Now now) {
  const GroupEffects effects = entry.group.take_effects();
  for (const JoinAnswer& join : effects.joins) answer_join(join);
  for (const SyncAnswer& sync : effects.syncs) answer_sync(sync);
  for (const StoreAsk& ask : effects.stores) write_group(entry, ask, now);
  const Group& group = entry.group;
  const bool was_used = group.generation() > 0 ||
                        (entry.consumer != nullptr && entry.consumer->epoch() > 0);
  const bool is_nothing = is_empty(entry) && !was_used && entry.offsets.empty() &&
                          entry.transactional.empty() && entry.writes_out == 0;
  if (is_nothing) return erase_entry(entry);
  count(entry);
  const Instant deadline = group.next_deadline();
  set_timer(entry, entry.consumer == nullptr
                       ? deadline
                       : std::min(deadline, entry.consumer->next_deadline()));
}

void GroupCoordinator::set_timer(Entry& entry, Instant at) {
  if (entry.timer == at) return;
  if (entry.timer != never()) timers_.erase({entry.timer, entry.number});
  entry.timer = at;
  if (at != never()) timers_.emplace(std::pair(at, entry.number), &entry);
}

void GroupCoordinator::count(Entry& entry) {
  std::uint64_t bytes = 256 + 2 * entry.name.size() + entry.group.memory_bytes() +
                        entry.offsets.memory_bytes() + entry.transactional.memory_bytes();
  std::size_t members = entry.group.members().size();
  if (entry.consumer != nullptr) {
    bytes += entry.consumer->memory_bytes();
    members += entry.consumer->members().size();
  }
  memory_bytes_ += bytes - entry.counted_bytes;
  entry.counted_bytes = bytes;
  const std::size_t offsets = entry.offsets.size() + entry.transactional.size();
  offset_count_ += offsets - entry.counted_offsets;
  entry.counted_offsets = offsets;
  member_count_ += members - entry.counted_members;
  entry.counted_members = members;
}

ControlAnswer GroupCoordinator::join_answer(const JoinAnswer& from) {
  using Response = kafka::JoinGroupResponse;
  Response response;
  response.error_code = to_wire(from.error);
  response.generation_id = from.generation;
  response.protocol_type = nullable(from.protocol_type);
  response.protocol_name = protocol_name(from.protocol, from.ticket->api_version);
  response.leader = from.leader;
  response.skip_assignment = from.skip_assignment;
  response.member_id = from.member_id;
  std::vector<Response::JoinGroupResponseMember> members;
  for (const JoinAnswer::Member& member : from.members) {
    members.push_back({.member_id = member.id,
                       .group_instance_id = nullable(member.instance_id),
                       .metadata = member.metadata});
  }
  response.members = members;
  return answer_to(from.ticket, response);
}

ControlAnswer GroupCoordinator::sync_answer(const SyncAnswer& from) {
  kafka::SyncGroupResponse response;
  response.error_code = to_wire(from.error);
  response.protocol_type = nullable(from.protocol_type);
  response.protocol_name = nullable(from.protocol);
  response.assignment = from.assignment;
  return answer_to(from.ticket, response);
}

// ---------------------------------------------------------------- writing

std::shared_ptr<GroupCoordinator::Write> GroupCoordinator::new_write(const Entry& entry,
                                                                     Write::Kind kind) {
  auto write = std::make_shared<Write>();
  write->kind = kind;
  write->group = entry.name;
  write->entry_number = entry.number;
  write->partition = entry.partition;
  write->life = log_.partition(entry.partition).life;
  return write;
}

void GroupCoordinator::send_write(const std::shared_ptr<Write>& write,
                                  std::span<const NewRecord> records, Now now) {
  const Partition& partition = log_.partition(write->partition);
  const LogAppender::Target target{partition.owner, log_.topic_id(), partition.index,
                                   partition.incarnation, partition.leader_epoch};
  if (!appender_.add(target, write, records, now.wall_ms)) end_write(*write, now);
}

void GroupCoordinator::write_offsets(Entry& entry, std::vector<Change> changes,
                                     const std::shared_ptr<Pending>& pending,
                                     std::vector<std::size_t> items, Now now) {
  std::vector<NewRecord> records;
  records.reserve(changes.size());
  for (const Change& change : changes) {
    NewRecord& made = records.emplace_back();
    made.key = encode_offset_key(entry.name, change.key.topic, change.key.partition);
    made.is_tombstone = !change.record;
    if (change.record) made.value = encode_offset_value(*change.record);
  }
  const auto write = new_write(entry, Write::Kind::offsets);
  write->changes = std::move(changes);
  write->pending = pending;
  write->items = std::move(items);
  write->counts_out = pending != nullptr &&
                     pending->request->api_key == static_cast<std::int16_t>(ApiKey::offset_commit);
  if (pending != nullptr) ++pending->writes_out;
  if (write->counts_out) ++entry.writes_out;
  send_write(write, records, now);
}

void GroupCoordinator::write_group(Entry& entry, const StoreAsk& ask, Now now) {
  const auto write = new_write(entry, Write::Kind::group);
  write->store_number = ask.number;
  if (!ask.record.members.empty()) counters_.rebalances.add();
  std::vector<NewRecord> records;
  records.push_back({encode_group_key(entry.name), encode_group_value(ask.record), false});
  send_write(write, records, now);
}

void GroupCoordinator::on_log_done(bus::LogTask* task, Now now) {
  LogAppender::Writes ended;
  const bool is_append = appender_.on_done(task, ended);
  const bool is_ours =
      is_append || log_.on_done(task, now) || on_transactional_done(task, now);
  TR_ASSERT(is_ours);
  end_writes(ended, now);
  update_counters();
}

void GroupCoordinator::end_writes(const LogAppender::Writes& ended, Now now) {
  for (const auto& write : ended) end_write(static_cast<Write&>(*write), now);
}

void GroupCoordinator::end_write(Write& write, Now now) {
  const bool is_lost = !log_.is_same_life(write.partition, write.life);
  if (is_lost) write.error = ErrorCode::not_coordinator;
  const bool is_good = write.error == ErrorCode::none;
  if (!is_good) counters_.write_failures.add();
  // Offsets of a deleted topic may be among them.
  if (!is_good && write.kind == Write::Kind::offsets) looks_for_deleted_ = true;
  if (!is_good && write.kind == Write::Kind::consumer) {
    return fail_consumer_write(write, is_lost, now);
  }
  if (Entry* entry = is_lost ? nullptr : find_entry(write)) {
    if (write.counts_out) --entry->writes_out;
    switch (write.kind) {
      case Write::Kind::offsets:
        for (Change& change : write.changes) {
          if (!is_good) break;
          if (change.record) {
            change.record->order = ++offset_order_;
            entry->offsets.set(change.key.topic, change.key.partition, std::move(*change.record));
          } else {
            entry->offsets.erase(change.key.topic, change.key.partition);
          }
        }
        break;
      case Write::Kind::group:
        entry->group.on_stored(write.store_number, store_error(write.error), now);
        break;
      case Write::Kind::consumer:
        if (entry->consumer_write.get() == &write) entry->consumer_write.reset();
        break;
      case Write::Kind::delete_group:
        if (is_good) break;
        entry->group.undo_delete(now);
        looks_for_deleted_ = true;  // While it was dead nobody looked at its offsets.
        break;
    }
    if (write.kind == Write::Kind::delete_group && is_good) erase_entry(*entry);
    else settle(*entry, now);
  }
  for (ControlAnswer& held : write.answers) answers_.push_back(std::move(held));
  if (write.pending == nullptr) return;
  Pending& pending = *write.pending;
  for (const std::size_t item : write.items) pending.errors[item] = commit_error(write.error);
  if (--pending.writes_out == 0) finish(pending);
}

void GroupCoordinator::finish(Pending& pending) {
  switch (static_cast<ApiKey>(pending.request->api_key)) {
    case ApiKey::offset_commit: return finish_commit(pending);
    case ApiKey::offset_delete: return finish_delete_offsets(pending);
    case ApiKey::delete_groups: return finish_delete_groups(pending);
    default: TR_ASSERT(false);
  }
}

// ---------------------------------------------------------------- time

void GroupCoordinator::step(Now now) {
  while (!timers_.empty() && timers_.begin()->first.first <= now.instant) {
    Entry& entry = *timers_.begin()->second;
    set_timer(entry, never());
    entry.group.step(now);
    if (entry.consumer == nullptr) {
      settle(entry, now);
    } else {
      entry.consumer->step(state_, now);
      settle_consumer(entry, {}, std::nullopt, now);
    }
  }
  log_.step(now);
  if (check_at_ == never()) check_at_ = now.instant + limits_.offsets_check;
  if (is_checking_ || check_at_ <= now.instant) check_offsets(now);
  update_counters();
}

Instant GroupCoordinator::next_deadline() const {
  if (is_checking_) return {};
  const Instant deadline = std::min(check_at_, log_.next_deadline());
  return timers_.empty() ? deadline : std::min(deadline, timers_.begin()->first.first);
}

// Some groups at a time, so that a look over many delays nobody.
void GroupCoordinator::check_offsets(Now now) {
  if (!is_checking_) check_from_.clear();
  is_checking_ = true;
  std::vector<std::string> names;
  for (auto at = groups_.lower_bound(check_from_);
       at != groups_.end() && names.size() < groups_per_check; ++at) {
    names.push_back(at->first);
  }
  if (names.size() < groups_per_check) {
    is_checking_ = false;
    forget_deleted_topics(now);
    check_at_ = now.instant + limits_.offsets_check;
  } else {
    check_from_ = names.back() + '\0';
  }
  for (const std::string& name : names) {
    if (Entry* entry = find_entry(name)) expire_offsets(*entry, now);
  }
}

void GroupCoordinator::expire_offsets(Entry& entry, Now now) {
  if (entry.writes_out > 0 || !entry.transactional.empty()) return;
  const std::int64_t retention_ms = limits_.offsets_retention.ns / 1'000'000;
  std::vector<OffsetKey> keys =
      entry.consumer == nullptr
          ? expired_offsets(entry.group, entry.offsets, retention_ms, now.wall_ms)
          : expired_offsets(*entry.consumer, entry.offsets, retention_ms, now.wall_ms);
  const bool all = keys.size() == entry.offsets.size();
  if (all && is_empty(entry)) {
    // The group goes with its last offset; one that never committed goes at the first look.
    begin_delete(entry.name, nullptr, 0, now);
    return;
  }
  for (std::size_t first = 0; first < keys.size(); first += expired_per_write) {
    std::vector<Change> changes;
    for (std::size_t i = first; i < std::min(keys.size(), first + expired_per_write); ++i) {
      changes.push_back({std::move(keys[i]), std::nullopt});
    }
    write_offsets(entry, std::move(changes), nullptr, {}, now);
  }
}

void GroupCoordinator::update_counters() {
  counters_.groups.set(static_cast<std::int64_t>(groups_.size()));
  counters_.members.set(static_cast<std::int64_t>(member_count_));
  counters_.offsets.set(static_cast<std::int64_t>(offset_count_));
  counters_.partitions_loading.set(static_cast<std::int64_t>(log_.loading_count()));
}

}  // namespace tailrace::control
