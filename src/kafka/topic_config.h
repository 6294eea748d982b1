// Topic configs: every name Kafka 4 knows, with its type, default and limits. All are accepted,
// checked and told back; TopicConfig holds the values the broker acts on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tailrace::kafka {

// Numbers as in DescribeConfigs.
enum class ConfigType : std::int8_t {
  unknown = 0, boolean = 1, string = 2, int32 = 3, int16 = 4, int64 = 5, float64 = 6, list = 7,
};

// Numbers as in DescribeConfigs.
enum class ConfigSource : std::int8_t {
  topic = 1, dynamic_broker = 2, dynamic_default_broker = 3, static_broker = 4, default_value = 5,
  group = 8,
};

struct TopicConfig {
  bool delete_policy = true;
  bool compact_policy = false;
  std::int64_t retention_ms = 604'800'000;
  std::int64_t retention_bytes = -1;
  std::int64_t segment_bytes = 1'073'741'824;
  std::int64_t segment_ms = 604'800'000;
  std::int64_t max_message_bytes = 1'048'588;
  bool log_append_time = false;
  std::int64_t timestamp_before_ms_max = INT64_MAX;
  std::int64_t timestamp_after_ms_max = 3'600'000;
  // A record::Codec number, or -1 for "producer": stored as sent.
  std::int8_t compression = -1;
  std::int64_t min_insync_replicas = 1;
  double min_cleanable_dirty_ratio = 0.5;
  std::int64_t min_compaction_lag_ms = 0;
  std::int64_t max_compaction_lag_ms = INT64_MAX;
  std::int64_t delete_retention_ms = 86'400'000;
};

struct ConfigDef {
  std::string_view name;
  ConfigType type;
  std::string_view default_value;
  std::string_view broker_synonym;   // the broker config that gives the default
  std::int64_t min = INT64_MIN;      // for numbers
  std::int64_t max = INT64_MAX;
  std::string_view choices;          // "a,b,c", for strings and lists
  std::string_view documentation;
};

std::span<const ConfigDef> topic_config_defs();
const ConfigDef* find_topic_config(std::string_view name);

// Checks `value` against `def`. Errors: invalid_argument, and `why` says it in Kafka's manner.
Result<void> check_config(const ConfigDef& def, std::string_view value, std::string& why);

// Sets one config. Errors: as check_config; not_found for an unknown name.
Result<void> set_topic_config(TopicConfig& config, std::string_view name, std::string_view value,
                              std::string& why);

}  // namespace tailrace::kafka
