// AlterConfigs (replaces all configs of a resource) and IncrementalAlterConfigs (changes some).
// Both come down to: the map of set configs before, the map after, and a record of what differs.
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "control/logger_change.h"
#include "control/config_rules.h"
#include "control/request_context.h"
#include "kafka/broker_config.h"
#include "kafka/gen/alter_configs.h"
#include "kafka/gen/incremental_alter_configs.h"
#include "kafka/group_config.h"
#include "kafka/topic_config.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

constexpr std::int8_t topic_resource = 2;
constexpr std::int8_t broker_resource = 4;
constexpr std::int8_t logger_resource = 8;
constexpr std::int8_t group_resource = 32;

enum class ConfigOp : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct Change {
  std::string_view name;
  ConfigOp op = ConfigOp::set;
  kafka::NullableString value;
};

struct Resource {
  const Topic* topic = nullptr;  // null: a group's, a broker's, or all brokers'
  std::string_view group;        // empty: not a group's
  bus::NodeId node = -1;
  ConfigMap configs;             // as they are set now
};

Refusal find_resource(const RequestContext& context, std::int8_t type, std::string_view name,
                      Resource& resource) {
  if (type == topic_resource) {
    resource.topic = context.state.find_topic(name);
    if (resource.topic == nullptr) {
      return {ErrorCode::unknown_topic_or_partition,
              fmt::format("The topic '{}' does not exist.", name)};
    }
    resource.configs = resource.topic->configs;
    return {};
  }
  if (type == group_resource) {
    if (name.empty()) {
      return {ErrorCode::invalid_request, "Default group resources are not allowed."};
    }
    resource.group = name;
    resource.configs = context.state.group_configs(name);
    return {};
  }
  // Loggers belong to this broker alone.
  const bool is_logger = type == logger_resource && !name.empty();
  if (type != broker_resource && !is_logger) {
    return {ErrorCode::invalid_request, fmt::format("Unexpected resource type {}.", type)};
  }
  if (!name.empty()) {
    std::int32_t id = -1;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
    const bool is_number = parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size();
    if (!is_number || !context.state.nodes().contains(id)) {
      return {ErrorCode::invalid_request,
              fmt::format("Unexpected broker id, expected {} or empty string, but received {}",
                          context.node_id, name)};
    }
    resource.node = id;
  }
  resource.configs = context.state.broker_configs(resource.node);
  return {};
}

Refusal check(const RequestContext& context, const Resource& resource, std::string_view name,
              std::string_view value) {
  if (resource.topic != nullptr) return check_topic_config(context.limits, name, value);
  if (!resource.group.empty()) return check_group_config(name, value);
  return check_broker_config(context.limits, name, value);
}

std::string_view kind_of(const Resource& resource) {
  if (resource.topic != nullptr) return "topic";
  return resource.group.empty() ? "broker" : "group";
}

const kafka::ConfigDef* find_def(const Resource& resource, std::string_view name) {
  if (resource.topic != nullptr) return kafka::find_topic_config(name);
  if (!resource.group.empty()) return kafka::find_group_config(name);
  const kafka::BrokerConfigDef* config = kafka::find_broker_config(name);
  return config == nullptr ? nullptr : &config->def;
}

// The value an append or a subtract starts from.
std::string value_in_force(const RequestContext& context, const Resource& resource,
                           const ConfigMap& after, const kafka::ConfigDef& def) {
  if (const auto set = after.find(def.name); set != after.end()) return set->second;
  const std::string_view name = resource.topic != nullptr ? def.broker_synonym : def.name;
  const std::string* value =
      name.empty() ? nullptr : context.state.broker_config(context.node_id, name);
  return value != nullptr ? *value : std::string(def.default_value);
}

Refusal apply_change(const RequestContext& context, const Resource& resource, const Change& change,
                     ConfigMap& after) {
  const kafka::ConfigDef* def = find_def(resource, change.name);
  // To remove what is not there is done already, whether it could be there or not.
  if (def == nullptr && change.op == ConfigOp::remove) {
    after.erase(std::string(change.name));
    return {};
  }
  if (def == nullptr) {
    return {ErrorCode::invalid_config,
            fmt::format("Unknown {} config name: {}", kind_of(resource), change.name)};
  }
  if (change.op == ConfigOp::remove) {
    // The value is of no interest; that it may be changed at all is.
    Refusal refusal = check(context, resource, change.name, def->default_value);
    if (!refusal.refused()) after.erase(std::string(change.name));
    return refusal;
  }
  if (change.value.is_null()) {
    return {ErrorCode::invalid_request,
            fmt::format("Null value not supported for : {}", change.name)};
  }
  std::string value(change.value.value);
  if (change.op != ConfigOp::set) {
    const bool appends = change.op == ConfigOp::append;
    if (def->type != kafka::ConfigType::list) {
      return {ErrorCode::invalid_config,
              fmt::format("Can't {} to key {} because its type is not LIST.",
                          appends ? "APPEND" : "SUBTRACT", change.name)};
    }
    const std::string before = value_in_force(context, resource, after, *def);
    value = appends ? list_with(before, value) : list_without(before, value);
  }
  Refusal refusal = check(context, resource, change.name, value);
  if (!refusal.refused()) after.insert_or_assign(std::string(change.name), std::move(value));
  return refusal;
}

// What must be recorded to get from one map to the other.
std::vector<ConfigRecord> difference(const ConfigMap& before, const ConfigMap& after) {
  std::vector<ConfigRecord> configs;
  for (const auto& [name, value] : before) {
    if (!after.contains(name)) configs.push_back({name, std::nullopt});
  }
  for (const auto& [name, value] : after) {
    const auto old = before.find(name);
    if (old == before.end() || old->second != value) configs.push_back({name, value});
  }
  return configs;
}

// What is set here is not kept: a restart begins with the profile's level.
Refusal alter_loggers(const std::vector<Change>& changes, bool validate_only) {
  LogLevel level = LogLevel::info;
  for (const Change& change : changes) {
    Refusal refusal = read_logger_change(change.name, static_cast<std::int8_t>(change.op),
                                         change.value, level);
    if (refusal.refused()) return refusal;
  }
  if (!changes.empty() && !validate_only) set_log_level(level);
  return {};
}

Refusal commit_group(RequestContext& context, const Resource& resource,
                     std::vector<ConfigRecord> configs) {
  const bool is_new = resource.configs.empty();
  const std::size_t groups = context.state.group_configs().size() + context.groups_made;
  if (is_new && groups >= context.limits.groups_max) {
    return {ErrorCode::policy_violation,
            fmt::format("{} groups may have configs (groups.groups_max).",
                        context.limits.groups_max)};
  }
  bool grows = false;
  for (const ConfigRecord& config : configs) grows |= config.value.has_value();
  Refusal refusal =
      context.commit(GroupConfigRecord{std::string(resource.group), std::move(configs)}, grows);
  if (is_new && !refusal.refused()) ++context.groups_made;
  return refusal;
}

Refusal commit_configs(RequestContext& context, const Resource& resource, const ConfigMap& after) {
  if (Refusal large = check_config_bytes(context.limits, after); large.refused()) return large;
  std::vector<ConfigRecord> configs = difference(resource.configs, after);
  if (configs.empty()) return {};
  if (!resource.group.empty()) return commit_group(context, resource, std::move(configs));
  bool grows = false;
  for (const ConfigRecord& config : configs) grows |= config.value.has_value();
  if (resource.topic != nullptr) {
    return context.commit(TopicConfigRecord{resource.topic->id, std::move(configs)}, grows);
  }
  return context.commit(BrokerConfigRecord{resource.node, std::move(configs)}, grows);
}

Refusal check_duplicates(const std::vector<Change>& changes) {
  std::set<std::string_view> names;
  for (const Change& change : changes) {
    if (!names.insert(change.name).second) {
      return {ErrorCode::invalid_request,
              fmt::format("Error due to duplicate config keys: {}", change.name)};
    }
  }
  return {};
}

Refusal alter_resource(RequestContext& context, const Resource& resource,
                       const std::vector<Change>& changes, bool replaces, bool validate_only) {
  ConfigMap after = replaces ? ConfigMap{} : resource.configs;
  for (const Change& change : changes) {
    Refusal refusal = apply_change(context, resource, change, after);
    if (refusal.refused()) return refusal;
  }
  if (!resource.group.empty()) {
    Refusal refusal = check_group_configs(context.limits, after);
    if (refusal.refused()) return refusal;
  }
  return validate_only ? Refusal{} : commit_configs(context, resource, after);
}

// Response and per-resource loop, the same for both APIs. `before`: what the changes start from.
template <class Request, class Response, class ToChange>
Outcome alter(RequestContext& context, const Request& request, bool replaces,
              const ToChange& to_change) {
  std::map<std::pair<std::int8_t, std::string_view>, int> counts;
  for (const auto& item : request.resources) ++counts[{item.resource_type, item.resource_name}];
  std::vector<typename Response::AlterConfigsResourceResponse> responses;
  for (const auto& item : request.resources) {
    Refusal refusal = context.refuse_all;
    if (!refusal.refused() && counts[{item.resource_type, item.resource_name}] > 1) {
      refusal = {ErrorCode::invalid_request, "Each resource must appear at most once."};
    }
    Resource resource;
    if (!refusal.refused()) {
      refusal = find_resource(context, item.resource_type, item.resource_name, resource);
    }
    if (!refusal.refused() && replaces && item.resource_type == logger_resource) {
      refusal = {ErrorCode::invalid_request, "Loggers can only be changed incrementally."};
    }
    std::vector<Change> changes;
    for (const auto& config : item.configs) {
      if (!refusal.refused()) refusal = to_change(config, changes.emplace_back());
    }
    if (!refusal.refused()) refusal = check_duplicates(changes);
    if (!refusal.refused() && item.resource_type == logger_resource) {
      refusal = alter_loggers(changes, request.validate_only);
    } else if (!refusal.refused()) {
      refusal = alter_resource(context, resource, changes, replaces, request.validate_only);
    }
    auto& result = responses.emplace_back();
    result.error_code = refusal.wire_code();
    result.error_message = context.text(std::move(refusal.message));
    result.resource_type = item.resource_type;
    result.resource_name = item.resource_name;
  }
  Response response;
  response.responses = responses;
  return context.answer(response);
}

}  // namespace

Outcome alter_configs(RequestContext& context) {
  using Request = kafka::AlterConfigsRequest;
  const Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  const auto to_change = [](const Request::AlterConfigsResource::AlterableConfig& config,
                            Change& change) {
    change = {config.name, ConfigOp::set, config.value};
    return Refusal{};
  };
  return alter<Request, kafka::AlterConfigsResponse>(context, *request, true, to_change);
}

Outcome incremental_alter_configs(RequestContext& context) {
  using Request = kafka::IncrementalAlterConfigsRequest;
  const Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  const auto to_change = [](const Request::AlterConfigsResource::AlterableConfig& config,
                            Change& change) {
    if (config.config_operation < 0 || config.config_operation > 3) {
      return Refusal{ErrorCode::invalid_request,
                     fmt::format("Unknown operation type {} for config {}.",
                                 config.config_operation, config.name)};
    }
    change = {config.name, static_cast<ConfigOp>(config.config_operation), config.value};
    return Refusal{};
  };
  return alter<Request, kafka::IncrementalAlterConfigsResponse>(context, *request, false,
                                                                to_change);
}

}  // namespace tailrace::control
