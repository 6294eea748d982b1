// CreateTopics, also on a client's behalf (auto-create).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "control/config_rules.h"
#include "control/internal_topics.h"
#include "control/placement.h"
#include "control/request_context.h"
#include "control/topic_rules.h"
#include "kafka/gen/create_topics.h"
#include "kafka/topic_config.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// The first version with THROTTLING_QUOTA_EXCEEDED.
constexpr std::int16_t strict_from = 6;

using Request = kafka::CreateTopicsRequest;
using Response = kafka::CreateTopicsResponse;
using WantedTopic = Request::CreatableTopic;
using ShownConfig = Response::CreatableTopicResult::CreatableTopicConfigs;

class Creator {
 public:
  explicit Creator(RequestContext& context) : context_(context) {}

  Outcome run(const Request& request) {
    std::map<std::string_view, int> counts;
    for (const WantedTopic& topic : request.topics) ++counts[topic.name];
    std::vector<Response::CreatableTopicResult> results;
    for (const WantedTopic& topic : request.topics) {
      TopicRecord record;
      Refusal refusal = context_.refuse_all;
      if (!refusal.refused() && counts[topic.name] > 1) {
        refusal = {ErrorCode::invalid_request, "Duplicate topic name."};
      }
      if (!refusal.refused()) refusal = plan(topic, record);
      if (!refusal.refused()) refusal = take(record, request.validate_only);
      results.push_back(result(topic, record, refusal, request.validate_only));
    }
    Response response;
    response.topics = results;
    return context_.answer(response);
  }

 private:
  Refusal plan(const WantedTopic& topic, TopicRecord& record) {
    if (Refusal refusal = check_name(topic.name); refusal.refused()) return refusal;
    record.name = topic.name;
    record.is_internal = is_internal_topic(topic.name);
    if (context_.request.on_behalf && topic.name == offsets_topic_name) {
      return place_offsets(record);
    }
    Refusal refusal =
        topic.assignments.empty() ? place(topic, record) : assign(topic, record);
    if (!refusal.refused()) refusal = set_configs(topic, record);
    return refusal;
  }

  Refusal check_name(std::string_view name) const {
    if (Refusal refusal = check_topic_name(name); refusal.refused()) return refusal;
    if (context_.state.find_topic(name) != nullptr) {
      return {ErrorCode::topic_already_exists, fmt::format("Topic '{}' already exists.", name)};
    }
    const Topic* other = context_.state.find_collision(name);
    const auto planned = planned_names_.find(metric_name(name));
    if (other == nullptr && planned == planned_names_.end()) return {};
    return {ErrorCode::invalid_topic,
            fmt::format("Topic '{}' collides with existing topic: {}", name,
                        other != nullptr ? other->name : planned->second)};
  }

  // A client has asked for the topic of groups before any group did.
  Refusal place_offsets(TopicRecord& record) {
    record = new_offsets_topic(context_.limits, context_.state, context_.prng);
    return check_partition_total(context_, planned_partitions_, record.partitions.size());
  }

  Refusal place(const WantedTopic& topic, TopicRecord& record) {
    if (topic.num_partitions == 0 || topic.num_partitions < -1) {
      return {ErrorCode::invalid_partitions,
              "Number of partitions was set to an invalid non-positive value."};
    }
    if (topic.replication_factor == 0 || topic.replication_factor < -1) {
      return {ErrorCode::invalid_replication_factor,
              "Replication factor was set to an invalid non-positive value."};
    }
    const auto count = static_cast<std::uint64_t>(
        topic.num_partitions == -1 ? default_partitions() : topic.num_partitions);
    const auto replicas =
        static_cast<std::size_t>(topic.replication_factor == -1 ? 1 : topic.replication_factor);
    const std::vector<bus::NodeId> nodes = node_ids(context_.state);
    if (replicas > nodes.size()) {
      return {ErrorCode::invalid_replication_factor,
              fmt::format("Unable to replicate the partition {} time(s): The target replication "
                          "factor of {} cannot be reached because only {} broker(s) are "
                          "registered.", replicas, replicas, nodes.size())};
    }
    if (Refusal full = check_partition_total(context_, planned_partitions_, count);
        full.refused()) {
      return full;
    }
    const std::size_t start = context_.prng.below(nodes.size());
    for (auto& placed : place_partitions(nodes, count, replicas, start)) {
      record.partitions.push_back(new_partition(std::move(placed)));
    }
    return {};
  }

  Refusal assign(const WantedTopic& topic, TopicRecord& record) {
    if (topic.num_partitions != -1 || topic.replication_factor != -1) {
      return {ErrorCode::invalid_request,
              fmt::format("A manual partition assignment was specified, but {} was not set to -1.",
                          topic.num_partitions != -1 ? "numPartitions" : "replication factor")};
    }
    const std::size_t count = topic.assignments.size();
    if (Refusal full = check_partition_total(context_, planned_partitions_, count);
        full.refused()) {
      return full;
    }
    record.partitions.resize(count);
    for (const auto& assignment : topic.assignments) {
      const std::int32_t index = assignment.partition_index;
      if (index < 0 || static_cast<std::size_t>(index) >= count) {
        return {ErrorCode::invalid_replica_assignment,
                "partitions should be a consecutive 0-based integer sequence"};
      }
      if (!record.partitions[index].replicas.empty()) {
        return {ErrorCode::invalid_replica_assignment,
                fmt::format("Found multiple manual partition assignments for partition {}",
                            index)};
      }
      Refusal refusal = check_replicas(context_.state, assignment.broker_ids,
                                       topic.assignments.front().broker_ids.size());
      if (refusal.refused()) return refusal;
      record.partitions[index] =
          new_partition({assignment.broker_ids.begin(), assignment.broker_ids.end()});
    }
    return {};
  }

  Refusal set_configs(const WantedTopic& topic, TopicRecord& record) {
    ConfigMap configs;
    for (const auto& config : topic.configs) {
      if (config.value.is_null()) {
        return {ErrorCode::invalid_config,
                fmt::format("Null value not supported for topic configs: {}", config.name)};
      }
      Refusal refusal = check_topic_config(context_.limits, config.name, config.value.value);
      if (refusal.refused()) return refusal;
      configs.insert_or_assign(std::string(config.name), std::string(config.value.value));
    }
    for (const auto& [name, value] : configs) record.configs.push_back({name, value});
    return check_config_bytes(context_.limits, configs);
  }

  Refusal take(TopicRecord& record, bool validate_only) {
    record.id = random_uuid(context_.prng);
    while (context_.state.find_topic(record.id) != nullptr || record.id.is_zero()) {
      record.id = random_uuid(context_.prng);
    }
    if (!validate_only) {
      Refusal limited = context_.count_mutations(record.partitions.size(), strict_from);
      if (limited.refused()) return limited;
      if (Refusal refusal = context_.commit(record, true); refusal.refused()) return refusal;
    }
    planned_names_[metric_name(record.name)] = record.name;
    planned_partitions_ += record.partitions.size();
    return {};
  }

  Response::CreatableTopicResult result(const WantedTopic& topic, const TopicRecord& record,
                                        const Refusal& refusal, bool validate_only) {
    Response::CreatableTopicResult result;
    result.name = topic.name;
    result.error_code = refusal.wire_code();
    result.error_message = context_.text(refusal.message);
    if (refusal.refused()) return result;
    if (!validate_only) result.topic_id = record.id;
    result.num_partitions = static_cast<std::int32_t>(record.partitions.size());
    result.replication_factor =
        static_cast<std::int16_t>(record.partitions.front().replicas.size());
    result.configs = shown_configs(record);
    return result;
  }

  // All configs of the new topic, those that were not set included.
  std::span<ShownConfig> shown_configs(const TopicRecord& record) {
    std::vector<ShownConfig>& shown = shown_.emplace_back();
    for (const kafka::ConfigDef& def : kafka::topic_config_defs()) {
      ShownConfig& config = shown.emplace_back();
      config.name = def.name;
      const auto set = std::find_if(record.configs.begin(), record.configs.end(),
                                    [&def](const ConfigRecord& c) { return c.name == def.name; });
      if (set != record.configs.end()) {
        config.value = std::string_view(context_.texts.emplace_back(*set->value));
        config.config_source = static_cast<std::int8_t>(kafka::ConfigSource::topic);
      } else {
        show_default(def, config);
      }
    }
    return shown;
  }

  void show_default(const kafka::ConfigDef& def, ShownConfig& config) {
    using kafka::ConfigSource;
    const ClusterState& state = context_.state;
    config.value = def.default_value;
    config.config_source = static_cast<std::int8_t>(ConfigSource::default_value);
    if (def.broker_synonym.empty()) return;
    const std::string* value = state.broker_config(context_.node_id, def.broker_synonym);
    if (value == nullptr) return;
    const bool own = state.broker_configs(context_.node_id).contains(def.broker_synonym);
    config.value = std::string_view(*value);
    config.config_source = static_cast<std::int8_t>(own ? ConfigSource::dynamic_broker
                                                        : ConfigSource::dynamic_default_broker);
  }

  std::int32_t default_partitions() const {
    const std::string* text = context_.state.broker_config(context_.node_id, "num.partitions");
    std::int32_t count = 1;
    if (text != nullptr) std::from_chars(text->data(), text->data() + text->size(), count);
    return count;
  }

  static std::string metric_name(std::string_view name) {
    std::string metric(name);
    std::replace(metric.begin(), metric.end(), '.', '_');
    return metric;
  }

  RequestContext& context_;
  std::map<std::string, std::string> planned_names_;  // of this request, by metric name
  std::uint64_t planned_partitions_ = 0;
  std::deque<std::vector<ShownConfig>> shown_;
};

}  // namespace

Outcome create_topics(RequestContext& context) {
  const Result<Request> request = context.decode<Request>();
  if (!request) return context.cannot_decode();
  return Creator(context).run(*request);
}

}  // namespace tailrace::control
