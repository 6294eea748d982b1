// A text that may be missing, in a request or record of Kafka's and as it is kept here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kafka/wire.h"

namespace tailrace::control {

// Lives as long as `text`.
inline kafka::NullableString nullable(const std::optional<std::string>& text) {
  if (!text) return nullptr;
  return std::string_view(*text);
}

inline std::optional<std::string> optional_of(const kafka::NullableString& text) {
  if (text.is_null()) return std::nullopt;
  return std::string(text.value);
}

}  // namespace tailrace::control
