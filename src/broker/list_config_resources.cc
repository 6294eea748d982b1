// ListConfigResources: which resources have configs that can be described. Version 0, as
// ListClientMetricsResources, asks for subscriptions of client metrics alone; there are none.
#include <charconv>

#include "broker/answer.h"
#include "broker/config_resource.h"
#include "kafka/gen/list_config_resources.h"

namespace tailrace::broker {
namespace {

using Body = kafka::ListConfigResourcesRequest;
using Answer = kafka::ListConfigResourcesResponse;
using Found = Answer::ConfigResource;

struct Wanted {
  bool topics = false;
  bool brokers = false;
  bool loggers = false;
  bool groups = false;
  bool is_known = true;
};

Wanted wanted_of(const Body& body, std::int16_t version) {
  if (version == 0) return {};
  if (body.resource_types.empty()) {
    return {.topics = true, .brokers = true, .loggers = true, .groups = true};
  }
  Wanted wanted;
  for (const std::int8_t type : body.resource_types) {
    switch (static_cast<ConfigResource>(type)) {
      case ConfigResource::topic: wanted.topics = true; break;
      case ConfigResource::broker: wanted.brokers = true; break;
      case ConfigResource::broker_logger: wanted.loggers = true; break;
      case ConfigResource::group: wanted.groups = true; break;
      case ConfigResource::client_metrics: break;  // Known, and none has configs of its own.
      default: wanted.is_known = false;
    }
  }
  return wanted;
}

// Decimal, in the core's scratch memory.
std::string_view number_text(Core& core, Request& request, bus::NodeId id) {
  constexpr std::size_t digits_max = 11;
  const auto text = take_array<char>(core, request, digits_max);
  if (text.empty()) return {};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), id).ptr;
  return {text.data(), static_cast<std::size_t>(end - text.data())};
}

}  // namespace

Started start_list_config_resources(Core& core, Call& call, Now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  Answer response;
  const Wanted wanted = wanted_of(body, call.header.api_version);
  if (!wanted.is_known) {
    response.error_code = to_wire(kafka::ErrorCode::unsupported_version);
    return answer_now(core, call, response);
  }
  const bus::MetadataImage& image = *core.image;
  const std::size_t nodes = image.nodes.size();
  const bool has_groups = wanted.groups && image.group_configs != nullptr;
  const std::size_t count = (wanted.topics ? image.topics.size() : 0) +
                            (wanted.brokers ? nodes : 0) + (wanted.loggers ? nodes : 0) +
                            (has_groups ? image.group_configs->size() : 0);
  const auto found = take_array<Found>(core, call.request, count);
  std::size_t at = 0;
  const auto add = [&](std::string_view name, ConfigResource type) {
    if (at < found.size()) found[at++] = {name, static_cast<std::int8_t>(type)};
  };
  if (wanted.topics) {
    for (const auto& topic : image.topics) add(topic->name, ConfigResource::topic);
  }
  for (const bus::NodeImage& node : image.nodes) {
    const std::string_view name = number_text(core, call.request, node.id);
    if (wanted.brokers) add(name, ConfigResource::broker);
    if (wanted.loggers) add(name, ConfigResource::broker_logger);
  }
  if (has_groups) {
    for (const auto& [name, configs] : *image.group_configs) add(name, ConfigResource::group);
  }
  response.config_resources = found;
  return answer_now(core, call, response);
}

}  // namespace tailrace::broker
