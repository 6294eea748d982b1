// GroupCoordinator: what operators ask: DescribeGroups, ListGroups, DeleteGroups.
#include <algorithm>
#include <deque>

#include "control/group_coordinator.h"
#include "control/optional_text.h"
#include "kafka/gen/delete_groups.h"
#include "kafka/gen/describe_groups.h"
#include "kafka/gen/list_groups.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Described = kafka::DescribeGroupsResponse::DescribedGroup;

constexpr std::int16_t first_with_not_found = 6;
// DELETE, DESCRIBE and READ as bits of KIP-430; without ACLs everybody may.
constexpr std::int32_t group_operations = (1 << 3) | (1 << 6) | (1 << 8);

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) {
    return lower(x) == lower(y);
  });
}

bool passes(std::span<const std::string_view> filter, std::string_view value) {
  return filter.empty() || std::any_of(filter.begin(), filter.end(), [value](auto wanted) {
    return equal_ignoring_case(wanted, value);
  });
}

using Members = std::vector<Described::DescribedGroupMember>;

void describe(const Group& group, Described& out, Members& members) {
  out.group_state = group.state_name();
  out.protocol_type = group.protocol_type();
  // What they were given is only told while it is in force.
  const bool is_stable = group.state() == Group::State::stable;
  if (is_stable && group.protocol()) out.protocol_data = *group.protocol();
  for (const auto& [id, member] : group.members()) {
    members.push_back({.member_id = id,
                       .group_instance_id = nullable(member.instance_id),
                       .client_id = member.client_id,
                       .client_host = member.client_host});
    if (!is_stable) continue;
    members.back().member_metadata = group.metadata_of(member);
    members.back().member_assignment = member.assignment;
  }
  out.members = members;
}

}  // namespace

void GroupCoordinator::describe_groups(bus::ControlRequest* request) {
  const Result<kafka::DescribeGroupsRequest> body = decode<kafka::DescribeGroupsRequest>(*request);
  if (!body) return close(request);
  std::vector<Described> groups;
  std::deque<Members> rooms;
  std::deque<std::string> texts;
  ReplyRoom room = reply_room();
  for (const std::string_view name : body->groups) {
    Described& out = groups.emplace_back();
    out.group_id = name;
    if (body->include_authorized_operations) out.authorized_operations = group_operations;
    Partition* partition = nullptr;
    ErrorCode error = find_partition(name, partition);
    const Entry* entry = error == ErrorCode::none ? find_entry(name) : nullptr;
    const bool is_ours = entry != nullptr && entry->consumer == nullptr;
    if (is_ours && !room.take(entry->group.memory_bytes())) {
      error = ErrorCode::invalid_request;
    } else if (is_ours) {
      describe(entry->group, out, rooms.emplace_back());
    } else if (error == ErrorCode::none) {
      out.group_state = "Dead";
      if (request->api_version >= first_with_not_found) {
        error = ErrorCode::group_id_not_found;
        out.error_message = std::string_view(texts.emplace_back(
            "Group " + std::string(name) +
            (entry == nullptr ? " not found." : " is not a classic group.")));
      }
    }
    out.error_code = to_wire(error);
  }
  kafka::DescribeGroupsResponse response;
  response.groups = groups;
  answer(request, response);
}

void GroupCoordinator::list_groups(bus::ControlRequest* request) {
  using Response = kafka::ListGroupsResponse;
  const Result<kafka::ListGroupsRequest> body = decode<kafka::ListGroupsRequest>(*request);
  if (!body) return close(request);
  Response response;
  if (is_loading()) {
    response.error_code = to_wire(ErrorCode::coordinator_load_in_progress);
    return answer(request, response);
  }
  std::vector<Response::ListedGroup> groups;
  for (const auto& [name, entry] : groups_) {
    const ConsumerGroup* consumer = entry->consumer.get();
    const std::string_view type = consumer == nullptr ? "classic" : "consumer";
    const bool is_dead = entry->group.state() == Group::State::dead;
    const std::string_view state =
        consumer == nullptr || is_dead ? entry->group.state_name() : consumer->state_name();
    if (!passes(body->states_filter, state) || !passes(body->types_filter, type)) continue;
    groups.push_back({.group_id = name,
                      .protocol_type = consumer == nullptr ? entry->group.protocol_type() : type,
                      .group_state = state,
                      .group_type = type});
  }
  response.groups = groups;
  answer(request, response);
}

void GroupCoordinator::delete_groups(bus::ControlRequest* request, Now now) {
  const Result<kafka::DeleteGroupsRequest> body = decode<kafka::DeleteGroupsRequest>(*request);
  if (!body) return close(request);
  auto pending = std::make_shared<Pending>();
  pending->request = request;
  pending->errors.resize(body->groups_names.size(), ErrorCode::none);
  ++pending->writes_out;  // This function's own, so that none ends it before all have begun.
  for (std::size_t i = 0; i < body->groups_names.size(); ++i) {
    const ErrorCode error = begin_delete(body->groups_names[i], pending, i, now);
    if (error != ErrorCode::none) pending->errors[i] = error;
  }
  if (--pending->writes_out == 0) finish_delete_groups(*pending);
}

// The group is dead while its end is written, so that nobody joins what will be gone.
ErrorCode GroupCoordinator::begin_delete(std::string_view name,
                                         const std::shared_ptr<Pending>& pending, std::size_t item,
                                         Now now) {
  Partition* partition = nullptr;
  const ErrorCode error = find_partition(name, partition);
  if (error != ErrorCode::none) return error;
  Entry* entry = find_entry(name);
  const bool is_gone = entry == nullptr || entry->group.state() == Group::State::dead;
  if (is_gone) return ErrorCode::group_id_not_found;
  if (!is_empty(*entry)) return ErrorCode::non_empty_group;
  // A transaction that has not ended may still commit for it.
  if (!entry->transactional.empty()) return ErrorCode::non_empty_group;
  // An offset on its way to the log would come after the end: asked again, it is there.
  if (entry->writes_out > 0) return ErrorCode::coordinator_load_in_progress;
  std::vector<NewRecord> records;
  for (const OffsetKey& key : entry->offsets.keys()) {
    records.push_back({encode_offset_key(entry->name, key.topic, key.partition), {}, true});
  }
  records.push_back({encode_group_key(entry->name), {}, true});
  if (entry->consumer != nullptr) {
    entry->consumer->erase_records();
    for (NewRecord& record : entry->consumer->take_records()) {
      records.push_back(std::move(record));
    }
  }
  entry->group.begin_delete(now);
  const auto write = new_write(*entry, Write::Kind::delete_group);
  write->pending = pending;
  if (pending != nullptr) {
    ++pending->writes_out;
    write->items.push_back(item);
  }
  send_write(write, records, now);
  return ErrorCode::none;
}

void GroupCoordinator::finish_delete_groups(Pending& pending) {
  using Response = kafka::DeleteGroupsResponse;
  const auto body = decode<kafka::DeleteGroupsRequest>(*pending.request);
  TR_ASSERT(body.has_value());  // It was read once before.
  std::vector<Response::DeletableGroupResult> results;
  for (std::size_t i = 0; i < body->groups_names.size(); ++i) {
    results.push_back({.group_id = body->groups_names[i],
                       .error_code = to_wire(pending.errors[i])});
  }
  Response response;
  response.results = results;
  answer(pending.request, response);
}

}  // namespace tailrace::control
