// GroupCoordinator: OffsetCommit, OffsetFetch, OffsetDelete.
#include <algorithm>
#include <deque>
#include <type_traits>

#include "control/group_coordinator.h"
#include "control/optional_text.h"
#include "kafka/gen/offset_commit.h"
#include "kafka/gen/offset_delete.h"
#include "kafka/gen/offset_fetch.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

constexpr std::int16_t commit_first_by_id = 10;
constexpr std::int16_t commit_first_with_epoch = 9;   // KIP-848
constexpr std::int16_t fetch_first_by_id = 10;
constexpr std::int16_t fetch_first_with_groups = 8;
// Of the memory of groups, for records on their way to the log.
constexpr std::uint64_t waiting_share = 4;

const Topic* find_topic(const ClusterState& state, std::string_view name, const Uuid& id,
                        bool by_id) {
  return by_id ? state.find_topic(id) : state.find_topic(name);
}

bool has_partition(const Topic* topic, std::int32_t partition) {
  return topic != nullptr && partition >= 0 &&
         static_cast<std::size_t>(partition) < topic->partitions.size();
}

template <class Topics>
std::size_t item_count_of(const Topics& topics) {
  std::size_t count = 0;
  for (const auto& topic : topics) count += topic.partitions.size();
  return count;
}

// Of RetentionTimeMs, which versions 2 to 4 have: when the offsets are to go. -1: as the node says.
std::int64_t expiry_of(std::int64_t retention_ms, std::int64_t wall_ms) {
  if (retention_ms == -1) return -1;
  const bool is_for_ever = retention_ms > INT64_MAX - wall_ms;
  return is_for_ever ? INT64_MAX : std::max<std::int64_t>(0, wall_ms + retention_ms);
}

}  // namespace

// ---------------------------------------------------------------- OffsetCommit

void GroupCoordinator::commit_offsets(bus::ControlRequest* request, Now now) {
  const Result<kafka::OffsetCommitRequest> body = decode<kafka::OffsetCommitRequest>(*request);
  if (!body) return close(request);
  auto pending = std::make_shared<Pending>();
  pending->request = request;
  pending->errors.resize(item_count_of(body->topics), ErrorCode::none);
  const auto refuse = [&](ErrorCode error) {
    std::fill(pending->errors.begin(), pending->errors.end(), error);
    finish_commit(*pending);
  };

  Partition* partition = nullptr;
  ErrorCode error = find_partition(body->group_id, partition);
  if (error != ErrorCode::none) return refuse(error);
  // The log does not keep up: the client comes again a little later.
  if (appender_.bytes() > limits_.group_bytes_max / waiting_share) {
    return refuse(ErrorCode::coordinator_load_in_progress);
  }
  Entry* entry = find_entry(body->group_id);
  const std::int32_t generation = body->generation_id_or_member_epoch;
  if (entry == nullptr && generation >= 0) return refuse(ErrorCode::illegal_generation);
  if (entry == nullptr) entry = make_entry(body->group_id, partition->index);
  if (entry == nullptr) return refuse(ErrorCode::invalid_commit_offset_size);
  error = check_commit(*entry, *body, request->api_version, now);
  if (error != ErrorCode::none) {
    refuse(error);
    return settle(*entry, now);
  }

  const bool by_id = request->api_version >= commit_first_by_id;
  const std::int64_t expire_ms = expiry_of(body->retention_time_ms, now.wall_ms);
  std::vector<Change> changes;
  std::vector<std::size_t> items;
  std::size_t item = 0;
  for (const auto& topic : body->topics) {
    const Topic* known = find_topic(state_, topic.name, topic.topic_id, by_id);
    for (const auto& at : topic.partitions) {
      ErrorCode& told = pending->errors[item++];
      if (known == nullptr && by_id) {
        told = ErrorCode::unknown_topic_id;
      } else if (!has_partition(known, at.partition_index)) {
        told = ErrorCode::unknown_topic_or_partition;
      } else if (at.committed_metadata.value.size() > limits_.offset_metadata_bytes_max) {
        told = ErrorCode::offset_metadata_too_large;
      } else if (!has_room_for(*entry, known->name, at.partition_index,
                               at.committed_metadata.value, changes.size())) {
        told = ErrorCode::invalid_commit_offset_size;
      } else {
        changes.push_back({{known->name, at.partition_index},
                           OffsetRecord{at.committed_offset, at.committed_leader_epoch,
                                        std::string(at.committed_metadata.value), now.wall_ms,
                                        expire_ms}});
        items.push_back(item - 1);
      }
    }
  }
  if (changes.empty()) {
    finish_commit(*pending);
    return settle(*entry, now);
  }
  counters_.offset_commits.add(changes.size());
  write_offsets(*entry, std::move(changes), pending, std::move(items), now);
}

ErrorCode GroupCoordinator::check_commit(Entry& entry, const kafka::OffsetCommitRequest& body,
                                         std::int16_t version, Now now) {
  const std::int32_t epoch = body.generation_id_or_member_epoch;
  if (entry.consumer == nullptr || entry.group.state() == Group::State::dead) {
    return entry.group.check_commit(body.member_id, optional_of(body.group_instance_id), epoch,
                                    now);
  }
  const auto member = entry.consumer->members().find(body.member_id);
  const bool is_classic = member == entry.consumer->members().end() ||
                          member->second.about.classic.has_value();
  if (!is_classic && version < commit_first_with_epoch) return ErrorCode::unsupported_version;
  return entry.consumer->check_commit(body.member_id, epoch);
}

// What is there may be replaced by what is no longer.
bool GroupCoordinator::has_room_for(const Entry& entry, std::string_view topic,
                                    std::int32_t partition, std::string_view metadata,
                                    std::size_t planned) const {
  const OffsetRecord* old = entry.offsets.find(topic, partition);
  if (old != nullptr && old->metadata.size() >= metadata.size()) return true;
  const std::uint64_t bytes = OffsetTable::bytes_of(topic, metadata);
  const bool fits = memory_bytes_ + bytes * (planned + 1) <= limits_.group_bytes_max;
  return fits && (old != nullptr || offset_count_ + planned < limits_.offsets_max);
}

template <class Request, class Response, class ToTopic>
void GroupCoordinator::answer_offsets(Pending& pending, const ToTopic& to_topic) {
  using Told = std::remove_cvref_t<decltype(Response{}.topics[0])>;
  using Partitions = std::vector<std::remove_cvref_t<decltype(Told{}.partitions[0])>>;
  const auto body = decode<Request>(*pending.request);
  TR_ASSERT(body.has_value());  // It was read once before.
  std::vector<Told> topics;
  std::deque<Partitions> rooms;
  std::size_t item = 0;
  for (const auto& from : body->topics) {
    Partitions& partitions = rooms.emplace_back();
    for (const auto& at : from.partitions) {
      partitions.push_back({.partition_index = at.partition_index,
                            .error_code = to_wire(pending.errors[item++])});
    }
    topics.push_back(to_topic(from));
    topics.back().partitions = partitions;
  }
  Response response;
  response.topics = topics;
  answer(pending.request, response);
}

void GroupCoordinator::finish_commit(Pending& pending) {
  using Response = kafka::OffsetCommitResponse;
  answer_offsets<kafka::OffsetCommitRequest, Response>(pending, [](const auto& from) {
    return Response::OffsetCommitResponseTopic{.name = from.name, .topic_id = from.topic_id};
  });
}

// ---------------------------------------------------------------- OffsetFetch

namespace {

// One group's part of an OffsetFetch, in the form of version 8 and later.
class GroupFetch {
 public:
  using Group = kafka::OffsetFetchResponse::OffsetFetchResponseGroup;
  using Topics = kafka::OffsetFetchResponse::OffsetFetchResponseGroup::OffsetFetchResponseTopics;
  using Partition = Topics::OffsetFetchResponsePartitions;

  // `unstable`: offsets that may become the group's at any time; null when nobody minds.
  // `room`: of the whole answer; outlives this.
  GroupFetch(const ClusterState& state, const OffsetTable* offsets,
             const TransactionalOffsets* unstable, bool by_id, ReplyRoom& room)
      : state_(state), offsets_(offsets), unstable_(unstable), by_id_(by_id), room_(room) {}

  void add(std::string_view name, const Uuid& id, std::span<const std::int32_t> indexes,
           ErrorCode error) {
    const Topic* known = by_id_ ? state_.find_topic(id) : nullptr;
    const std::string_view topic = known != nullptr ? std::string_view(known->name) : name;
    if (by_id_ && known == nullptr && error == ErrorCode::none) error = ErrorCode::unknown_topic_id;
    std::vector<Partition>& partitions = rooms_.emplace_back();
    for (const std::int32_t index : indexes) {
      partitions.push_back(answer(topic, index, error));
    }
    topics_.push_back({.name = name, .topic_id = id, .partitions = partitions});
  }

  // All that are committed.
  void add_all() {
    if (offsets_ == nullptr) return;
    for (const auto& [name, offsets] : offsets_->topics()) {
      const Topic* known = state_.find_topic(name);
      if (by_id_ && known == nullptr) continue;  // It has no id any more.
      std::vector<std::int32_t> indexes;
      for (const auto& [index, record] : offsets) indexes.push_back(index);
      add(name, known == nullptr ? Uuid{} : known->id, indexes, ErrorCode::none);
    }
  }

  std::span<Topics> topics() { return topics_; }

 private:
  Partition answer(std::string_view topic, std::int32_t index, ErrorCode error) {
    Partition made{.partition_index = index, .committed_offset = -1, .metadata = "",
                   .error_code = to_wire(error)};
    const bool is_unstable = error == ErrorCode::none && unstable_ != nullptr &&
                             unstable_->contains(topic, index);
    if (is_unstable) made.error_code = to_wire(ErrorCode::unstable_offset_commit);
    if (is_unstable) return made;
    const OffsetRecord* found = error == ErrorCode::none && offsets_ != nullptr
                                    ? offsets_->find(topic, index)
                                    : nullptr;
    if (found == nullptr) return made;
    if (!room_.take(OffsetTable::bytes_of(topic, found->metadata))) {
      made.error_code = to_wire(ErrorCode::invalid_request);
      return made;
    }
    made.committed_offset = found->offset;
    made.committed_leader_epoch = found->leader_epoch;
    made.metadata = std::string_view(found->metadata);
    return made;
  }

  const ClusterState& state_;
  const OffsetTable* offsets_;
  const TransactionalOffsets* unstable_;
  bool by_id_;
  ReplyRoom& room_;
  std::vector<Topics> topics_;
  std::deque<std::vector<Partition>> rooms_;
};

// The same in the form of one group, before version 8.
void fill_flat(GroupFetch& fetch, ErrorCode error, kafka::OffsetFetchResponse& response,
               std::vector<kafka::OffsetFetchResponse::OffsetFetchResponseTopic>& topics,
               std::deque<std::vector<kafka::OffsetFetchResponse::OffsetFetchResponseTopic::
                                          OffsetFetchResponsePartition>>& rooms) {
  for (const GroupFetch::Topics& from : fetch.topics()) {
    auto& partitions = rooms.emplace_back();
    for (const GroupFetch::Partition& at : from.partitions) {
      partitions.push_back({.partition_index = at.partition_index,
                            .committed_offset = at.committed_offset,
                            .committed_leader_epoch = at.committed_leader_epoch,
                            .metadata = at.metadata,
                            .error_code = at.error_code});
    }
    topics.push_back({.name = from.name, .partitions = partitions});
  }
  response.error_code = to_wire(error);
  response.topics = topics;
}

}  // namespace

void GroupCoordinator::fetch_offsets(bus::ControlRequest* request) {
  const Result<kafka::OffsetFetchRequest> body = decode<kafka::OffsetFetchRequest>(*request);
  if (!body) return close(request);
  const bool by_id = request->api_version >= fetch_first_by_id;
  kafka::OffsetFetchResponse response;
  std::deque<GroupFetch> fetches;
  ReplyRoom room = reply_room();
  const TransactionalOffsets* unstable = nullptr;
  const auto offsets_of = [&](std::string_view group, ErrorCode& error) -> const OffsetTable* {
    Partition* partition = nullptr;
    error = find_partition(group, partition);
    const Entry* entry = error == ErrorCode::none ? find_entry(group) : nullptr;
    unstable = entry != nullptr && body->require_stable ? &entry->transactional : nullptr;
    return entry == nullptr ? nullptr : &entry->offsets;
  };

  if (request->api_version < fetch_first_with_groups) {
    ErrorCode error = ErrorCode::none;
    const OffsetTable* offsets = offsets_of(body->group_id, error);
    GroupFetch& fetch = fetches.emplace_back(state_, offsets, unstable, false, room);
    if (body->topics.null && error == ErrorCode::none) fetch.add_all();
    for (const auto& topic : body->topics.items) {
      fetch.add(topic.name, {}, topic.partition_indexes, error);
    }
    std::vector<kafka::OffsetFetchResponse::OffsetFetchResponseTopic> topics;
    std::deque<std::vector<
        kafka::OffsetFetchResponse::OffsetFetchResponseTopic::OffsetFetchResponsePartition>>
        rooms;
    fill_flat(fetch, error, response, topics, rooms);
    return answer(request, response);
  }

  std::vector<GroupFetch::Group> groups;
  for (const auto& asked : body->groups) {
    ErrorCode error = ErrorCode::none;
    const OffsetTable* offsets = offsets_of(asked.group_id, error);
    const Entry* entry = error == ErrorCode::none ? find_entry(asked.group_id) : nullptr;
    const bool has_epoch = !asked.member_id.is_null() || asked.member_epoch >= 0;
    if (entry != nullptr && entry->consumer != nullptr && has_epoch) {
      error = entry->consumer->check_commit(asked.member_id.value, asked.member_epoch);
    }
    GroupFetch& fetch = fetches.emplace_back(state_, offsets, unstable, by_id, room);
    if (asked.topics.null && error == ErrorCode::none) fetch.add_all();
    for (const auto& topic : asked.topics.items) {
      if (error != ErrorCode::none) break;
      fetch.add(topic.name, topic.topic_id, topic.partition_indexes, ErrorCode::none);
    }
    groups.push_back({.group_id = asked.group_id, .topics = fetch.topics(),
                      .error_code = to_wire(error)});
  }
  response.groups = groups;
  answer(request, response);
}

// ---------------------------------------------------------------- OffsetDelete

void GroupCoordinator::delete_offsets(bus::ControlRequest* request, Now now) {
  const Result<kafka::OffsetDeleteRequest> body = decode<kafka::OffsetDeleteRequest>(*request);
  if (!body) return close(request);
  const auto refuse = [&](ErrorCode error) {
    kafka::OffsetDeleteResponse response;
    response.error_code = to_wire(error);
    answer(request, response);
  };
  Partition* partition = nullptr;
  const ErrorCode error = find_partition(body->group_id, partition);
  if (error != ErrorCode::none) return refuse(error);
  Entry* entry = find_entry(body->group_id);
  const bool is_gone = entry == nullptr || entry->group.state() == Group::State::dead;
  if (is_gone) return refuse(ErrorCode::group_id_not_found);
  const bool is_live = !is_empty(*entry);
  if (is_live && entry->consumer == nullptr && entry->group.protocol_type() != "consumer") {
    return refuse(ErrorCode::non_empty_group);
  }

  auto pending = std::make_shared<Pending>();
  pending->request = request;
  pending->errors.resize(item_count_of(body->topics), ErrorCode::none);
  std::vector<Change> changes;
  std::vector<std::size_t> items;
  std::size_t item = 0;
  for (const auto& topic : body->topics) {
    const Topic* known = state_.find_topic(topic.name);
    const bool is_read = is_live && (entry->consumer != nullptr
                                         ? entry->consumer->is_subscribed(topic.name)
                                         : entry->group.is_subscribed(topic.name));
    for (const auto& at : topic.partitions) {
      ErrorCode& told = pending->errors[item++];
      if (!has_partition(known, at.partition_index)) {
        told = ErrorCode::unknown_topic_or_partition;
      } else if (is_read) {
        told = ErrorCode::group_subscribed_to_topic;
      } else if (entry->offsets.find(topic.name, at.partition_index) != nullptr) {
        changes.push_back({{std::string(topic.name), at.partition_index}, std::nullopt});
        items.push_back(item - 1);
      }
    }
  }
  if (changes.empty()) return finish_delete_offsets(*pending);
  write_offsets(*entry, std::move(changes), pending, std::move(items), now);
}

void GroupCoordinator::finish_delete_offsets(Pending& pending) {
  using Response = kafka::OffsetDeleteResponse;
  answer_offsets<kafka::OffsetDeleteRequest, Response>(pending, [](const auto& from) {
    return Response::OffsetDeleteResponseTopic{.name = from.name};
  });
}

}  // namespace tailrace::control
