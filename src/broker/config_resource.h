// Kinds of resources that have configs, numbered as on the wire.
#pragma once

#include <cstdint>

namespace tailrace::broker {

enum class ConfigResource : std::int8_t {
  topic = 2,
  broker = 4,
  broker_logger = 8,
  client_metrics = 16,
  group = 32,
};

}  // namespace tailrace::broker
