// GroupCoordinator: what members ask: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
#include <fmt/format.h>

#include <algorithm>

#include "control/group_coordinator.h"
#include "control/optional_text.h"
#include "kafka/gen/heartbeat.h"
#include "kafka/gen/join_group.h"
#include "kafka/gen/leave_group.h"
#include "kafka/gen/sync_group.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// Of every name in a member's record, whose lengths have 15 bits.
constexpr std::size_t name_bytes_max = 8192;
constexpr std::int16_t first_with_known_id = 4;        // KIP-394
constexpr std::int16_t first_with_skipped_plan = 9;    // KIP-814
constexpr std::int16_t first_with_many_leaving = 3;    // KIP-345

// Two protocols of one name count as the first.
std::vector<GroupProtocol> protocols_of(const kafka::JoinGroupRequest& body) {
  std::vector<GroupProtocol> protocols;
  for (const auto& from : body.protocols) {
    const bool is_known =
        std::any_of(protocols.begin(), protocols.end(),
                    [&from](const GroupProtocol& p) { return p.name == from.name; });
    if (is_known) continue;
    protocols.push_back(
        {std::string(from.name), {from.metadata.begin(), from.metadata.end()}});
  }
  return protocols;
}

JoinAsk ask_of(const kafka::JoinGroupRequest& body, bus::ControlRequest* request) {
  JoinAsk ask;
  ask.ticket = request;
  ask.member_id = body.member_id;
  ask.instance_id = optional_of(body.group_instance_id);
  ask.client_id = request->client_id;
  ask.client_host = client_host_of(*request);
  ask.session_timeout = milliseconds(body.session_timeout_ms);
  // Version 0 knows only one.
  const bool has_own = request->api_version >= 1 && body.rebalance_timeout_ms >= 0;
  ask.rebalance_timeout =
      milliseconds(has_own ? body.rebalance_timeout_ms : body.session_timeout_ms);
  ask.protocol_type = body.protocol_type;
  ask.protocols = protocols_of(body);
  ask.needs_known_id = request->api_version >= first_with_known_id;
  ask.can_skip_assignment = request->api_version >= first_with_skipped_plan;
  return ask;
}

bool has_long_name(const JoinAsk& ask) {
  const auto is_long = [](std::string_view name) { return name.size() > name_bytes_max; };
  return is_long(ask.member_id) || is_long(ask.client_id) || is_long(ask.protocol_type) ||
         (ask.instance_id && is_long(*ask.instance_id)) ||
         std::any_of(ask.protocols.begin(), ask.protocols.end(),
                     [&](const GroupProtocol& p) { return is_long(p.name); });
}

}  // namespace

std::string client_host_of(const bus::ControlRequest& request) {
  return "/" + std::string(request.client_host.text());
}

void GroupCoordinator::join_group(bus::ControlRequest* request, Now now) {
  const Result<kafka::JoinGroupRequest> body = decode<kafka::JoinGroupRequest>(*request);
  if (!body) return close(request);
  JoinAsk ask = ask_of(*body, request);
  const auto refuse = [&](ErrorCode error) {
    answer_join({.ticket = request, .error = error, .member_id = ask.member_id});
  };
  if (body->group_id.empty()) return refuse(ErrorCode::invalid_group_id);
  const bool fits = ask.session_timeout >= limits_.session_timeout_min &&
                    ask.session_timeout <= limits_.session_timeout_max;
  Partition* partition = nullptr;
  const ErrorCode error = find_partition(body->group_id, partition);
  if (error != ErrorCode::none) return refuse(error);
  if (has_long_name(ask)) return refuse(ErrorCode::invalid_request);
  if (!fits) return refuse(ErrorCode::invalid_session_timeout);
  Entry* entry = find_entry(body->group_id);
  if (entry == nullptr && !ask.member_id.empty()) return refuse(ErrorCode::unknown_member_id);
  const bool is_member = entry != nullptr && (entry->group.members().contains(ask.member_id) ||
                                              (entry->consumer != nullptr &&
                                               entry->consumer->members().contains(ask.member_id)));
  if (!has_memory_for(*request, is_member)) return refuse(ErrorCode::group_max_size_reached);
  if (entry == nullptr) entry = make_entry(body->group_id, partition->index);
  if (entry == nullptr) return refuse(ErrorCode::group_max_size_reached);
  const std::string member_id =
      ask.member_id.empty() ? new_member_id(ask.instance_id ? *ask.instance_id : ask.client_id)
                            : ask.member_id;
  ConsumerGroup::Records records;
  if (entry->consumer != nullptr && entry->consumer->members().empty()) {
    become_classic(*entry, records, now);
  } else if (entry->consumer != nullptr) {
    const JoinAnswer made = entry->consumer->join_classic(ask, member_id, state_, now);
    return settle_consumer(*entry, {}, join_answer(made), now);
  }
  entry->group.join(std::move(ask), member_id, now);
  settle_consumer(*entry, std::move(records), std::nullopt, now);
}

// As Kafka forms it: who it is, and a UUID in its usual text form.
std::string GroupCoordinator::new_member_id(std::string_view front) {
  const Uuid id = random_uuid(prng_);
  std::string text = std::string(front) + "-";
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", id.bytes[i]);
  }
  return text;
}

void GroupCoordinator::sync_group(bus::ControlRequest* request, Now now) {
  const Result<kafka::SyncGroupRequest> body = decode<kafka::SyncGroupRequest>(*request);
  if (!body) return close(request);
  Partition* partition = nullptr;
  ErrorCode error = find_partition(body->group_id, partition);
  Entry* entry = find_entry(body->group_id);
  if (body->group_id.empty()) error = ErrorCode::invalid_group_id;
  // What was asked under an earlier coordinator is asked again from the start.
  if (error == ErrorCode::coordinator_load_in_progress) error = ErrorCode::rebalance_in_progress;
  if (error == ErrorCode::none && entry == nullptr) error = ErrorCode::unknown_member_id;
  if (error == ErrorCode::none && !has_memory_for(*request, true)) {
    error = ErrorCode::coordinator_not_available;
  }
  if (error != ErrorCode::none) return answer_sync({.ticket = request, .error = error});
  SyncAsk ask;
  ask.ticket = request;
  ask.member_id = body->member_id;
  ask.instance_id = optional_of(body->group_instance_id);
  ask.generation = body->generation_id;
  ask.protocol_type = optional_of(body->protocol_type);
  ask.protocol = optional_of(body->protocol_name);
  for (const auto& assigned : body->assignments) {
    ask.assignments[std::string(assigned.member_id)] = {assigned.assignment.begin(),
                                                        assigned.assignment.end()};
  }
  if (entry->consumer != nullptr) {
    const SyncAnswer made = entry->consumer->sync_classic(ask, state_, now);
    return settle_consumer(*entry, {}, sync_answer(made), now);
  }
  entry->group.sync(std::move(ask), now);
  settle(*entry, now);
}

// The group's timer is left where it is: a heartbeat only moves deadlines further away, and a
// timer that comes too early finds nothing to do.
void GroupCoordinator::heartbeat(bus::ControlRequest* request, Now now) {
  const Result<kafka::HeartbeatRequest> body = decode<kafka::HeartbeatRequest>(*request);
  if (!body) return close(request);
  Partition* partition = nullptr;
  ErrorCode error = find_partition(body->group_id, partition);
  Entry* entry = find_entry(body->group_id);
  if (body->group_id.empty()) error = ErrorCode::invalid_group_id;
  if (error == ErrorCode::coordinator_load_in_progress) {
    error = ErrorCode::none;  // Nobody is put out while the group is being read.
  } else if (error == ErrorCode::none && entry == nullptr) {
    error = ErrorCode::unknown_member_id;
  } else if (error == ErrorCode::none && entry->consumer != nullptr) {
    error = entry->consumer->heartbeat_classic(body->member_id,
                                               optional_of(body->group_instance_id),
                                               body->generation_id, now);
  } else if (error == ErrorCode::none) {
    error = entry->group.heartbeat(body->member_id, optional_of(body->group_instance_id),
                                   body->generation_id, now);
  }
  kafka::HeartbeatResponse response;
  response.error_code = to_wire(error);
  // Told to join again it gets a deadline.
  if (entry != nullptr && entry->consumer != nullptr) {
    return settle_consumer(*entry, {}, answer_to(request, response), now);
  }
  answer(request, response);
}

void GroupCoordinator::leave_group(bus::ControlRequest* request, Now now) {
  using Response = kafka::LeaveGroupResponse;
  using Identity = kafka::LeaveGroupRequest::MemberIdentity;
  const Result<kafka::LeaveGroupRequest> body = decode<kafka::LeaveGroupRequest>(*request);
  if (!body) return close(request);
  Partition* partition = nullptr;
  Response response;
  ErrorCode error = find_partition(body->group_id, partition);
  if (body->group_id.empty()) error = ErrorCode::invalid_group_id;
  response.error_code = to_wire(error);
  if (error != ErrorCode::none) return answer(request, response);
  Entry* entry = find_entry(body->group_id);
  const auto leave = [&](const Identity& member) {
    if (entry == nullptr) return ErrorCode::unknown_member_id;
    if (entry->consumer != nullptr) {
      return entry->consumer->remove(member.member_id, optional_of(member.group_instance_id),
                                     state_);
    }
    return entry->group.leave(member.member_id, optional_of(member.group_instance_id), now);
  };
  const bool has_many = request->api_version >= first_with_many_leaving;
  if (!has_many) response.error_code = to_wire(leave({.member_id = body->member_id}));
  std::vector<Response::MemberResponse> members;
  for (const Identity& member : body->members) {
    members.push_back({.member_id = member.member_id,
                       .group_instance_id = member.group_instance_id,
                       .error_code = to_wire(leave(member))});
  }
  response.members = members;
  if (entry == nullptr) return answer(request, response);
  settle_consumer(*entry, {}, answer_to(request, response), now);
}

}  // namespace tailrace::control
