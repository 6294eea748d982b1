// A group coordinator with partitions that the test plays: request in, answer out; what it writes
// lies in batches that a later coordinator reads.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/group_coordinator.h"
#include "control/internal_topics.h"
#include "kafka/gen/delete_groups.h"
#include "kafka/gen/describe_groups.h"
#include "kafka/gen/heartbeat.h"
#include "kafka/gen/join_group.h"
#include "kafka/gen/leave_group.h"
#include "kafka/gen/list_groups.h"
#include "kafka/gen/offset_commit.h"
#include "kafka/gen/offset_delete.h"
#include "kafka/gen/offset_fetch.h"
#include "kafka/gen/sync_group.h"

namespace tailrace::control {

inline Limits small_group_limits() {
  Limits limits;
  limits.batch_bytes_max = 64U << 10;
  limits.offsets_partitions = 3;
  limits.groups_max = 5;
  limits.group_members_max = 3;
  limits.offsets_max = 50;
  limits.group_initial_delay = {};
  limits.group_loads_max = 2;
  return limits;
}

// The partitions' logs: they outlive coordinators.
struct Logs {
  std::map<std::int32_t, std::vector<ByteString>> batches;  // one offset per record
  std::map<std::int32_t, std::int64_t> ends;

  void append(std::int32_t partition, Bytes batch) {
    ByteString& kept = batches[partition].emplace_back(batch.begin(), batch.end());
    record::set_base_offset(kept, ends[partition]);
    ends[partition] += record::parse_header(kept)->record_count;
  }
  std::int64_t record_count() const {
    std::int64_t count = 0;
    for (const auto& [partition, end] : ends) count += end;
    return count;
  }
};

class Rig {
 public:
  explicit Rig(Logs& logs, ClusterState& state, const Limits& limits = small_group_limits())
      : logs_(logs), state_(state), limits_(limits),
        coordinator(limits, 1, 2, state, Prng(1, "groups")) {}

  // What the controller does at the first FindCoordinator, and topics for offsets.
  static void make_topics(ClusterState& state, const Limits& limits = small_group_limits()) {
    Prng prng(3, "topics");
    ASSERT_TRUE(state.apply(NodeRecord{.id = 1}).has_value());
    ASSERT_TRUE(state.apply(new_offsets_topic(limits, state, prng)).has_value());
    for (const char* name : {"orders", "other"}) {
      TopicRecord topic{.id = random_uuid(prng), .name = name};
      topic.partitions.resize(10, {.leader = 1, .replicas = {1}, .isr = {1}});
      ASSERT_TRUE(state.apply(topic).has_value());
    }
  }

  // Log tasks are carried out, until nothing is under way; requests that can be are answered.
  void run() {
    do {
      take();
      while (!held && !tasks.empty()) {
        bus::LogTask* task = tasks.front();
        tasks.pop_front();
        perform(*task);
        coordinator.on_log_done(task, now);
        take();
      }
      coordinator.step(now);
      take();
    } while (!held && !tasks.empty());
  }
  void start() {
    coordinator.adopt(now);
    run();
  }
  void pass(Duration duration) {
    const Instant end = now.instant + duration;
    while (coordinator.next_deadline() <= end) {
      const Instant next = std::max(coordinator.next_deadline(), now.instant);
      now.wall_ms += (next - now.instant).ns / 1'000'000;
      now.instant = next;
      run();
    }
    now.wall_ms += (end - now.instant).ns / 1'000'000;
    now.instant = end;
  }

  struct Sent {
    bus::ControlRequest request;
    ByteString body;
    ByteString reply;
    bool answered = false;
  };
  template <class Request>
  Sent& send(const Request& request, std::int16_t version) {
    Sent& sent = sent_.emplace_back();
    kafka::Writer size = kafka::Writer::counter();
    request.encode(size, version);
    sent.body.resize(size.size());
    kafka::Writer out(sent.body);
    request.encode(out, version);
    sent.request = {.api_key = Request::api_key, .api_version = version, .client_id = "client",
                    .client_host = std::string_view("10.0.0.7"),
                    .body = sent.body};
    coordinator.on_request(&sent.request, now);
    take();
    return sent;
  }
  template <class Response>
  Response read(const Sent& sent) {
    EXPECT_TRUE(sent.answered);
    kafka::Reader in(sent.reply);
    const Result<Response> decoded = Response::decode(in, sent.request.api_version, arena_);
    EXPECT_TRUE(decoded.has_value());
    EXPECT_TRUE(in.rest().empty());
    return decoded ? *decoded : Response{};
  }
  template <class Response, class Request>
  Response ask(const Request& request, std::int16_t version) {
    Sent& sent = send(request, version);
    run();
    return read<Response>(sent);
  }

  // --- short forms
  kafka::JoinGroupResponse join(std::string_view group, std::string_view id = {},
                                std::int16_t version = 3) {
    return read<kafka::JoinGroupResponse>(send_join(group, id, version));
  }
  Sent& send_join(std::string_view group, std::string_view id = {}, std::int16_t version = 3) {
    Sent& sent = start_join(group, id, version);
    pass({});
    return sent;
  }
  Sent& start_join(std::string_view group, std::string_view id, std::int16_t version) {
    kafka::JoinGroupRequest request;
    request.group_id = group;
    request.member_id = id;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 60'000;
    request.protocol_type = "consumer";
    const std::string_view reads("\0\1\0\0\0\1\0\6orders\0\0\0\0\0\0\0\0", 22);
    kafka::JoinGroupRequest::JoinGroupRequestProtocol protocol{"range", as_bytes(reads)};
    request.protocols = {&protocol, 1};
    return send(request, version);
  }
  // The member leads and gives itself `plan`.
  kafka::SyncGroupResponse sync(std::string_view group, std::string_view id,
                                std::int32_t generation, std::string_view plan = "plan") {
    kafka::SyncGroupRequest request;
    request.group_id = group;
    request.member_id = id;
    request.generation_id = generation;
    kafka::SyncGroupRequest::SyncGroupRequestAssignment assigned{id, as_bytes(plan)};
    request.assignments = {&assigned, 1};
    return ask<kafka::SyncGroupResponse>(request, 3);
  }
  std::int16_t beat(std::string_view group, std::string_view id, std::int32_t generation) {
    kafka::HeartbeatRequest request;
    request.group_id = group;
    request.member_id = id;
    request.generation_id = generation;
    return ask<kafka::HeartbeatResponse>(request, 4).error_code;
  }
  std::int16_t leave(std::string_view group, std::string_view id) {
    kafka::LeaveGroupRequest request;
    request.group_id = group;
    kafka::LeaveGroupRequest::MemberIdentity member{.member_id = id};
    request.members = {&member, 1};
    const auto response = ask<kafka::LeaveGroupResponse>(request, 4);
    return response.error_code != 0 ? response.error_code : response.members[0].error_code;
  }
  Sent& send_commit(std::string_view group, std::string_view topic, std::int32_t partition,
                    std::int64_t offset, std::int32_t generation = -1, std::string_view id = {},
                    std::string_view metadata = {}) {
    using Asked = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
    kafka::OffsetCommitRequest request;
    request.group_id = group;
    request.member_id = id;
    request.generation_id_or_member_epoch = generation;
    Asked::OffsetCommitRequestPartition at{.partition_index = partition,
                                           .committed_offset = offset,
                                           .committed_leader_epoch = 4,
                                           .committed_metadata = metadata};
    Asked of{.name = topic, .partitions = {&at, 1}};
    request.topics = {&of, 1};
    return send(request, 9);
  }
  std::int16_t commit_code(const Sent& sent) {
    return read<kafka::OffsetCommitResponse>(sent).topics[0].partitions[0].error_code;
  }
  std::int16_t commit(std::string_view group, std::string_view topic, std::int32_t partition,
                      std::int64_t offset, std::int32_t generation = -1, std::string_view id = {},
                      std::string_view metadata = {}) {
    Sent& sent = send_commit(group, topic, partition, offset, generation, id, metadata);
    run();
    return commit_code(sent);
  }
  // "5", "-1" when there is none, "error N".
  std::string committed(std::string_view group, std::string_view topic, std::int32_t partition) {
    kafka::OffsetFetchRequest request;
    kafka::OffsetFetchRequest::OffsetFetchRequestGroup::OffsetFetchRequestTopics of{
        .name = topic, .partition_indexes = {&partition, 1}};
    kafka::OffsetFetchRequest::OffsetFetchRequestGroup one;
    one.group_id = group;
    one.topics = std::span(&of, 1);
    request.groups = {&one, 1};
    const auto response = ask<kafka::OffsetFetchResponse>(request, 9);
    const auto& told = response.groups[0];
    if (told.error_code != 0) return "error " + std::to_string(told.error_code);
    return std::to_string(told.topics[0].partitions[0].committed_offset);
  }
  // "name/State" of all, in a line.
  std::string groups() {
    const auto response = ask<kafka::ListGroupsResponse>(kafka::ListGroupsRequest{}, 5);
    std::string line;
    if (response.error_code != 0) line = "error " + std::to_string(response.error_code);
    for (const auto& group : response.groups) {
      line += (line.empty() ? "" : " ") + std::string(group.group_id) + "/" +
              std::string(group.group_state);
    }
    return line;
  }
  std::int16_t delete_group(std::string_view name) {
    kafka::DeleteGroupsRequest request;
    request.groups_names = {&name, 1};
    return ask<kafka::DeleteGroupsResponse>(request, 2).results[0].error_code;
  }

 private:
  void take() {
    for (ControlAnswer& answer : coordinator.take_answers()) {
      for (Sent& sent : sent_) {
        if (&sent.request != answer.request) continue;
        EXPECT_FALSE(sent.answered) << "answered twice";
        EXPECT_FALSE(answer.close_connection);
        sent.answered = true;
        sent.reply = std::move(answer.reply);
      }
    }
    for (bus::LogTask* task : coordinator.take_log_tasks()) tasks.push_back(task);
  }
  void perform(bus::LogTask& task) {
    task.error = to_wire(log_error);
    if (log_error != kafka::ErrorCode::none) return;
    EXPECT_EQ(task.owner, bus::owner_core(task.topic, task.partition, 2));
    if (task.kind == bus::LogTask::Kind::append) {
      EXPECT_TRUE(record::crc_matches(task.records));
      return logs_.append(task.partition, task.records);
    }
    task.bytes = 0;
    task.end_offset = logs_.ends[task.partition];
    for (const ByteString& batch : logs_.batches[task.partition]) {
      if (record::parse_header(batch)->last_offset() < task.offset) continue;
      if (task.bytes + batch.size() > task.room.size() || task.bytes > read_bytes_max) break;
      std::memcpy(task.room.data() + task.bytes, batch.data(), batch.size());
      task.bytes += batch.size();
    }
  }

  Logs& logs_;
  ClusterState& state_;
  Limits limits_;
  std::deque<Sent> sent_;
  Arena arena_{4U << 20};

 public:
  GroupCoordinator coordinator;
  std::deque<bus::LogTask*> tasks;  // not carried out yet
  bool held = false;                // run() carries out none
  kafka::ErrorCode log_error = kafka::ErrorCode::none;
  std::size_t read_bytes_max = SIZE_MAX;
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
};

// A coordinator that has read its empty partitions.
struct ReadyRig {
  ReadyRig() : rig(logs, (Rig::make_topics(state), state)) { rig.start(); }
  Logs logs;
  ClusterState state;
  Rig rig;
};

}  // namespace tailrace::control
