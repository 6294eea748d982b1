#include "kafka/topic_config.h"

#include <fmt/format.h>

#include <charconv>

namespace tailrace::kafka {
namespace {

using T = ConfigType;
constexpr std::int64_t int32_max = INT32_MAX;
constexpr std::string_view codecs = "uncompressed,zstd,lz4,snappy,gzip,producer";

constexpr ConfigDef defs[] = {
    {"cleanup.policy", T::list, "delete", "log.cleanup.policy", 0, 0, "compact,delete",
     "What happens to old segments: delete them, compact them by key, or both."},
    {"compression.gzip.level", T::int32, "-1", "compression.gzip.level", -1, 9, "",
     "The level when compression.type is gzip."},
    {"compression.lz4.level", T::int32, "9", "compression.lz4.level", 1, 17, "",
     "The level when compression.type is lz4."},
    {"compression.type", T::string, "producer", "compression.type", 0, 0, codecs,
     "How batches are stored; 'producer' keeps them as they were sent."},
    {"compression.zstd.level", T::int32, "3", "compression.zstd.level", -131072, 22, "",
     "The level when compression.type is zstd."},
    {"delete.retention.ms", T::int64, "86400000", "log.cleaner.delete.retention.ms", 0, INT64_MAX,
     "", "How long a tombstone stays in a compacted topic."},
    {"file.delete.delay.ms", T::int64, "60000", "log.segment.delete.delay.ms", 0, INT64_MAX, "",
     "How long a file lives after its segment was deleted."},
    {"flush.messages", T::int64, "9223372036854775807", "log.flush.interval.messages", 1,
     INT64_MAX, "", "Accepted for compatibility: every acknowledged record is on disk."},
    {"flush.ms", T::int64, "9223372036854775807", "log.flush.interval.ms", 0, INT64_MAX, "",
     "Accepted for compatibility: every acknowledged record is on disk."},
    {"follower.replication.throttled.replicas", T::list, "", "", 0, 0, "",
     "Replicas whose catching up is throttled on the follower's side."},
    {"index.interval.bytes", T::int32, "4096", "log.index.interval.bytes", 0, int32_max, "",
     "How many bytes of log lie between two index entries."},
    {"leader.replication.throttled.replicas", T::list, "", "", 0, 0, "",
     "Replicas whose catching up is throttled on the leader's side."},
    {"local.retention.bytes", T::int64, "-2", "log.local.retention.bytes", -2, INT64_MAX, "",
     "Local bytes of a tiered topic; -2 means retention.bytes."},
    {"local.retention.ms", T::int64, "-2", "log.local.retention.ms", -2, INT64_MAX, "",
     "Local time of a tiered topic; -2 means retention.ms."},
    {"max.compaction.lag.ms", T::int64, "9223372036854775807", "log.cleaner.max.compaction.lag.ms",
     1, INT64_MAX, "", "The longest a record stays uncompacted."},
    {"max.message.bytes", T::int32, "1048588", "message.max.bytes", 0, int32_max, "",
     "The largest record batch a producer may send, after compression."},
    {"message.timestamp.after.max.ms", T::int64, "3600000", "log.message.timestamp.after.max.ms",
     0, INT64_MAX, "", "How far in the future a record's timestamp may lie."},
    {"message.timestamp.before.max.ms", T::int64, "9223372036854775807",
     "log.message.timestamp.before.max.ms", 0, INT64_MAX, "",
     "How far in the past a record's timestamp may lie."},
    {"message.timestamp.type", T::string, "CreateTime", "log.message.timestamp.type", 0, 0,
     "CreateTime,LogAppendTime", "Whose clock gives the timestamps."},
    {"min.cleanable.dirty.ratio", T::float64, "0.5", "log.cleaner.min.cleanable.ratio", 0, 1, "",
     "The share of uncompacted bytes that starts a compaction."},
    {"min.compaction.lag.ms", T::int64, "0", "log.cleaner.min.compaction.lag.ms", 0, INT64_MAX, "",
     "The shortest a record stays uncompacted."},
    {"min.insync.replicas", T::int32, "1", "min.insync.replicas", 1, int32_max, "",
     "How many replicas must have a record before acks=all is met."},
    {"preallocate", T::boolean, "false", "log.preallocate", 0, 0, "",
     "Accepted for compatibility: segments are reserved in extents."},
    {"remote.storage.enable", T::boolean, "false", "", 0, 0, "", "Tiered storage: not available."},
    {"retention.bytes", T::int64, "-1", "log.retention.bytes", INT64_MIN, INT64_MAX, "",
     "The size a partition may grow to before old segments go; -1 for no limit."},
    {"retention.ms", T::int64, "604800000", "log.retention.ms", -1, INT64_MAX, "",
     "How long records are kept; -1 for ever."},
    {"segment.bytes", T::int32, "1073741824", "log.segment.bytes", 1'048'576, int32_max, "",
     "The size of a segment file."},
    {"segment.index.bytes", T::int32, "10485760", "log.index.size.max.bytes", 4, int32_max, "",
     "The size of an index file."},
    {"segment.jitter.ms", T::int64, "0", "log.roll.jitter.ms", 0, INT64_MAX, "",
     "Accepted for compatibility: segments roll at segment.ms."},
    {"segment.ms", T::int64, "604800000", "log.roll.ms", 1, INT64_MAX, "",
     "The age at which a segment is closed although it is not full."},
    {"unclean.leader.election.enable", T::boolean, "false", "unclean.leader.election.enable", 0, 0,
     "", "May a replica that is behind become leader."},
};

bool is_one_of(std::string_view value, std::string_view choices) {
  while (!choices.empty()) {
    const std::size_t comma = choices.find(',');
    if (choices.substr(0, comma) == value) return true;
    if (comma == std::string_view::npos) return false;
    choices.remove_prefix(comma + 1);
  }
  return false;
}

bool to_number(std::string_view text, std::int64_t& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size() && !text.empty();
}

Result<void> refuse(const ConfigDef& def, std::string_view value, std::string_view reason,
                    std::string& why) {
  why = fmt::format("Invalid value {} for configuration {}: {}", value, def.name, reason);
  return fail(Errc::invalid_argument);
}

Result<void> check_list(const ConfigDef& def, std::string_view value, std::string& why) {
  std::string_view rest = value;
  while (!rest.empty() && !def.choices.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!is_one_of(item, def.choices)) {
      return refuse(def, value, fmt::format("String must be one of: {}", def.choices), why);
    }
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return {};
}

Result<void> check_number(const ConfigDef& def, std::string_view value, std::string& why) {
  std::int64_t number = 0;
  if (!to_number(value, number)) {
    return refuse(def, value, "Not a number of type " +
                                  std::string(def.type == T::int64 ? "LONG" : "INT"), why);
  }
  if (number < def.min) {
    return refuse(def, value, fmt::format("Value must be at least {}", def.min), why);
  }
  if (number > def.max) {
    return refuse(def, value, fmt::format("Value must be no more than {}", def.max), why);
  }
  // The one range with a hole: -1 is the codec's own choice, 0 would be no compression.
  if (number == 0 && def.name == "compression.gzip.level") {
    return refuse(def, value, "Value must be between 1 and 9 or equal to -1", why);
  }
  return {};
}

Result<void> check_ratio(const ConfigDef& def, std::string_view value, std::string& why) {
  double ratio = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), ratio);
  const bool is_number = parsed.ec == std::errc{} && parsed.ptr == value.data() + value.size();
  if (!is_number || !(ratio >= 0 && ratio <= 1)) {
    return refuse(def, value, "Value must be between 0 and 1", why);
  }
  return {};
}

void apply(TopicConfig& config, std::string_view name, std::string_view value) {
  std::int64_t number = 0;
  to_number(value, number);
  if (name == "cleanup.policy") {
    config.delete_policy = value.find("delete") != std::string_view::npos;
    config.compact_policy = value.find("compact") != std::string_view::npos;
  } else if (name == "message.timestamp.type") {
    config.log_append_time = value == "LogAppendTime";
  } else if (name == "compression.type") {
    constexpr std::string_view names[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
    config.compression = -1;
    for (std::size_t i = 0; i < std::size(names); ++i) {
      if (value == names[i]) config.compression = static_cast<std::int8_t>(i);
    }
  } else if (name == "retention.ms") {
    config.retention_ms = number;
  } else if (name == "retention.bytes") {
    config.retention_bytes = number;
  } else if (name == "segment.bytes") {
    config.segment_bytes = number;
  } else if (name == "segment.ms") {
    config.segment_ms = number;
  } else if (name == "max.message.bytes") {
    config.max_message_bytes = number;
  } else if (name == "message.timestamp.before.max.ms") {
    config.timestamp_before_ms_max = number;
  } else if (name == "message.timestamp.after.max.ms") {
    config.timestamp_after_ms_max = number;
  } else if (name == "min.insync.replicas") {
    config.min_insync_replicas = number;
  } else if (name == "min.cleanable.dirty.ratio") {
    std::from_chars(value.data(), value.data() + value.size(), config.min_cleanable_dirty_ratio);
  } else if (name == "min.compaction.lag.ms") {
    config.min_compaction_lag_ms = number;
  } else if (name == "max.compaction.lag.ms") {
    config.max_compaction_lag_ms = number;
  } else if (name == "delete.retention.ms") {
    config.delete_retention_ms = number;
  }
}

}  // namespace

std::span<const ConfigDef> topic_config_defs() { return defs; }

const ConfigDef* find_topic_config(std::string_view name) {
  for (const ConfigDef& def : defs) {
    if (def.name == name) return &def;
  }
  return nullptr;
}

Result<void> check_config(const ConfigDef& def, std::string_view value, std::string& why) {
  switch (def.type) {
    case T::boolean:
      if (value == "true" || value == "false") return {};
      return refuse(def, value, "Expected value to be either true or false", why);
    case T::string:
      if (def.choices.empty() || is_one_of(value, def.choices)) return {};
      return refuse(def, value, fmt::format("String must be one of: {}", def.choices), why);
    case T::list: return check_list(def, value, why);
    case T::float64: return check_ratio(def, value, why);
    case T::int16:
    case T::int32:
    case T::int64: return check_number(def, value, why);
    case T::unknown: break;
  }
  return {};
}

Result<void> set_topic_config(TopicConfig& config, std::string_view name, std::string_view value,
                              std::string& why) {
  const ConfigDef* def = find_topic_config(name);
  if (def == nullptr) {
    why = fmt::format("Unknown topic config name: {}", name);
    return fail(Errc::not_found);
  }
  if (Result<void> checked = check_config(*def, value, why); !checked) return checked;
  if (name == "remote.storage.enable" && value == "true") {
    return refuse(*def, value, "Tiered storage is not available", why);
  }
  apply(config, name, value);
  return {};
}

}  // namespace tailrace::kafka
