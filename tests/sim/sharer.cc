#include "sharer.h"

#include "kafka/errors.h"
#include "kafka/gen/consumer_group_heartbeat.h"
#include "kafka/gen/offset_commit.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;
using Beat = kafka::ConsumerGroupHeartbeatRequest;

constexpr std::string_view topic_name = "__consumer_offsets";
constexpr std::int32_t leaves = -1;

bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

}  // namespace

Sharer::Sharer(World& world, std::uint32_t id, Prng prng)
    : Client(world, fmt::format("sharer{}", id), prng) {
  forget();
}

std::string Sharer::waiting_for() const {
  constexpr std::array names = {"the coordinator", "heartbeat", "leave", "commit"};
  return std::string(names[static_cast<std::size_t>(step_)]);
}

// Another member from now on: the id of one that was put out may not come back by accident.
void Sharer::forget() {
  world_.ownership.gives_up(group_, name_);
  member_id_ = fmt::format("{}-{}", name_, ++life_);
  joined_ = false;
  epoch_ = 0;
  owned_.clear();
}

void Sharer::act() {
  const Instant now = world_.clock.instant();
  if (joined_ && owns_until_ <= now) forget();
  if (asked_count() > 0) return sleep();
  if (world_.quiet && !joined_) done_ = true;
  if (done_) return wait(milliseconds(20));
  step_ = choose();
  bool sent = false;
  switch (step_) {
    case Step::find: sent = ask_coordinator(CoordinatorOf::group, group_); break;
    case Step::beat: sent = ask_beat(epoch_); break;
    case Step::leave:
      // From now on: the answer may be lost, and the leave not.
      owned_.clear();
      world_.ownership.gives_up(group_, name_);
      sent = ask_beat(leaves);
      break;
    case Step::commit: sent = ask_commit(); break;
  }
  if (!sent) return disconnect();
  if (asked_count() > 0) sleep();
}

Sharer::Step Sharer::choose() {
  if (!found_) return Step::find;
  if (!joined_) return Step::beat;
  if (world_.quiet) return Step::leave;
  const std::uint64_t draw = prng_.below(20);
  if (draw == 0) return Step::leave;
  return draw < 4 && !owned_.empty() ? Step::commit : Step::beat;
}

bool Sharer::ask_beat(std::int32_t epoch) {
  std::string_view name = topic_name;
  Beat request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.member_epoch = epoch;
  Beat::TopicPartitions owned{.topic_id = topic_, .partitions = owned_};
  const bool tells_all = epoch == 0 || prng_.chance(1, 3);
  if (tells_all) {
    request.rebalance_timeout_ms = static_cast<std::int32_t>(consumer_session.ns / 1'000'000);
    request.subscribed_topic_names = std::span(&name, 1);
  }
  request.topic_partitions = std::span(&owned, owned_.empty() ? 0 : 1);
  sent_at_ = world_.clock.instant();
  return ask(request, 1, static_cast<std::uint64_t>(life_));
}

bool Sharer::ask_commit() {
  using Topic = kafka::OffsetCommitRequest::OffsetCommitRequestTopic;
  Topic::OffsetCommitRequestPartition at;
  at.partition_index = owned_.front();
  at.committed_offset = ++offset_;
  Topic topic;
  topic.name = topic_name;
  topic.partitions = {&at, 1};
  kafka::OffsetCommitRequest request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.generation_id_or_member_epoch = epoch_;
  request.topics = {&topic, 1};
  return ask(request, 9, 0);
}

void Sharer::on_response(const Asked& asked, Bytes frame) {
  std::int16_t error = malformed;
  switch (step_) {
    case Step::find: error = on_found(asked, frame); break;
    case Step::beat:
    case Step::leave: error = on_beat(asked, frame); break;
    case Step::commit: error = on_committed(asked, frame); break;
  }
  world_.trace.say(world_.clock.instant(), "{}: {}: error {}, epoch {}, owns {}", name_,
                   waiting_for(), error, epoch_, owned_.size());
  if (error == malformed) return;
  if (error != 0) on_error(error);
  wait(microseconds(static_cast<std::int64_t>(prng_.between(10, 5000))));
}

void Sharer::on_error(std::int16_t error) {
  const bool is_out = is(error, ErrorCode::unknown_member_id) ||
                      is(error, ErrorCode::fenced_member_epoch);
  const bool passes = is(error, ErrorCode::not_coordinator) ||
                      is(error, ErrorCode::coordinator_not_available) ||
                      is(error, ErrorCode::coordinator_load_in_progress) ||
                      is(error, ErrorCode::stale_member_epoch) ||
                      is(error, ErrorCode::request_timed_out);
  if (is_out) forget();
  if (is(error, ErrorCode::not_coordinator)) found_ = false;
  if (!is_out && !passes) {
    world_.verdicts.broken("group_answers", "{}: {}: error {}", name_, waiting_for(), error);
  }
}

std::int16_t Sharer::on_found(const Asked& asked, Bytes frame) {
  const std::int16_t error = on_coordinator(asked, frame);
  found_ = error == 0;
  return error;
}

std::int16_t Sharer::on_beat(const Asked& asked, Bytes frame) {
  kafka::ConsumerGroupHeartbeatResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  if (asked.word != static_cast<std::uint64_t>(life_)) return 0;  // Of a member that is no more.
  if (response.error_code != 0) return response.error_code;
  owns_until_ = sent_at_ + consumer_session;
  if (step_ == Step::leave || owns_until_ <= world_.clock.instant()) {
    forget();
    return 0;
  }
  joined_ = true;
  epoch_ = response.member_epoch;
  if (response.assignment) {
    owned_.clear();
    for (const auto& topic : response.assignment->topic_partitions) {
      topic_ = topic.topic_id;
      owned_.assign(topic.partitions.begin(), topic.partitions.end());
    }
  }
  tell_checker();
  return 0;
}

// The plant: it says that it gave something up, and goes on with it.
void Sharer::tell_checker() {
  const Instant now = world_.clock.instant();
  std::vector<std::int32_t> owned = owned_;
  if (world_.plant == Plant::keep_revoked && owned.empty()) owned = {0};
  world_.ownership.owns(group_, name_, owned, now, owns_until_);
}

std::int16_t Sharer::on_committed(const Asked& asked, Bytes frame) {
  kafka::OffsetCommitResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  return response.topics.front().partitions.front().error_code;
}

}  // namespace tailrace::sim
