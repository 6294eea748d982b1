// Changes of the log's level by IncrementalAlterConfigs, as those of Kafka's loggers.
#pragma once

#include <string_view>

#include "base/log.h"
#include "control/request_context.h"

namespace tailrace::control {

// There is one log, so there is one logger.
inline constexpr std::string_view root_logger = "root";

// `operation`: 0 set, 1 delete, 2 append, 3 subtract. `level` is what to set.
Refusal read_logger_change(std::string_view logger, std::int8_t operation,
                           const kafka::NullableString& value, LogLevel& level);

}  // namespace tailrace::control
