#include "control/logger_change.h"

#include <fmt/format.h>

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

// Kafka's levels; the finest and the gravest are as their neighbours here.
bool read_level(std::string_view name, LogLevel& level) {
  if (name == "TRACE" || name == "DEBUG") return level = LogLevel::debug, true;
  if (name == "INFO") return level = LogLevel::info, true;
  if (name == "WARN") return level = LogLevel::warn, true;
  if (name == "ERROR" || name == "FATAL") return level = LogLevel::error, true;
  return false;
}

}  // namespace

Refusal read_logger_change(std::string_view logger, std::int8_t operation,
                           const kafka::NullableString& value, LogLevel& level) {
  if (operation < 0 || operation > 3) {
    return {ErrorCode::invalid_request, fmt::format("Unknown operation {}", operation)};
  }
  if (operation >= 2) {
    return {ErrorCode::invalid_request,
            fmt::format("{} operation is not allowed for the BROKER_LOGGER resource",
                        operation == 2 ? "APPEND" : "SUBTRACT")};
  }
  if (logger != root_logger) {
    return {ErrorCode::invalid_config, fmt::format("Logger {} does not exist!", logger)};
  }
  if (operation == 1) {
    return {ErrorCode::invalid_request,
            fmt::format("Removing the log level of the {} logger is not allowed", root_logger)};
  }
  const std::string_view name = value.is_null() ? std::string_view{} : value.value;
  if (read_level(name, level)) return {};
  return {ErrorCode::invalid_config,
          fmt::format("Cannot set the log level of {} to {} as it is not a supported log level. "
                      "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN", logger,
                      name)};
}

}  // namespace tailrace::control
