#include "committer.h"

#include "kafka/errors.h"
#include "kafka/gen/heartbeat.h"
#include "kafka/gen/join_group.h"
#include "kafka/gen/offset_commit.h"
#include "kafka/gen/offset_fetch.h"
#include "kafka/gen/sync_group.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;

// A topic that is always there once groups are used, so offsets of it are as good as any.
constexpr std::string_view topic_name = "__consumer_offsets";
bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

std::string text_of(std::int64_t offset) { return fmt::format("offset {}", offset); }

}  // namespace

Committer::Committer(World& world, std::uint32_t id, Prng prng, Pace pace)
    : Client(world, fmt::format("committer{}", id), prng), group_(name_),
      is_member_(prng_.chance(2, 3)),
      pause_max_(pace == Pace::life ? seconds(static_cast<std::int64_t>(prng_.between(1, 8)))
                                    : milliseconds(5)),
      session_ms_(static_cast<std::int32_t>(pace == Pace::life ? prng_.between(3'000, 10'000)
                                                               : prng_.between(50, 2000))) {}

std::string Committer::waiting_for() const {
  constexpr std::array names = {"the coordinator", "join", "sync", "commit", "look", "heartbeat"};
  return std::string(names[static_cast<std::size_t>(step_)]);
}

void Committer::act() {
  if (asked_count() > 0) return sleep();
  if (done_) return wait(milliseconds(20));
  step_ = choose();
  ask_step(step_);
  if (asked_count() > 0) sleep();
}

Committer::Step Committer::choose() {
  if (!found_) return Step::find;
  if (world_.quiet) return Step::look;  // The last one.
  if (is_member_ && generation_ < 0) return Step::join;
  if (is_member_ && !synced_) return Step::sync;
  const std::uint64_t draw = prng_.below(10);
  if (draw < 6) return Step::commit;
  if (draw < 8 || !is_member_) return Step::look;
  if (draw < 9) return Step::beat;
  return Step::join;  // Once more, as after a change of its own.
}

void Committer::ask_step(Step step) {
  bool sent = false;
  switch (step) {
    case Step::find: sent = ask_coordinator(CoordinatorOf::group, group_); break;
    case Step::join: sent = ask_join(); break;
    case Step::sync: sent = ask_sync(); break;
    case Step::commit: sent = ask_commit(); break;
    case Step::look: sent = ask_look(); break;
    case Step::beat: sent = ask_beat(); break;
  }
  if (!sent) disconnect();
}

bool Committer::ask_join() {
  synced_ = false;
  generation_ = -1;
  kafka::JoinGroupRequest::JoinGroupRequestProtocol protocol{"own", as_bytes("metadata")};
  kafka::JoinGroupRequest request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.session_timeout_ms = session_ms_;
  request.rebalance_timeout_ms = session_ms_;
  request.protocol_type = "sim";
  request.protocols = {&protocol, 1};
  return ask(request, draw_version<kafka::JoinGroupRequest>(), 0);
}

bool Committer::ask_sync() {
  const std::string plan = fmt::format("plan {}", generation_);
  kafka::SyncGroupRequest::SyncGroupRequestAssignment assigned{member_id_, as_bytes(plan)};
  kafka::SyncGroupRequest request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.generation_id = generation_;
  request.assignments = {&assigned, 1};
  return ask(request, draw_version<kafka::SyncGroupRequest>(), 0);
}

bool Committer::ask_commit() {
  using Topic = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
  const std::string text = text_of(++sent_);
  Topic::OffsetCommitRequestPartition at;
  at.committed_offset = sent_;
  at.committed_metadata = std::string_view(text);
  Topic topic;
  topic.name = topic_name;
  topic.partitions = {&at, 1};
  kafka::OffsetCommitRequest request;
  request.group_id = group_;
  request.member_id = is_member_ ? std::string_view(member_id_) : std::string_view();
  request.generation_id_or_member_epoch = is_member_ ? generation_ : -1;
  request.topics = {&topic, 1};
  return ask(request, draw_version<kafka::OffsetCommitRequest>(2, 9),
             static_cast<std::uint64_t>(sent_));
}

bool Committer::ask_look() {
  std::int32_t index = 0;
  kafka::OffsetFetchRequest::OffsetFetchRequestTopic flat;
  flat.name = topic_name;
  flat.partition_indexes = {&index, 1};
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup::OffsetFetchRequestTopics topic;
  topic.name = topic_name;
  topic.partition_indexes = {&index, 1};
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = group_;
  group.topics = std::span(&topic, 1);
  kafka::OffsetFetchRequest request;
  request.group_id = group_;
  request.topics = std::span(&flat, 1);
  request.groups = {&group, 1};
  return ask(request, draw_version<kafka::OffsetFetchRequest>(2, 9), 0);
}

bool Committer::ask_beat() {
  kafka::HeartbeatRequest request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.generation_id = generation_;
  return ask(request, draw_version<kafka::HeartbeatRequest>(), 0);
}

void Committer::on_response(const Asked& asked, Bytes frame) {
  std::int16_t error = malformed;
  switch (step_) {
    case Step::find: error = on_found(asked, frame); break;
    case Step::join: error = on_joined(asked, frame); break;
    case Step::sync: error = on_synced(asked, frame); break;
    case Step::commit: error = on_committed(asked, frame); break;
    case Step::look: error = on_looked(asked, frame); break;
    case Step::beat: error = on_beat(asked, frame); break;
  }
  world_.trace.say(world_.clock.instant(), "{}: {}: error {}", name_, waiting_for(), error);
  if (error == malformed) return;
  if (error != 0) on_error(error);
  if (error == 0 && step_ == Step::look && world_.quiet) done_ = true;
  wait(nanoseconds(static_cast<std::int64_t>(
      prng_.between(10'000, static_cast<std::uint64_t>(pause_max_.ns)))));
}

void Committer::on_error(std::int16_t error) {
  if (is(error, ErrorCode::member_id_required)) return;
  const bool is_out = is(error, ErrorCode::unknown_member_id) ||
                      is(error, ErrorCode::fenced_instance_id);
  const bool is_old = is(error, ErrorCode::illegal_generation) ||
                      is(error, ErrorCode::rebalance_in_progress);
  const bool passes = is(error, ErrorCode::not_coordinator) ||
                      is(error, ErrorCode::coordinator_not_available) ||
                      is(error, ErrorCode::coordinator_load_in_progress) ||
                      is(error, ErrorCode::request_timed_out);
  if (is_out) member_id_.clear();
  if (is_out || is_old) generation_ = -1;
  if (is(error, ErrorCode::not_coordinator)) found_ = false;
  if (!is_out && !is_old && !passes) {
    world_.verdicts.broken("group_answers", "{}: {}: error {}", name_, waiting_for(), error);
  }
}

std::int16_t Committer::on_found(const Asked& asked, Bytes frame) {
  const std::int16_t error = on_coordinator(asked, frame);
  if (error == malformed) return malformed;
  found_ = error == 0;
  // With a full disk there may never be one; then nothing was promised either.
  if (!found_ && world_.quiet && sent_ < 0) done_ = true;
  return error;
}

std::int16_t Committer::on_joined(const Asked& asked, Bytes frame) {
  kafka::JoinGroupResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (is(response.error_code, ErrorCode::member_id_required)) member_id_ = response.member_id;
  if (response.error_code != 0) return response.error_code;
  member_id_ = response.member_id;
  generation_ = response.generation_id;
  if (generation_ < generation_seen_) {
    world_.verdicts.broken("commits_stay", "{}: generation {} after {}", name_, generation_,
                           generation_seen_);
  }
  return 0;
}

std::int16_t Committer::on_synced(const Asked& asked, Bytes frame) {
  kafka::SyncGroupResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (response.error_code != 0) return response.error_code;
  synced_ = true;
  generation_seen_ = generation_;
  const std::string plan = fmt::format("plan {}", generation_);
  if (as_text(response.assignment) != plan) {
    world_.verdicts.broken("commits_stay", "{}: '{}' instead of '{}'", name_,
                           as_text(response.assignment), plan);
  }
  return 0;
}

std::int16_t Committer::on_committed(const Asked& asked, Bytes frame) {
  kafka::OffsetCommitResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  const std::int16_t error = response.topics.front().partitions.front().error_code;
  const auto offset = static_cast<std::int64_t>(asked.word);
  if (error == 0) {
    acked_ = std::max(acked_, offset);
  } else {
    lost_.insert(offset);  // An error does not say that it was not done.
  }
  return error;
}

std::int16_t Committer::on_looked(const Asked& asked, Bytes frame) {
  kafka::OffsetFetchResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (asked.version < 8) {
    if (response.error_code != 0) return response.error_code;
    const auto& at = response.topics.front().partitions.front();
    check_offset(at.committed_offset, at.metadata.value);
    return at.error_code;
  }
  const auto& group = response.groups.front();
  if (group.error_code != 0) return group.error_code;
  const auto& at = group.topics.front().partitions.front();
  check_offset(at.committed_offset, at.metadata.value);
  return at.error_code;
}

std::int16_t Committer::on_beat(const Asked& asked, Bytes frame) {
  kafka::HeartbeatResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  return response.error_code;
}

void Committer::check_offset(std::int64_t offset, std::string_view metadata) {
  const bool is_kept = (offset >= acked_ && offset <= sent_) || lost_.contains(offset);
  if (!is_kept) {
    world_.verdicts.broken("commits_stay", "{}: acknowledged {}, sent {}, told {}", name_, acked_,
                           sent_, offset);
  }
  if (offset >= 0 && metadata != text_of(offset)) {
    world_.verdicts.broken("commits_stay", "{}: offset {} came with '{}'", name_, offset,
                           metadata);
  }
}

void Committer::on_disconnect() {
  if (step_ == Step::commit && sent_ > acked_) {
    if (world_.plant == Plant::commit_early) {
      acked_ = sent_;
    } else {
      lost_.insert(sent_);
    }
  }
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(0, 5))));
}

}  // namespace tailrace::sim
