// DescribeConfigs: every config of a topic, a group or this broker, with where its value comes
// from, and what there is of loggers and client metrics.
// Tools compare the whole list, so unchanged configs are told as well.
#include <charconv>

#include "base/log.h"
#include "broker/answer.h"
#include "broker/config_resource.h"
#include "broker/topic_settings.h"
#include "kafka/broker_config.h"
#include "kafka/gen/describe_configs.h"
#include "kafka/group_config.h"

namespace tailrace::broker {
namespace {

using kafka::ConfigSource;
using Body = kafka::DescribeConfigsRequest;
using Resource = Body::DescribeConfigsResource;
using Answer = kafka::DescribeConfigsResponse::DescribeConfigsResult;
using Config = Answer::DescribeConfigsResourceResult;
using Synonym = Config::DescribeConfigsSynonym;

// A ConfigSource that only loggers have.
constexpr std::int8_t dynamic_broker_logger = 6;

bool is_asked(const Resource& resource, std::string_view name) {
  if (resource.configuration_keys.is_null()) return true;
  for (const std::string_view key : resource.configuration_keys.items) {
    if (key == name) return true;
  }
  return false;
}

struct Synonyms {
  std::array<Synonym, 5> items;
  std::size_t count = 0;
  void add(std::string_view name, std::string_view value, ConfigSource source) {
    items[count++] = {name, value, static_cast<std::int8_t>(source)};
  }
};

// The values that would be in force one after the other, the one that is first.
void add_broker_synonyms(const Core& core, std::string_view name, std::string_view default_value,
                         Synonyms& synonyms) {
  if (const auto* entry = find_entry(core.image->broker_configs, name)) {
    synonyms.add(name, entry->value, ConfigSource::dynamic_broker);
  }
  if (const auto* entry = find_entry(core.image->broker_defaults, name)) {
    synonyms.add(name, entry->value, ConfigSource::dynamic_default_broker);
  }
  if (const auto* entry = find_entry(core.config.values, name)) {
    synonyms.add(name, entry->value, ConfigSource::static_broker);
  }
  synonyms.add(name, default_value, ConfigSource::default_value);
}

// Of a topic or a group. `own`: what was set for it; `source`: how that is told.
Synonyms synonyms_of(const Core& core, std::span<const bus::ConfigEntry> own, ConfigSource source,
                     const kafka::ConfigDef& def) {
  Synonyms synonyms;
  if (const auto* entry = find_entry(own, def.name)) {
    synonyms.add(def.name, entry->value, source);
  }
  if (def.broker_synonym.empty()) {
    synonyms.add(def.name, def.default_value, ConfigSource::default_value);
  } else {
    add_broker_synonyms(core, def.broker_synonym, def.default_value, synonyms);
  }
  return synonyms;
}

void fill_config(Core& core, Request& request, const Body& body, const Synonyms& synonyms,
                 const kafka::ConfigDef& def, bool read_only, Config& out) {
  out.name = def.name;
  out.value = kafka::NullableString(synonyms.items[0].value.value);
  out.read_only = read_only;
  out.config_source = synonyms.items[0].source;
  out.config_type = static_cast<std::int8_t>(def.type);
  if (body.include_documentation) out.documentation = kafka::NullableString(def.documentation);
  if (!body.include_synonyms) return;
  out.synonyms = take_array<Synonym>(core, request, synonyms.count);
  std::copy_n(synonyms.items.begin(), out.synonyms.size(), out.synonyms.begin());
}

void describe_all(Core& core, Request& request, const Body& body, const Resource& resource,
                  std::span<const kafka::ConfigDef> defs, std::span<const bus::ConfigEntry> own,
                  ConfigSource source, Answer& out) {
  const auto configs = take_array<Config>(core, request, defs.size());
  std::size_t count = 0;
  for (const kafka::ConfigDef& def : defs) {
    if (configs.empty() || !is_asked(resource, def.name)) continue;
    fill_config(core, request, body, synonyms_of(core, own, source, def), def, false,
                configs[count++]);
  }
  out.configs = configs.first(count);
}

void describe_topic(Core& core, Request& request, const Body& body, const Resource& resource,
                    Answer& out) {
  const bus::TopicImage* topic = core.image->find_topic(resource.resource_name);
  if (topic == nullptr) {
    out.error_code = to_wire(kafka::ErrorCode::unknown_topic_or_partition);
    out.error_message = "This server does not host this topic-partition.";
    return;
  }
  describe_all(core, request, body, resource, kafka::topic_config_defs(), topic->configs,
               ConfigSource::topic, out);
}

// Its own number, or nothing for what all brokers have in common.
bool names_this_broker(const Core& core, std::string_view name) {
  std::int32_t id = -1;
  const auto parsed = std::from_chars(name.data(), name.data() + name.size(), id);
  return name.empty() || (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size() &&
                          id == core.image->node_id);
}

void refuse(const char* why, Answer& out) {
  out.error_code = to_wire(kafka::ErrorCode::invalid_request);
  out.error_message = why;
}

// Whether there is such a group is of no interest: its configs wait for it.
void describe_group(Core& core, Request& request, const Body& body, const Resource& resource,
                    Answer& out) {
  if (resource.resource_name.empty()) return refuse("Group name must not be empty", out);
  std::span<const bus::ConfigEntry> own;
  if (const bus::GroupConfigs* groups = core.image->group_configs.get()) {
    const auto found = groups->find(resource.resource_name);
    if (found != groups->end()) own = found->second;
  }
  describe_all(core, request, body, resource, kafka::group_config_defs(), own,
               ConfigSource::group, out);
}

// In the words of Kafka's loggers.
std::string_view log_level_name() {
  if (log_enabled(LogLevel::debug)) return "DEBUG";
  if (log_enabled(LogLevel::info)) return "INFO";
  return log_enabled(LogLevel::warn) ? "WARN" : "ERROR";
}

// There is one log, so there is one logger.
void describe_loggers(Core& core, Request& request, const Resource& resource, Answer& out) {
  if (resource.resource_name.empty() || !names_this_broker(core, resource.resource_name)) {
    return refuse("Unexpected broker id: ask the broker itself.", out);
  }
  if (!is_asked(resource, "root")) return;
  out.configs = take_array<Config>(core, request, 1);
  for (Config& config : out.configs) {
    config.name = "root";
    config.value = log_level_name();
    config.config_source = dynamic_broker_logger;
  }
}

// A subscription that nobody has made has the values of all that are made; nobody can make one,
// since there is no receiver of client metrics.
void describe_client_metrics(Core& core, Request& request, const Body& body,
                             const Resource& resource, Answer& out) {
  static constexpr kafka::ConfigDef defs[] = {
      {"interval.ms", kafka::ConfigType::int32, "300000", "", 100, 3'600'000, "",
       "How often clients send their metrics."},
      {"match", kafka::ConfigType::list, "", "", 0, 0, "", "Which clients send them."},
      {"metrics", kafka::ConfigType::list, "", "", 0, 0, "", "Which metrics they send."}};
  if (resource.resource_name.empty()) {
    return refuse("Client metrics subscription name must not be empty", out);
  }
  const auto configs = take_array<Config>(core, request, std::size(defs));
  std::size_t count = 0;
  for (const kafka::ConfigDef& def : defs) {
    if (configs.empty() || !is_asked(resource, def.name)) continue;
    Synonyms synonyms;
    synonyms.add(def.name, def.default_value, ConfigSource::default_value);
    fill_config(core, request, body, synonyms, def, false, configs[count]);
    configs[count++].synonyms = {};
  }
  out.configs = configs.first(count);
}

void describe_broker(Core& core, Request& request, const Body& body, const Resource& resource,
                     Answer& out) {
  if (!names_this_broker(core, resource.resource_name)) {
    return refuse("Unexpected broker id: ask the broker itself.", out);
  }
  // Without a number only what was set for all brokers is told, and nothing of any one.
  const bool only_set = resource.resource_name.empty();
  const auto& defs = kafka::broker_config_defs();
  const auto configs = take_array<Config>(core, request, defs.size());
  std::size_t count = 0;
  for (const kafka::BrokerConfigDef& config : defs) {
    if (configs.empty() || !is_asked(resource, config.def.name)) continue;
    Synonyms synonyms;
    if (only_set) {
      const auto* entry = find_entry(core.image->broker_defaults, config.def.name);
      if (entry == nullptr) continue;
      synonyms.add(config.def.name, entry->value, ConfigSource::dynamic_default_broker);
    } else {
      add_broker_synonyms(core, config.def.name, config.def.default_value, synonyms);
    }
    fill_config(core, request, body, synonyms, config.def, config.read_only, configs[count++]);
  }
  out.configs = configs.first(count);
}

}  // namespace

Started start_describe_configs(Core& core, Call& call, Now) {
  Body body;
  if (!decode(core, call, body)) return Started::close;
  kafka::DescribeConfigsResponse response;
  response.results = take_array<Answer>(core, call.request, body.resources.size());
  for (std::size_t i = 0; i < response.results.size(); ++i) {
    const Resource& resource = body.resources[i];
    Answer& out = response.results[i];
    out.resource_type = resource.resource_type;
    out.resource_name = resource.resource_name;
    switch (static_cast<ConfigResource>(resource.resource_type)) {
      case ConfigResource::topic:
        describe_topic(core, call.request, body, resource, out);
        break;
      case ConfigResource::broker:
        describe_broker(core, call.request, body, resource, out);
        break;
      case ConfigResource::broker_logger:
        describe_loggers(core, call.request, resource, out);
        break;
      case ConfigResource::client_metrics:
        describe_client_metrics(core, call.request, body, resource, out);
        break;
      case ConfigResource::group:
        describe_group(core, call.request, body, resource, out);
        break;
      default: refuse("Unexpected resource type.", out);
    }
  }
  return answer_now(core, call, response);
}

}  // namespace tailrace::broker
