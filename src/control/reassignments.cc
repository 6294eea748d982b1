// AlterPartitionReassignments and ListPartitionReassignments.
//
// A partition moves to other nodes by copying, which there is none of yet: what can be done is what
// needs no copy, since all nodes of the new set have the partition already. That is done at once,
// so that no reassignment is ever under way, to be listed or cancelled.
#include <fmt/format.h>

#include <algorithm>

#include "control/request_context.h"
#include "control/topic_rules.h"
#include "kafka/gen/alter_partition_reassignments.h"
#include "kafka/gen/list_partition_reassignments.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Request = kafka::AlterPartitionReassignmentsRequest;
using Response = kafka::AlterPartitionReassignmentsResponse;
using TopicResult = Response::ReassignableTopicResponse;
using PartitionResult = TopicResult::ReassignablePartitionResponse;
using Wanted = Request::ReassignableTopic::ReassignablePartition;

bool contains(std::span<const bus::NodeId> nodes, bus::NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

class Mover {
 public:
  Mover(RequestContext& context, const Request& request) : context_(context), request_(request) {}

  Outcome run() {
    Response response;
    response.allow_replication_factor_change = request_.allow_replication_factor_change;
    response.error_code = context_.refuse_all.wire_code();
    response.error_message = context_.text(context_.refuse_all.message);
    std::vector<TopicResult> topics;
    std::deque<std::vector<PartitionResult>> partitions;
    for (const auto& topic : request_.topics) {
      auto& results = partitions.emplace_back();
      for (const Wanted& wanted : topic.partitions) {
        Refusal refusal = context_.refuse_all;
        if (!refusal.refused()) refusal = move(topic.name, wanted);
        auto& result = results.emplace_back();
        result.partition_index = wanted.partition_index;
        result.error_code = refusal.wire_code();
        result.error_message = context_.text(std::move(refusal.message));
      }
      topics.push_back({topic.name, results});
    }
    response.responses = topics;
    return context_.answer(response);
  }

 private:
  Refusal move(std::string_view name, const Wanted& wanted) {
    const Topic* topic = context_.state.find_topic(name);
    if (topic == nullptr) {
      return {ErrorCode::unknown_topic_or_partition,
              fmt::format("Unable to find a topic named {}.", name)};
    }
    const std::int32_t index = wanted.partition_index;
    if (index < 0 || static_cast<std::size_t>(index) >= topic->partitions.size()) {
      return {ErrorCode::unknown_topic_or_partition,
              fmt::format("Unable to find partition {}:{}.", name, index)};
    }
    if (wanted.replicas.is_null()) {
      return {ErrorCode::no_reassignment_in_progress, "No partition reassignment is in progress."};
    }
    const PartitionRecord& now = topic->partitions[static_cast<std::size_t>(index)];
    const std::span<const bus::NodeId> target = wanted.replicas.items;
    if (Refusal refusal = check_replicas(context_.state, target, 0); refusal.refused()) {
      return refusal;
    }
    if (!request_.allow_replication_factor_change && target.size() != now.replicas.size()) {
      return {ErrorCode::invalid_replication_factor,
              fmt::format("The replication factor is changed from {} to {}", now.replicas.size(),
                          target.size())};
    }
    for (const bus::NodeId node : target) {
      if (contains(now.isr, node)) continue;
      return {ErrorCode::invalid_replica_assignment,
              fmt::format("Broker {} has no copy of partition {}-{} that is up to date, and none "
                          "can be made yet.", node, name, index)};
    }
    if (std::equal(target.begin(), target.end(), now.replicas.begin(), now.replicas.end())) {
      return {};
    }
    return context_.commit(PartitionChangedRecord{topic->id, index, moved(now, target)}, true);
  }

  static PartitionRecord moved(PartitionRecord partition, std::span<const bus::NodeId> target) {
    partition.replicas.assign(target.begin(), target.end());
    std::erase_if(partition.isr, [target](bus::NodeId node) { return !contains(target, node); });
    if (!contains(target, partition.leader)) {
      partition.leader = target.front();
      ++partition.leader_epoch;
    }
    return partition;
  }

  RequestContext& context_;
  const Request& request_;
};

}  // namespace

Outcome alter_partition_reassignments(RequestContext& context) {
  const Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  return Mover(context, *request).run();
}

Outcome list_partition_reassignments(RequestContext& context) {
  const auto request = context.decode<kafka::ListPartitionReassignmentsRequest>();
  if (!request) return context.cannot_decode();
  kafka::ListPartitionReassignmentsResponse response;
  response.error_code = context.refuse_all.wire_code();
  response.error_message = context.text(context.refuse_all.message);
  return context.answer(response);
}

}  // namespace tailrace::control
