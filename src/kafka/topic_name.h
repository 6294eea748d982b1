// Which names a topic may have: one rule for all who are asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tailrace::kafka {

inline constexpr std::size_t topic_name_bytes_max = 249;

enum class TopicNameFault : std::uint8_t {
  none,
  empty,
  dots,           // "." or ".."
  too_long,
  bad_character,  // none of [a-zA-Z0-9._-]
  reserved,       // Kafka's metadata log, which is not a topic that clients can have
};

TopicNameFault fault_of_topic_name(std::string_view name);

inline bool is_topic_name(std::string_view name) {
  return fault_of_topic_name(name) == TopicNameFault::none;
}

}  // namespace tailrace::kafka
