#include "broker/topic_settings.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "record/batch_view.h"

namespace tailrace::broker {
namespace {

std::string_view level_name(std::int8_t codec) {
  switch (static_cast<record::Codec>(codec)) {
    case record::Codec::gzip: return "compression.gzip.level";
    case record::Codec::lz4: return "compression.lz4.level";
    case record::Codec::zstd: return "compression.zstd.level";
    case record::Codec::none:
    case record::Codec::snappy: break;  // These have no levels.
  }
  return {};
}

}  // namespace

const bus::ConfigEntry* find_entry(std::span<const bus::ConfigEntry> entries,
                                   std::string_view name) {
  for (const bus::ConfigEntry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

Setting broker_setting(const bus::MetadataImage& image, std::span<const bus::ConfigEntry> fixed,
                       const kafka::ConfigDef& def) {
  if (const auto* entry = find_entry(image.broker_configs, def.name)) {
    return {entry->value, kafka::ConfigSource::dynamic_broker};
  }
  if (const auto* entry = find_entry(image.broker_defaults, def.name)) {
    return {entry->value, kafka::ConfigSource::dynamic_default_broker};
  }
  if (const auto* entry = find_entry(fixed, def.name)) {
    return {entry->value, kafka::ConfigSource::static_broker};
  }
  return {def.default_value, kafka::ConfigSource::default_value};
}

Setting topic_setting(const bus::MetadataImage& image, std::span<const bus::ConfigEntry> fixed,
                      const bus::TopicImage& topic, const kafka::ConfigDef& def) {
  if (const auto* entry = find_entry(topic.configs, def.name)) {
    return {entry->value, kafka::ConfigSource::topic};
  }
  if (def.broker_synonym.empty()) return {def.default_value, kafka::ConfigSource::default_value};
  kafka::ConfigDef synonym = def;
  synonym.name = def.broker_synonym;
  return broker_setting(image, fixed, synonym);
}

log::PartitionConfig partition_config(const bus::MetadataImage& image,
                                      std::span<const bus::ConfigEntry> fixed,
                                      const bus::TopicImage& topic) {
  kafka::TopicConfig in_force;
  std::string why;
  for (const kafka::ConfigDef& def : kafka::topic_config_defs()) {
    const Setting setting = topic_setting(image, fixed, topic, def);
    if (setting.source == kafka::ConfigSource::default_value) continue;
    (void)kafka::set_topic_config(in_force, def.name, setting.value, why);
  }

  log::PartitionConfig config;
  config.retention = {in_force.delete_policy, in_force.retention_ms, in_force.retention_bytes};
  config.segment_bytes = in_force.segment_bytes;
  config.segment_ms = in_force.segment_ms;
  config.compaction = {.compacts = in_force.compact_policy,
                       .dirty_ratio_min = in_force.min_cleanable_dirty_ratio,
                       .lag_ms_min = in_force.min_compaction_lag_ms,
                       .lag_ms_max = in_force.max_compaction_lag_ms,
                       .delete_retention_ms = in_force.delete_retention_ms};
  // Only closed segments are compacted.
  if (in_force.compact_policy) {
    config.segment_ms = std::min(config.segment_ms, in_force.max_compaction_lag_ms);
  }
  config.batch_bytes_max = in_force.max_message_bytes;
  config.rules.log_append_time = in_force.log_append_time;
  config.rules.timestamp_before_ms_max = in_force.timestamp_before_ms_max;
  config.rules.timestamp_after_ms_max = in_force.timestamp_after_ms_max;
  config.rules.compression = in_force.compression;
  config.rules.keys_required = in_force.compact_policy;
  if (in_force.compression < 0) return config;
  if (const auto* def = kafka::find_topic_config(level_name(in_force.compression))) {
    const std::string_view value = topic_setting(image, fixed, topic, *def).value;
    std::from_chars(value.data(), value.data() + value.size(), config.rules.compression_level);
  }
  return config;
}

}  // namespace tailrace::broker
