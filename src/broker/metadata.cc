// Metadata: which topics there are and where their partitions are led. May make a topic that a
// client asks for (auto-create): the request then waits for control and is answered anew.
#include "broker/answer.h"
#include "broker/cluster_answer.h"
#include "broker/control_request.h"
#include "broker/topic_settings.h"
#include "kafka/broker_config.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/metadata.h"
#include "kafka/topic_name.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using kafka::MetadataRequest;
using kafka::MetadataResponse;
using Topic = MetadataResponse::MetadataResponseTopic;
using Created = kafka::CreateTopicsResponse::CreatableTopicResult;

constexpr std::int16_t create_topics_version = 7;

// What an answer is made from.
struct Asking {
  const MetadataRequest& body;
  std::span<const Created> created;  // what control said about missing topics, by name
};

bool wants_all(const MetadataRequest& body, std::int16_t version) {
  // Before version 1 null could not be said, and an empty list meant all.
  return body.topics.is_null() || (version == 0 && body.topics.items.empty());
}

std::span<std::int32_t> copy(Core& core, Request& request, const std::vector<bus::NodeId>& ids) {
  const std::span<std::int32_t> out = take_array<std::int32_t>(core, request, ids.size());
  std::copy_n(ids.begin(), out.size(), out.begin());
  return out;
}

void fill_partition(Core& core, Request& request, const bus::PartitionImage& partition,
                    Topic::MetadataResponsePartition& out) {
  if (partition.leader < 0) out.error_code = to_wire(ErrorCode::leader_not_available);
  out.partition_index = partition.index;
  out.leader_id = partition.leader;
  out.leader_epoch = partition.leader_epoch;
  out.replica_nodes = copy(core, request, partition.replicas);
  out.isr_nodes = copy(core, request, partition.isr);
}

void fill_topic(Core& core, Request& request, const bus::TopicImage& topic, bool operations,
                Topic& out) {
  out.name = std::string_view(topic.name);
  out.topic_id = topic.id;
  out.is_internal = topic.is_internal;
  out.partitions =
      take_array<Topic::MetadataResponsePartition>(core, request, topic.partitions.size());
  for (std::size_t i = 0; i < out.partitions.size(); ++i) {
    fill_partition(core, request, topic.partitions[i], out.partitions[i]);
  }
  if (operations) out.topic_authorized_operations = topic_operations;
}

bool may_create(const Core& core, const MetadataRequest& body, std::int16_t version) {
  if (version >= 4 && !body.allow_auto_topic_creation) return false;
  const auto* config = kafka::find_broker_config("auto.create.topics.enable");
  return broker_setting(*core.image, core.config.values, config->def).value == "true";
}

bool is_missing(const Core& core, const MetadataRequest::MetadataRequestTopic& asked) {
  return asked.topic_id.is_zero() && !asked.name.is_null() &&
         kafka::is_topic_name(asked.name.value) &&
         core.image->find_topic(asked.name.value) == nullptr;
}

// Of a topic that control was asked for and that is not there. The client asks again when it may be
// there soon; anything else it has to know.
ErrorCode error_of_missing(std::string_view name, std::span<const Created> created) {
  const auto said = std::lower_bound(
      created.begin(), created.end(), name,
      [](const Created& topic, std::string_view wanted) { return topic.name < wanted; });
  if (said == created.end() || said->name != name) return ErrorCode::leader_not_available;
  const auto error = static_cast<ErrorCode>(said->error_code);
  const bool is_soon = error == ErrorCode::none || error == ErrorCode::topic_already_exists ||
                       error == ErrorCode::request_timed_out ||
                       error == ErrorCode::not_controller;
  return is_soon ? ErrorCode::leader_not_available : error;
}

void fill_asked(Core& core, Request& request, const Asking& asking,
                const MetadataRequest::MetadataRequestTopic& asked, Topic& out) {
  const bool by_id = !asked.topic_id.is_zero();
  const bus::TopicImage* topic = by_id ? core.image->find_topic(asked.topic_id)
                                       : core.image->find_topic(asked.name.value);
  if (by_id && request.api_version < 12) {
    // Ids were in the request before brokers understood them.
    out.error_code = to_wire(ErrorCode::invalid_request);
    out.name = asked.name.value;
    return;
  }
  if (topic != nullptr) {
    return fill_topic(core, request, *topic, asking.body.include_topic_authorized_operations, out);
  }
  out.topic_id = asked.topic_id;
  if (by_id) {
    out.name = nullptr;
    out.error_code = to_wire(ErrorCode::unknown_topic_id);
    return;
  }
  out.name = asked.name.value;
  if (!kafka::is_topic_name(asked.name.value)) {
    out.error_code = to_wire(ErrorCode::invalid_topic);
  } else if (request.created_topics && may_create(core, asking.body, request.api_version)) {
    out.error_code = to_wire(error_of_missing(asked.name.value, asking.created));
  } else {
    out.error_code = to_wire(ErrorCode::unknown_topic_or_partition);
  }
}

void fill_brokers(Core& core, Request& request, MetadataResponse& response) {
  const auto& nodes = core.image->nodes;
  response.brokers =
      take_array<MetadataResponse::MetadataResponseBroker>(core, request, nodes.size());
  for (std::size_t i = 0; i < response.brokers.size(); ++i) {
    const bus::Endpoint& endpoint = endpoint_of(nodes[i], request.listener);
    auto& out = response.brokers[i];
    out.node_id = nodes[i].id;
    out.host = endpoint.host;
    out.port = endpoint.port;
    if (!nodes[i].rack.empty()) out.rack = std::string_view(nodes[i].rack);
  }
}

bool write_metadata(Core& core, Request& request, const Asking& asking) {
  const MetadataRequest& body = asking.body;
  MetadataResponse response;
  fill_brokers(core, request, response);
  response.cluster_id = std::string_view(core.image->cluster_id);
  response.controller_id = core.image->controller_id;
  if (wants_all(body, request.api_version)) {
    const auto& topics = core.image->topics;
    response.topics = take_array<Topic>(core, request, topics.size());
    for (std::size_t i = 0; i < response.topics.size(); ++i) {
      fill_topic(core, request, *topics[i], body.include_topic_authorized_operations,
                 response.topics[i]);
    }
  } else {
    response.topics = take_array<Topic>(core, request, body.topics.items.size());
    for (std::size_t i = 0; i < response.topics.size(); ++i) {
      fill_asked(core, request, asking, body.topics.items[i], response.topics[i]);
    }
  }
  if (body.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = cluster_operations;
  }
  return write_answer(core, request, response);
}

// What control answered, in the order of names. It may have answered nothing that can be read.
std::span<const Created> read_created(Core& core, const Request& request) {
  kafka::Reader in(request.control->reply);
  Result<kafka::CreateTopicsResponse> reply =
      kafka::CreateTopicsResponse::decode(in, create_topics_version, core.scratch);
  if (!reply || in.failed()) return {};
  std::sort(reply->topics.begin(), reply->topics.end(),
            [](const Created& a, const Created& b) { return a.name < b.name; });
  return reply->topics;
}

// The names of missing topics, each once: control refuses those that are named twice.
std::span<std::string_view> missing_names(Core& core, Request& request,
                                          const MetadataRequest& body) {
  std::size_t count = 0;
  const auto names = take_array<std::string_view>(core, request, body.topics.items.size());
  if (request.close_connection) return {};
  for (const auto& asked : body.topics.items) {
    if (is_missing(core, asked)) names[count++] = asked.name.value;
  }
  std::sort(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count));
  const auto end =
      std::unique(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count));
  return {names.begin(), end};
}

// Sends the missing topics to control, as a CreateTopics of ours.
Started ask_for_topics(Core& core, Call& call, std::span<const std::string_view> missing) {
  kafka::CreateTopicsRequest create;
  create.topics =
      take_array<kafka::CreateTopicsRequest::CreatableTopic>(core, call.request, missing.size());
  if (create.topics.size() < missing.size()) return Started::close;
  for (std::size_t i = 0; i < missing.size(); ++i) {
    create.topics[i] = {.name = missing[i], .num_partitions = -1, .replication_factor = -1};
  }
  if (keep_frame(core, call).empty()) return Started::no_memory;
  return ask_control(core, call.request, kafka::CreateTopicsRequest::api_key,
                     create_topics_version, create);
}

}  // namespace

Started start_metadata(Core& core, Call& call, Now) {
  MetadataRequest body;
  if (!decode(core, call, body)) return Started::close;
  const bool all = wants_all(body, call.header.api_version);
  if (!all && may_create(core, body, call.header.api_version)) {
    const auto missing = missing_names(core, call.request, body);
    if (call.request.close_connection) return Started::close;
    if (!missing.empty()) return ask_for_topics(core, call, missing);
  }
  if (!write_metadata(core, call.request, {body, {}})) return Started::no_memory;
  make_ready(core, call.request);
  return Started::yes;
}

bool finish_metadata(Core& core, Request& request) {
  core.scratch.reset();
  kafka::Reader in(request.frame);
  kafka::read_request_header(in);
  Result<MetadataRequest> body = MetadataRequest::decode(in, request.api_version, core.scratch);
  TR_ASSERT(body.has_value());  // It was read once before.
  return write_metadata(core, request, {*body, read_created(core, request)});
}

}  // namespace tailrace::broker
