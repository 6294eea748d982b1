#include "control/controller.h"

#include <utility>

#include "control/internal_topics.h"
#include "kafka/apis.h"
#include "kafka/gen/alter_configs.h"
#include "kafka/gen/alter_partition_reassignments.h"
#include "kafka/gen/create_partitions.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/delete_topics.h"
#include "kafka/gen/elect_leaders.h"
#include "kafka/gen/init_producer_id.h"

namespace tailrace::control {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;

constexpr std::int16_t producer_epoch_max = INT16_MAX - 1;
// For requests that name no time, and at most for those that do.
constexpr Duration timeout_default = seconds(60);
constexpr std::int64_t timeout_ms_max = 600'000;
// "Do not wait" (librdkafka's default) means an answer once it is done, not a failure at once.
constexpr Duration timeout_shortest = seconds(1);

Duration to_timeout(std::int32_t timeout_ms) {
  if (timeout_ms <= 0) return timeout_shortest;
  return milliseconds(timeout_ms < timeout_ms_max ? timeout_ms : timeout_ms_max);
}

template <class Request>
Duration timeout_of(const bus::ControlRequest& request, Arena& arena) {
  arena.reset();
  kafka::Reader in(request.body);
  const Result<Request> decoded = Request::decode(in, request.api_version, arena);
  return decoded ? to_timeout(decoded->timeout_ms) : timeout_default;
}

Duration no_timeout(const bus::ControlRequest&, Arena&) { return timeout_default; }

struct Api {
  ApiKey key;
  Outcome (*run)(RequestContext& context);
  Duration (*timeout)(const bus::ControlRequest& request, Arena& arena);
};
// InitProducerId is the controller's own.
constexpr Api apis[] = {
    {ApiKey::create_topics, create_topics, timeout_of<kafka::CreateTopicsRequest>},
    {ApiKey::delete_topics, delete_topics, timeout_of<kafka::DeleteTopicsRequest>},
    {ApiKey::create_partitions, create_partitions, timeout_of<kafka::CreatePartitionsRequest>},
    {ApiKey::alter_configs, alter_configs, no_timeout},
    {ApiKey::incremental_alter_configs, incremental_alter_configs, no_timeout},
    {ApiKey::find_coordinator, find_coordinator, no_timeout},
    {ApiKey::elect_leaders, elect_leaders, timeout_of<kafka::ElectLeadersRequest>},
    {ApiKey::alter_partition_reassignments, alter_partition_reassignments,
     timeout_of<kafka::AlterPartitionReassignmentsRequest>},
    {ApiKey::list_partition_reassignments, list_partition_reassignments, no_timeout},
    {ApiKey::describe_client_quotas, describe_client_quotas, no_timeout},
    {ApiKey::alter_client_quotas, alter_client_quotas, no_timeout},
    {ApiKey::update_features, update_features, no_timeout},
    {ApiKey::unregister_broker, unregister_broker, no_timeout},
};

// Is the topic there in which the coordinator of this FindCoordinator keeps its state? What cannot
// be read, or is of another type, is refused at once.
bool knows_coordinator(const bus::ControlRequest& request, const ClusterState& state) {
  constexpr std::int16_t first_with_type = 1;
  constexpr std::int16_t first_flexible = 3;
  constexpr std::int16_t first_with_many = 4;
  constexpr std::int8_t group_type = 0;
  constexpr std::int8_t transaction_type = 1;
  kafka::Reader in(request.body);
  if (request.api_version < first_with_many) in.string(request.api_version >= first_flexible);
  const std::int8_t type =
      request.api_version >= first_with_type ? in.integer<std::int8_t>() : group_type;
  if (in.failed()) return true;
  if (type == group_type) return state.find_topic(offsets_topic_name) != nullptr;
  return type != transaction_type || state.find_topic(transactions_topic_name) != nullptr;
}

const Api* find(std::int16_t key) {
  for (const Api& api : apis) {
    if (static_cast<std::int16_t>(api.key) == key) return &api;
  }
  return nullptr;
}

}  // namespace

Controller::Controller(const Limits& limits, bus::NodeId node_id, const ClusterState& state,
                       Prng prng)
    : limits_(limits), node_id_(node_id), state_(state), prng_(prng),
      arena_(limits.request_memory_bytes), mutations_(state) {}

Outcome Controller::execute(const bus::ControlRequest& request, std::uint64_t room_bytes) {
  RequestContext context{limits_, node_id_, state_, prng_, arena_, request, room_bytes, {}, {}, {},
                         &mutations_};
  return run(context);
}

Outcome Controller::refuse(const bus::ControlRequest& request, ErrorCode code,
                           std::string_view message) {
  RequestContext context{limits_, node_id_, state_, prng_, arena_, request, 0,
                         {code, std::string(message)}, {}, {}, nullptr};
  Outcome outcome = run(context);
  TR_ASSERT(outcome.entries.empty());
  return outcome;
}

Outcome Controller::run(RequestContext& context) {
  const bus::ControlRequest& request = context.request;
  const kafka::ApiInfo* api = kafka::find_api(request.api_key);
  const bool known = api != nullptr && request.api_version >= api->version_min &&
                     request.api_version <= api->version_max;
  if (!known) return context.cannot_decode();
  if (api->key == ApiKey::init_producer_id) return init_producer_id(context);
  const Api* handled = find(request.api_key);
  return handled == nullptr ? context.cannot_decode() : handled->run(context);
}

Duration Controller::timeout(const bus::ControlRequest& request) {
  const Api* api = find(request.api_key);
  return api == nullptr ? timeout_default : api->timeout(request, arena_);
}

bool Controller::is_immediate(const bus::ControlRequest& request) const {
  if (request.api_key == static_cast<std::int16_t>(ApiKey::find_coordinator)) {
    return knows_coordinator(request, state_);
  }
  for (const ApiKey reading : {ApiKey::list_partition_reassignments,
                               ApiKey::describe_client_quotas}) {
    if (request.api_key == static_cast<std::int16_t>(reading)) return true;
  }
  return request.api_key == static_cast<std::int16_t>(ApiKey::init_producer_id) &&
         producer_id_ < producer_id_end_ && producer_id_end_ <= state_.producer_id_next();
}

Outcome Controller::init_producer_id(RequestContext& context) {
  using Request = kafka::InitProducerIdRequest;
  const Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  kafka::InitProducerIdResponse response;
  response.producer_epoch = -1;
  const bool has_id = request->producer_id >= 0;
  const bool has_epoch = request->producer_epoch >= 0;
  if (context.refuse_all.refused()) {
    response.error_code = context.refuse_all.wire_code();
  } else if (has_id != has_epoch) {
    response.error_code = kafka::to_wire(ErrorCode::invalid_request);
  } else if (has_id && request->producer_id < state_.producer_id_next() &&
             request->producer_epoch < producer_epoch_max) {
    // A producer that lost track of its sequences starts anew under the next epoch.
    response.producer_id = request->producer_id;
    response.producer_epoch = static_cast<std::int16_t>(request->producer_epoch + 1);
  } else {
    take_producer_id(context, response);
  }
  return context.answer(response);
}

// Ids are given out only from a block whose record is committed before the answer goes.
void Controller::take_producer_id(RequestContext& context,
                                  kafka::InitProducerIdResponse& response) {
  if (producer_id_ == producer_id_end_) {
    const std::int64_t next = state_.producer_id_next();
    const Refusal refusal = context.commit(ProducerIdsRecord{next + producer_block_ids}, false);
    TR_ASSERT(!refusal.refused());
    producer_id_ = next;
    producer_id_end_ = next + producer_block_ids;
  }
  response.producer_id = producer_id_++;
  response.producer_epoch = 0;
}

}  // namespace tailrace::control
