#include "kafka/group_config.h"

namespace tailrace::kafka {
namespace {

constexpr ConfigDef defs[] = {
    {group_heartbeat_interval_ms, ConfigType::int32, "5000", "group.consumer.heartbeat.interval.ms",
     1, INT32_MAX, "", "How often members of the consumer protocol are to send heartbeats."},
    {group_session_timeout_ms, ConfigType::int32, "45000", "group.consumer.session.timeout.ms", 1,
     INT32_MAX, "", "How long a member of the consumer protocol may be silent."},
};

}  // namespace

std::span<const ConfigDef> group_config_defs() { return defs; }

const ConfigDef* find_group_config(std::string_view name) {
  for (const ConfigDef& def : defs) {
    if (def.name == name) return &def;
  }
  return nullptr;
}

}  // namespace tailrace::kafka
