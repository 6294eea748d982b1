// FindCoordinator: which node answers for a group. The first question makes the topic of groups
// and offsets; it is answered once the topic is there.
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
    if (type == transaction_type) {
      // Transactions are not available yet. This code is fatal for a producer, so that it stops
      // with a message instead of asking again for ever.
      return refused(key, {ErrorCode::transactional_id_authorization_failed,
                           "Transactions are not supported."});
    }
    if (type != group_type) {
      return refused(key, {ErrorCode::invalid_request, "Only groups have coordinators here."});
    }
    if (context_.refuse_all.refused()) {
      return refused(key, {ErrorCode::coordinator_not_available, context_.refuse_all.message});
    }
    if (const Refusal refusal = find_topic(); refusal.refused()) return refused(key, refusal);
    const auto index =
        static_cast<std::size_t>(partition_of_group(key, partitions_->size()));
    return at((*partitions_)[index].leader, key);
  }

  // The topic, or the one that is being made.
  Refusal find_topic() {
    if (partitions_ != nullptr) return {};
    if (const Topic* topic = context_.state.find_topic(offsets_topic_name)) {
      partitions_ = &topic->partitions;
      return {};
    }
    Refusal refusal = check_partition_total(context_, 0, context_.limits.offsets_partitions);
    if (!refusal.refused()) {
      made_ = new_offsets_topic(context_.limits, context_.state, context_.prng);
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
                           "The group's partition has no leader now."});
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
