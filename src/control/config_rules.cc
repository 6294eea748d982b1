#include "control/config_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "kafka/broker_config.h"
#include "kafka/group_config.h"
#include "kafka/topic_config.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// A batch is one group commit, so the log's frame bounds it.
Refusal check_batch_bytes(const Limits& limits, std::string_view name, std::string_view value) {
  std::int64_t bytes = 0;
  std::from_chars(value.data(), value.data() + value.size(), bytes);
  if (bytes <= static_cast<std::int64_t>(limits.batch_bytes_max)) return {};
  return {ErrorCode::invalid_config,
          fmt::format("Invalid value {} for configuration {}: Value must be no more than {}, the "
                      "largest batch this node's log can take (storage.frame_bytes_max)",
                      value, name, limits.batch_bytes_max)};
}

Duration time_in(const ConfigMap& configs, std::string_view name, Duration otherwise) {
  const auto found = configs.find(name);
  if (found == configs.end()) return otherwise;
  std::int64_t ms = 0;
  const std::string& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), ms);
  return ms > 0 ? milliseconds(ms) : otherwise;
}

// `what`: the end of the broker configs that have the limits.
Refusal check_time(std::string_view name, Duration time, Duration min, Duration max,
                   std::string_view what) {
  if (time < min) {
    return {ErrorCode::invalid_config,
            fmt::format("{} must be greater than or equal to group.consumer.min.{}", name, what)};
  }
  if (max < time) {
    return {ErrorCode::invalid_config,
            fmt::format("{} must be less than or equal to group.consumer.max.{}", name, what)};
  }
  return {};
}

std::vector<std::string_view> items_of(std::string_view list) {
  std::vector<std::string_view> items;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.push_back(item);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return items;
}

bool contains(const std::vector<std::string_view>& items, std::string_view item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

std::string joined(const std::vector<std::string_view>& items) {
  return fmt::format("{}", fmt::join(items, ","));
}

}  // namespace

Refusal check_topic_config(const Limits& limits, std::string_view name, std::string_view value) {
  kafka::TopicConfig config;
  std::string why;
  if (!kafka::set_topic_config(config, name, value, why)) {
    return {ErrorCode::invalid_config, std::move(why)};
  }
  return name == "max.message.bytes" ? check_batch_bytes(limits, name, value) : Refusal{};
}

Refusal check_broker_config(const Limits& limits, std::string_view name, std::string_view value) {
  const kafka::BrokerConfigDef* config = kafka::find_broker_config(name);
  if (config == nullptr) {
    return {ErrorCode::invalid_config, fmt::format("Unknown broker config name: {}", name)};
  }
  if (config->read_only) {
    return {ErrorCode::invalid_request,
            fmt::format("Cannot update these configs dynamically: Set({})", name)};
  }
  std::string why;
  if (!kafka::check_config(config->def, value, why)) {
    return {ErrorCode::invalid_config, std::move(why)};
  }
  return name == "message.max.bytes" ? check_batch_bytes(limits, name, value) : Refusal{};
}

Refusal check_group_config(std::string_view name, std::string_view value) {
  const kafka::ConfigDef* def = kafka::find_group_config(name);
  if (def == nullptr) {
    return {ErrorCode::invalid_config, fmt::format("Unknown group config name: {}", name)};
  }
  std::string why;
  if (!kafka::check_config(*def, value, why)) return {ErrorCode::invalid_config, std::move(why)};
  return {};
}

Refusal check_group_configs(const Limits& limits, const ConfigMap& configs) {
  const GroupTimes times = group_times(limits, configs);
  // What is not set is as the profile says, wherever that is.
  if (configs.contains(kafka::group_heartbeat_interval_ms)) {
    Refusal refusal = check_time(kafka::group_heartbeat_interval_ms, times.heartbeat_interval,
                                 limits.consumer_heartbeat_interval_min,
                                 limits.consumer_heartbeat_interval_max, "heartbeat.interval.ms");
    if (refusal.refused()) return refusal;
  }
  if (configs.contains(kafka::group_session_timeout_ms)) {
    Refusal refusal = check_time(kafka::group_session_timeout_ms, times.session_timeout,
                                 limits.consumer_session_timeout_min,
                                 limits.consumer_session_timeout_max, "session.timeout.ms");
    if (refusal.refused()) return refusal;
  }
  if (configs.empty() || times.heartbeat_interval < times.session_timeout) return {};
  return {ErrorCode::invalid_config,
          fmt::format("{} must be greater than {}", kafka::group_session_timeout_ms,
                      kafka::group_heartbeat_interval_ms)};
}

GroupTimes group_times(const Limits& limits, const ConfigMap& configs) {
  return {time_in(configs, kafka::group_session_timeout_ms, limits.consumer_session_timeout),
          time_in(configs, kafka::group_heartbeat_interval_ms,
                  limits.consumer_heartbeat_interval)};
}

Refusal check_config_bytes(const Limits& limits, const ConfigMap& configs) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : configs) bytes += name.size() + value.size();
  if (bytes <= limits.config_bytes_max) return {};
  return {ErrorCode::policy_violation,
          fmt::format("All configs together may have {} bytes.", limits.config_bytes_max)};
}

std::string list_with(std::string_view list, std::string_view items) {
  std::vector<std::string_view> all = items_of(list);
  for (const std::string_view item : items_of(items)) {
    if (!contains(all, item)) all.push_back(item);
  }
  return joined(all);
}

std::string list_without(std::string_view list, std::string_view items) {
  std::vector<std::string_view> all = items_of(list);
  const std::vector<std::string_view> gone = items_of(items);
  std::erase_if(all, [&gone](std::string_view item) { return contains(gone, item); });
  return joined(all);
}

}  // namespace tailrace::control
