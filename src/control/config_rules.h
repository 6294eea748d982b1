// Rules for setting configs, with refusals in Kafka's words.
#pragma once

#include <string>
#include <string_view>

#include "control/request_context.h"

namespace tailrace::control {

Refusal check_topic_config(const Limits& limits, std::string_view name, std::string_view value);
// Also refuses what cannot be changed while the broker runs.
Refusal check_broker_config(const Limits& limits, std::string_view name, std::string_view value);
// One that is set for a group, and all that will be: they must fit the limits and each other.
Refusal check_group_config(std::string_view name, std::string_view value);
Refusal check_group_configs(const Limits& limits, const ConfigMap& configs);
// What is in force for a group: its own, else the node's.
struct GroupTimes {
  Duration session_timeout;
  Duration heartbeat_interval;
};
GroupTimes group_times(const Limits& limits, const ConfigMap& configs);

// Are these configs too many or too long?
Refusal check_config_bytes(const Limits& limits, const ConfigMap& configs);

// The items of a list config: `list` with those of `items` added at the end, or taken out.
std::string list_with(std::string_view list, std::string_view items);
std::string list_without(std::string_view list, std::string_view items);

}  // namespace tailrace::control
