// What configs are in force: a topic's own, over the broker's dynamic ones, over those fixed at
// start, over Kafka's defaults.
#pragma once

#include <span>
#include <string_view>

#include "bus/image.h"
#include "kafka/topic_config.h"
#include "log/partition_log.h"

namespace tailrace::broker {

struct Setting {
  std::string_view value;
  kafka::ConfigSource source = kafka::ConfigSource::default_value;
};

// Null when `name` is not among the entries.
const bus::ConfigEntry* find_entry(std::span<const bus::ConfigEntry> entries,
                                   std::string_view name);

// The value of a broker config. `fixed`: StaticConfig::values.
Setting broker_setting(const bus::MetadataImage& image, std::span<const bus::ConfigEntry> fixed,
                       const kafka::ConfigDef& def);
// The value of a topic config of `topic`.
Setting topic_setting(const bus::MetadataImage& image, std::span<const bus::ConfigEntry> fixed,
                      const bus::TopicImage& topic, const kafka::ConfigDef& def);

// What the log is told. A value that does not parse is left at its default: control checked it.
log::PartitionConfig partition_config(const bus::MetadataImage& image,
                                      std::span<const bus::ConfigEntry> fixed,
                                      const bus::TopicImage& topic);

}  // namespace tailrace::broker
