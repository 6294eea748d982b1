// GroupCoordinator: groups of the consumer protocol (KIP-848): ConsumerGroupHeartbeat,
// ConsumerGroupDescribe, and the moves between the two kinds of group.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "control/config_rules.h"
#include "control/group_coordinator.h"
#include "control/optional_text.h"
#include "control/topic_pattern.h"
#include "kafka/apis.h"
#include "kafka/gen/consumer_group_describe.h"
#include "kafka/gen/consumer_group_heartbeat.h"
#include "kafka/gen/heartbeat.h"
#include "kafka/gen/leave_group.h"
#include "kafka/topic_name.h"

namespace tailrace::control {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;
using Beat = kafka::ConsumerGroupHeartbeatRequest;

constexpr std::int16_t first_with_own_id = 1;    // the client makes the member id
constexpr std::size_t name_bytes_max = 8192;     // keys have 15-bit lengths
constexpr std::int32_t group_operations = (1 << 3) | (1 << 6) | (1 << 8);

// Why the request makes no sense; empty when it does.
std::string_view fault_of(const Beat& body, std::int16_t version) {
  const bool has_id = !body.member_id.empty();
  if (body.group_id.empty()) return "GroupId can't be empty.";
  if (body.member_epoch < epoch_leave_static) return "MemberEpoch is invalid.";
  if (!has_id && (version >= first_with_own_id || body.member_epoch != epoch_join)) {
    return "MemberId can't be empty.";
  }
  const auto is_bad = [](const kafka::NullableString& name) {
    return !name.is_null() && (name.value.empty() || name.value.size() > name_bytes_max);
  };
  if (is_bad(body.instance_id)) return "InstanceId is empty or too long.";
  if (is_bad(body.rack_id)) return "RackId is empty or too long.";
  if (body.member_id.size() > name_bytes_max) return "MemberId is too long.";
  const auto& topics = body.subscribed_topic_names.items;
  const bool is_long = std::any_of(topics.begin(), topics.end(), [](std::string_view name) {
    return name.size() > kafka::topic_name_bytes_max;
  });
  if (is_long) return "A topic's name is too long.";
  if (body.member_epoch == epoch_leave_static && body.instance_id.is_null()) {
    return "InstanceId can't be null.";
  }
  if (body.member_epoch != epoch_join) return {};
  if (body.rebalance_timeout_ms < 0) return "RebalanceTimeoutMs must be provided in first request.";
  if (body.topic_partitions.is_null() || !body.topic_partitions.items.empty()) {
    return "TopicPartitions must be empty when (re-)joining.";
  }
  if (body.subscribed_topic_names.is_null() && body.subscribed_topic_regex.is_null()) {
    return "SubscribedTopicNames or SubscribedTopicRegex must be set when (re-)joining.";
  }
  return {};
}

ConsumerAsk ask_of(const Beat& body, const bus::ControlRequest& request) {
  ConsumerAsk ask;
  ask.member_id = body.member_id;
  ask.epoch = body.member_epoch;
  ask.instance_id = optional_of(body.instance_id);
  ask.rack_id = optional_of(body.rack_id);
  ask.rebalance_timeout_ms = body.rebalance_timeout_ms;
  if (!body.subscribed_topic_names.is_null()) {
    const auto& names = body.subscribed_topic_names.items;
    ask.topics.emplace(names.begin(), names.end());
  }
  ask.regex = optional_of(body.subscribed_topic_regex);
  ask.assignor = optional_of(body.server_assignor);
  ask.client_id = request.client_id.substr(0, name_bytes_max);
  ask.client_host = client_host_of(request);
  if (body.topic_partitions.is_null()) return ask;
  Assignment& owned = ask.owned.emplace();
  for (const auto& topic : body.topic_partitions.items) {
    for (const std::int32_t partition : topic.partitions) {
      owned.push_back({topic.topic_id, partition});
    }
  }
  std::sort(owned.begin(), owned.end());
  owned.erase(std::unique(owned.begin(), owned.end()), owned.end());
  return ask;
}

// Partitions by topic, in memory that lives as long as this.
template <class Topic>
struct TopicRooms {
  std::deque<std::vector<std::int32_t>> partitions;
  std::deque<std::vector<Topic>> topics;

  std::span<Topic> fill(const Assignment& assignment) {
    std::vector<Topic>& made = topics.emplace_back();
    for (const TopicPartition& at : assignment) {
      if (made.empty() || made.back().topic_id != at.topic) {
        made.push_back({.topic_id = at.topic});
        partitions.emplace_back();
      }
      partitions.back().push_back(at.partition);
      made.back().partitions = partitions.back();
    }
    return made;
  }
};

}  // namespace

// ---------------------------------------------------------------- ConsumerGroupHeartbeat

void GroupCoordinator::consumer_heartbeat(bus::ControlRequest* request, Now now) {
  const Result<Beat> body = decode<Beat>(*request);
  if (!body) return close(request);
  const auto refuse = [&](ErrorCode error, std::string_view message = {}) {
    answers_.push_back(
        consumer_answer(request, body->group_id, {.error = error, .message = message}));
  };
  const std::string_view fault = fault_of(*body, request->api_version);
  if (!fault.empty()) return refuse(ErrorCode::invalid_request, fault);
  const bool knows_assignor = body->server_assignor.is_null() ||
                              find_assignor(body->server_assignor.value) != nullptr;
  if (!knows_assignor) {
    return refuse(ErrorCode::unsupported_assignor, "Supported assignors: uniform, range.");
  }
  const kafka::NullableString& regex = body->subscribed_topic_regex;
  const bool is_pattern = regex.is_null() || regex.value.empty() || is_topic_pattern(regex.value);
  if (!is_pattern) {
    return refuse(ErrorCode::invalid_regular_expression, "It is not understood by RE2.");
  }
  Partition* partition = nullptr;
  ErrorCode error = find_partition(body->group_id, partition);
  if (error != ErrorCode::none) return refuse(error);
  Entry* entry = find_entry(body->group_id);
  const bool is_join = body->member_epoch == epoch_join;
  if (entry == nullptr && !is_join) return refuse(ErrorCode::unknown_member_id);
  const bool is_leave = body->member_epoch < epoch_join;
  if (!is_leave && !has_memory_for(*request, !is_join)) {
    return refuse(ErrorCode::group_max_size_reached);
  }
  if (entry == nullptr) entry = make_entry(body->group_id, partition->index);
  if (entry == nullptr) return refuse(ErrorCode::group_max_size_reached);
  ConsumerGroup::Records records;
  error = become_consumer(*entry, is_join, records, now);
  if (error != ErrorCode::none) {
    refuse(error);
    return settle(*entry, now);
  }
  ConsumerAsk ask = ask_of(*body, *request);
  if (ask.member_id.empty()) ask.member_id = to_string(random_uuid(prng_));
  const ConsumerAnswer made = entry->consumer->heartbeat(ask, state_, now);
  settle_consumer(*entry, std::move(records), consumer_answer(request, entry->name, made),
                  now);
}

ControlAnswer GroupCoordinator::consumer_answer(bus::ControlRequest* request,
                                                std::string_view group,
                                                const ConsumerAnswer& from) {
  using Response = kafka::ConsumerGroupHeartbeatResponse;
  Response response;
  response.error_code = to_wire(from.error);
  if (!from.message.empty()) response.error_message = from.message;
  if (from.error == ErrorCode::none) response.member_id = std::string_view(from.member_id);
  response.member_epoch = from.epoch;
  const Duration interval = group_times(limits_, state_.group_configs(group)).heartbeat_interval;
  response.heartbeat_interval_ms = static_cast<std::int32_t>(interval.ns / 1'000'000);
  TopicRooms<Response::Assignment::TopicPartitions> rooms;
  if (from.assigned) response.assignment.emplace().topic_partitions = rooms.fill(*from.assigned);
  return answer_to(request, response);
}

ConsumerGroupRules GroupCoordinator::consumer_rules(std::string_view group) const {
  return {limits_.group_members_max,
          group_times(limits_, state_.group_configs(group)).session_timeout};
}

// A group that is of the other kind is turned when nobody is in it, or when a member joins whose
// fellows can be carried over.
ErrorCode GroupCoordinator::become_consumer(Entry& entry, bool is_join,
                                            ConsumerGroup::Records& records, Now now) {
  const Group& group = entry.group;
  if (group.state() == Group::State::dead) return ErrorCode::coordinator_not_available;
  if (entry.consumer != nullptr) return ErrorCode::none;
  if (!is_join) return ErrorCode::group_id_not_found;
  // What it is writing would come back to another group.
  if (group.is_storing()) return ErrorCode::coordinator_load_in_progress;
  const ConsumerGroupRules rules = consumer_rules(entry.name);
  std::optional<ConsumerGroup> made(std::in_place, entry.name, rules);
  if (!group.members().empty()) made = ConsumerGroup::from_classic(group, rules, state_, now);
  if (!made) return ErrorCode::group_id_not_found;
  if (group.generation() > 0) records.push_back({encode_group_key(entry.name), {}, true});
  entry.group.answer_all(ErrorCode::rebalance_in_progress);
  const GroupEffects effects = entry.group.take_effects();
  for (const JoinAnswer& join : effects.joins) answer_join(join);
  for (const SyncAnswer& sync : effects.syncs) answer_sync(sync);
  entry.group = Group(entry.name, group_rules());
  entry.consumer = std::make_unique<ConsumerGroup>(std::move(*made));
  return ErrorCode::none;
}

// Gives back what the group is when all its members speak the classic protocol, or none is left
// and `request` is of that protocol.
void GroupCoordinator::become_classic(Entry& entry, ConsumerGroup::Records& records, Now now) {
  const bool is_empty = entry.consumer->members().empty();
  const GroupRecord kept = entry.consumer->to_classic(state_);
  entry.consumer->erase_records();
  for (auto& record : entry.consumer->take_records()) records.push_back(std::move(record));
  entry.consumer.reset();
  entry.group = Group(entry.name, group_rules());
  if (is_empty) return;
  records.push_back({encode_group_key(entry.name), encode_group_value(kept), false});
  entry.group = Group(entry.name, group_rules(), kept, now);
  entry.group.ask_rebalance(now);
}

// After something was done with a group of the consumer protocol. The answer waits for all that
// the group has on its way to the log, because it may tell of that.
void GroupCoordinator::settle_consumer(Entry& entry, ConsumerGroup::Records records,
                                       std::optional<ControlAnswer> answer, Now now) {
  if (entry.consumer != nullptr) {
    for (auto& record : entry.consumer->take_records()) records.push_back(std::move(record));
    if (entry.consumer->wants_classic()) become_classic(entry, records, now);
  }
  if (records.empty()) {
    if (answer) {
      auto& to = entry.consumer_write == nullptr ? answers_ : entry.consumer_write->answers;
      to.push_back(std::move(*answer));
    }
    return settle(entry, now);
  }
  const auto write = new_write(entry, Write::Kind::consumer);
  write->counts_out = true;
  ++entry.writes_out;
  if (answer) write->answers.push_back(std::move(*answer));
  entry.consumer_write = write;
  settle(entry, now);
  send_write(write, records, now);
}

// What memory says is not in the log: it is read anew, and whoever heard of it hears an error.
void GroupCoordinator::fail_consumer_write(Write& write, bool is_lost, Now now) {
  for (const ControlAnswer& held : write.answers) {
    fail_request(held.request, write.group, store_error(write.error));
  }
  write.answers.clear();
  if (!is_lost) log_.read_again(write.partition, now);
}

void GroupCoordinator::fail_request(bus::ControlRequest* request, std::string_view group,
                                    ErrorCode error) {
  switch (static_cast<ApiKey>(request->api_key)) {
    case ApiKey::consumer_group_heartbeat:
      answers_.push_back(consumer_answer(request, group, {.error = error}));
      return;
    case ApiKey::join_group: return answer_join({.ticket = request, .error = error});
    case ApiKey::sync_group: return answer_sync({.ticket = request, .error = error});
    case ApiKey::heartbeat: {
      kafka::HeartbeatResponse response;
      response.error_code = to_wire(error);
      return answer(request, response);
    }
    case ApiKey::leave_group: {
      kafka::LeaveGroupResponse response;
      response.error_code = to_wire(error);
      return answer(request, response);
    }
    default: TR_ASSERT(false);
  }
}

// ---------------------------------------------------------------- ConsumerGroupDescribe

namespace {

using Described = kafka::ConsumerGroupDescribeResponse::DescribedGroup;
using DescribedMember = Described::Member;

struct DescribeRooms {
  TopicRooms<DescribedMember::Assignment::TopicPartitions> assigned;
  TopicRooms<DescribedMember::TargetAssignment::TopicPartitions> targets;
  std::deque<std::vector<DescribedMember>> members;
  std::deque<std::vector<std::string_view>> names;
  std::deque<std::string> texts;
};

template <class TopicPartitions>
void name_topics(std::span<TopicPartitions> topics, const ClusterState& state) {
  for (auto& topic : topics) {
    if (const Topic* known = state.find_topic(topic.topic_id)) topic.topic_name = known->name;
  }
}

void describe(const ConsumerGroup& group, const ClusterState& state, Described& out,
              DescribeRooms& rooms) {
  out.group_state = group.state_name();
  out.group_epoch = group.epoch();
  out.assignment_epoch = group.assignment_epoch();
  out.assignor_name = group.assignor();
  auto& members = rooms.members.emplace_back();
  for (const auto& [id, from] : group.members()) {
    DescribedMember& to = members.emplace_back();
    to.member_id = id;
    to.instance_id = nullable(from.about.instance_id);
    to.rack_id = nullable(from.about.rack_id);
    to.member_epoch = from.current.epoch;
    to.client_id = from.about.client_id;
    to.client_host = from.about.client_host;
    auto& names = rooms.names.emplace_back(from.about.topics.begin(), from.about.topics.end());
    to.subscribed_topic_names = names;
    to.subscribed_topic_regex = nullable(from.about.regex);
    to.assignment.topic_partitions = rooms.assigned.fill(from.current.assigned);
    to.target_assignment.topic_partitions = rooms.targets.fill(from.target);
    name_topics(to.assignment.topic_partitions, state);
    name_topics(to.target_assignment.topic_partitions, state);
    to.member_type = from.about.classic ? 0 : 1;
  }
  out.members = members;
}

}  // namespace

void GroupCoordinator::describe_consumer_groups(bus::ControlRequest* request) {
  const auto body = decode<kafka::ConsumerGroupDescribeRequest>(*request);
  if (!body) return close(request);
  DescribeRooms rooms;
  std::vector<Described> groups;
  ReplyRoom room = reply_room();
  for (const std::string_view name : body->group_ids) {
    Described& out = groups.emplace_back();
    out.group_id = name;
    if (body->include_authorized_operations) out.authorized_operations = group_operations;
    Partition* partition = nullptr;
    ErrorCode error = find_partition(name, partition);
    const Entry* entry = error == ErrorCode::none ? find_entry(name) : nullptr;
    const bool is_ours = entry != nullptr && entry->consumer != nullptr;
    if (is_ours && !room.take(entry->consumer->memory_bytes())) {
      error = ErrorCode::invalid_request;
    } else if (is_ours) {
      describe(*entry->consumer, state_, out, rooms);
    } else if (error == ErrorCode::none) {
      error = ErrorCode::group_id_not_found;
      out.error_message = std::string_view(rooms.texts.emplace_back(fmt::format(
          "Group {} {}", name, entry == nullptr ? "not found." : "is not a consumer group.")));
    }
    out.error_code = to_wire(error);
  }
  kafka::ConsumerGroupDescribeResponse response;
  response.groups = groups;
  answer(request, response);
}

}  // namespace tailrace::control
