// FindCoordinator: which node answers for a group or a transactional id. The first question makes
// the topic in which they live; it is answered once the topic is there.
#include <deque>

#include "control/internal_topics.h"
#include "control/request_context.h"
#include "control/topic_rules.h"
#include "kafka/gen/find_coordinator.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Response = kafka::FindCoordinatorResponse;
using Found = Response::Coordinator;

constexpr std::int16_t first_with_many = 4;
constexpr std::int8_t group_type = 0;
constexpr std::int8_t transaction_type = 1;

class Finder {
 public:
  explicit Finder(RequestContext& context) : context_(context) {}

  Outcome run(const kafka::FindCoordinatorRequest& request) {
    std::vector<Found> found;
    if (context_.request.api_version < first_with_many) {
      found.push_back(find(request.key, request.key_type));
    }
    for (const std::string_view key : request.coordinator_keys) {
      found.push_back(find(key, request.key_type));
    }
    Response response;
    response.coordinators = found;
    if (context_.request.api_version < first_with_many) {
      response.error_code = found[0].error_code;
      response.error_message = found[0].error_message;
      response.node_id = found[0].node_id;
      response.host = found[0].host;
      response.port = found[0].port;
    }
    return context_.answer(response);
  }

 private:
  Found find(std::string_view key, std::int8_t type) {
    if (type != group_type && type != transaction_type) {
      return refused(key, {ErrorCode::invalid_request,
                           "Only groups and transactions have coordinators here."});
    }
    if (context_.refuse_all.refused()) {
      return refused(key, {ErrorCode::coordinator_not_available, context_.refuse_all.message});
    }
    if (const Refusal refusal = find_topic(type); refusal.refused()) return refused(key, refusal);
    const auto index =
        static_cast<std::size_t>(partition_of_key(key, partitions_->size()));
    return at((*partitions_)[index].leader, key);
  }

  // The topic, or the one that is being made. All keys of a request are of one type.
  Refusal find_topic(std::int8_t type) {
    if (partitions_ != nullptr) return {};
    const bool is_group = type == group_type;
    const Limits& limits = context_.limits;
    if (const Topic* topic = context_.state.find_topic(is_group ? offsets_topic_name
                                                                : transactions_topic_name)) {
      partitions_ = &topic->partitions;
      return {};
    }
    Refusal refusal = check_partition_total(
        context_, 0, is_group ? limits.offsets_partitions : limits.transaction_partitions);
    if (!refusal.refused()) {
      made_ = is_group ? new_offsets_topic(limits, context_.state, context_.prng)
                       : new_transactions_topic(limits, context_.state, context_.prng);
      refusal = context_.commit(made_, true);
    }
    if (refusal.refused()) return {ErrorCode::coordinator_not_available, refusal.message};
    partitions_ = &made_.partitions;
    return {};
  }

  Found at(bus::NodeId leader, std::string_view key) {
    const auto node = context_.state.nodes().find(leader);
    if (node == context_.state.nodes().end() || node->second.endpoints.empty()) {
      return refused(key, {ErrorCode::coordinator_not_available,
                           "Its partition has no leader now."});
    }
    const auto& endpoints = node->second.endpoints;
    const std::size_t listener =
        context_.request.listener < endpoints.size() ? context_.request.listener : 0;
    Found found;
    found.key = key;
    found.node_id = leader;
    found.host = endpoints[listener].host;
    found.port = endpoints[listener].port;
    return found;
  }

  Found refused(std::string_view key, const Refusal& refusal) {
    Found found;
    found.key = key;
    found.node_id = -1;
    found.port = -1;
    found.error_code = refusal.wire_code();
    found.error_message = context_.text(refusal.message);
    return found;
  }

  RequestContext& context_;
  TopicRecord made_;
  const std::vector<PartitionRecord>* partitions_ = nullptr;
};

}  // namespace

Outcome find_coordinator(RequestContext& context) {
  const auto request = context.decode<kafka::FindCoordinatorRequest>();
  if (!request) return context.cannot_decode();
  return Finder(context).run(*request);
}

}  // namespace tailrace::control
