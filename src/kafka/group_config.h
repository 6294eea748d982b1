// Group configs: what can be set for one consumer group (resource type GROUP, of KIP-848). Those
// of share groups and streams groups are unknown here, as the groups are.
#pragma once

#include <span>

#include "kafka/topic_config.h"

namespace tailrace::kafka {

inline constexpr std::string_view group_session_timeout_ms = "consumer.session.timeout.ms";
inline constexpr std::string_view group_heartbeat_interval_ms = "consumer.heartbeat.interval.ms";

// By name. The limits in them are the type's: the broker's own are narrower.
std::span<const ConfigDef> group_config_defs();
const ConfigDef* find_group_config(std::string_view name);

}  // namespace tailrace::kafka
