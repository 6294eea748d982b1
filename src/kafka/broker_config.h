// Broker configs: the names Kafka's tools ask a broker for. Those that give topics their defaults
// share the definition of the topic config.
#pragma once

#include <vector>

#include "kafka/topic_config.h"

namespace tailrace::kafka {

struct BrokerConfigDef {
  ConfigDef def;
  bool read_only = true;  // false: may be changed while the broker runs
};

// By name.
const std::vector<BrokerConfigDef>& broker_config_defs();
const BrokerConfigDef* find_broker_config(std::string_view name);

}  // namespace tailrace::kafka
