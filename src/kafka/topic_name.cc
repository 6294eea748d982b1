#include "kafka/topic_name.h"

#include <algorithm>

namespace tailrace::kafka {
namespace {

bool is_legal(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

TopicNameFault fault_of_topic_name(std::string_view name) {
  if (name.empty()) return TopicNameFault::empty;
  if (name == "." || name == "..") return TopicNameFault::dots;
  if (name.size() > topic_name_bytes_max) return TopicNameFault::too_long;
  if (!std::all_of(name.begin(), name.end(), is_legal)) return TopicNameFault::bad_character;
  if (name == "__cluster_metadata") return TopicNameFault::reserved;
  return TopicNameFault::none;
}

}  // namespace tailrace::kafka
