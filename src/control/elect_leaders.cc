// ElectLeaders: gives partitions back to their preferred leader, the first of their replicas, or,
// unclean, to any replica at all when there is no leader.
#include <fmt/format.h>

#include <algorithm>

#include "control/request_context.h"
#include "kafka/gen/elect_leaders.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Request = kafka::ElectLeadersRequest;
using Response = kafka::ElectLeadersResponse;
using Result = Response::ReplicaElectionResult;
using PartitionResult = Result::PartitionResult;

enum class Election : std::int8_t { preferred = 0, unclean = 1 };

bool contains(const std::vector<bus::NodeId>& nodes, bus::NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

class Elector {
 public:
  explicit Elector(RequestContext& context) : context_(context) {}

  Outcome run(const Request& request) {
    Response response;
    Refusal refusal = context_.refuse_all;
    if (!refusal.refused() && (request.election_type < 0 || request.election_type > 1)) {
      refusal = {ErrorCode::invalid_request,
                 fmt::format("Unknown election type {}", request.election_type)};
    }
    response.error_code = refusal.wire_code();
    type_ = static_cast<Election>(request.election_type);
    if (!request.topic_partitions.is_null()) {
      for (const auto& topic : request.topic_partitions.items) {
        add(topic.topic);
        for (const std::int32_t index : topic.partitions) told(index, elect(index, refusal));
      }
    } else if (!refusal.refused()) {
      elect_all();
    }
    for (std::size_t i = 0; i < results_.size(); ++i) results_[i].partition_result = partitions_[i];
    response.replica_election_results = results_;
    return context_.answer(response);
  }

 private:
  // Those that need no election are not told then.
  void elect_all() {
    for (const auto& [name, topic] : context_.state.topics()) {
      add(name);
      for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
        const auto index = static_cast<std::int32_t>(i);
        Refusal refusal = elect(index, {});
        if (refusal.code != ErrorCode::election_not_needed) told(index, std::move(refusal));
      }
    }
  }

  void add(std::string_view topic) {
    topic_ = context_.state.find_topic(topic);
    results_.emplace_back().topic = topic;
    partitions_.emplace_back();
  }

  void told(std::int32_t index, Refusal refusal) {
    PartitionResult& result = partitions_.back().emplace_back();
    result.partition_id = index;
    result.error_code = refusal.wire_code();
    result.error_message = context_.text(std::move(refusal.message));
  }

  Refusal elect(std::int32_t index, const Refusal& refuse_all) {
    if (refuse_all.refused()) return refuse_all;
    const std::string_view name = results_.back().topic;
    if (topic_ == nullptr) {
      return {ErrorCode::unknown_topic_or_partition, fmt::format("No such topic as {}", name)};
    }
    if (index < 0 || static_cast<std::size_t>(index) >= topic_->partitions.size()) {
      return {ErrorCode::unknown_topic_or_partition,
              fmt::format("No such partition as {}-{}", name, index)};
    }
    PartitionRecord partition = topic_->partitions[static_cast<std::size_t>(index)];
    const bus::NodeId preferred = partition.replicas.front();
    const bool has_leader = partition.leader >= 0;
    const bool is_needed = type_ == Election::preferred ? partition.leader != preferred
                                                        : !has_leader;
    if (!is_needed) {
      return {ErrorCode::election_not_needed,
              "Leader election not needed for topic partition."};
    }
    const bus::NodeId leader = candidate(partition);
    if (leader < 0 && type_ == Election::preferred) {
      return {ErrorCode::preferred_leader_not_available,
              "The preferred leader was not available."};
    }
    if (leader < 0) {
      return {ErrorCode::eligible_leaders_not_available,
              "Eligible topic partition leaders are not available."};
    }
    if (!contains(partition.isr, leader)) partition.isr = {leader};
    partition.leader = leader;
    ++partition.leader_epoch;
    return context_.commit(PartitionChangedRecord{topic_->id, index, partition}, false);
  }

  // Who has all that is acknowledged; unclean, else whoever is registered.
  bus::NodeId candidate(const PartitionRecord& partition) const {
    const auto& nodes = context_.state.nodes();
    if (type_ == Election::preferred) {
      const bus::NodeId preferred = partition.replicas.front();
      return contains(partition.isr, preferred) && nodes.contains(preferred) ? preferred : -1;
    }
    for (const bus::NodeId node : partition.isr) {
      if (nodes.contains(node)) return node;
    }
    for (const bus::NodeId node : partition.replicas) {
      if (nodes.contains(node)) return node;
    }
    return -1;
  }

  RequestContext& context_;
  Election type_ = Election::preferred;
  const Topic* topic_ = nullptr;
  std::vector<Result> results_;
  std::deque<std::vector<PartitionResult>> partitions_;
};

}  // namespace

Outcome elect_leaders(RequestContext& context) {
  const tailrace::Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  return Elector(context).run(*request);
}

}  // namespace tailrace::control
