#include "kafka/topic_config.h"

#include <gtest/gtest.h>

namespace tailrace::kafka {
namespace {

TEST(TopicConfig, EveryDefaultIsAllowedAndGivesTheDefaults) {
  TopicConfig config;
  std::string why;
  for (const ConfigDef& def : topic_config_defs()) {
    EXPECT_TRUE(set_topic_config(config, def.name, def.default_value, why)) << why;
  }
  const TopicConfig defaults;
  EXPECT_EQ(config.retention_ms, defaults.retention_ms);
  EXPECT_EQ(config.retention_bytes, defaults.retention_bytes);
  EXPECT_EQ(config.segment_bytes, defaults.segment_bytes);
  EXPECT_EQ(config.segment_ms, defaults.segment_ms);
  EXPECT_EQ(config.max_message_bytes, defaults.max_message_bytes);
  EXPECT_EQ(config.timestamp_before_ms_max, defaults.timestamp_before_ms_max);
  EXPECT_EQ(config.timestamp_after_ms_max, defaults.timestamp_after_ms_max);
  EXPECT_EQ(config.compression, defaults.compression);
  EXPECT_TRUE(config.delete_policy);
  EXPECT_FALSE(config.compact_policy);
}

TEST(TopicConfig, WhatIsSetIsWhatTheBrokerActsOn) {
  TopicConfig config;
  std::string why;
  ASSERT_TRUE(set_topic_config(config, "cleanup.policy", "compact, delete", why)) << why;
  ASSERT_TRUE(set_topic_config(config, "compression.type", "lz4", why)) << why;
  ASSERT_TRUE(set_topic_config(config, "message.timestamp.type", "LogAppendTime", why)) << why;
  ASSERT_TRUE(set_topic_config(config, "retention.ms", "-1", why)) << why;
  EXPECT_TRUE(config.delete_policy && config.compact_policy);
  EXPECT_EQ(config.compression, 3);
  EXPECT_TRUE(config.log_append_time);
  EXPECT_EQ(config.retention_ms, -1);
}

TEST(TopicConfig, ARefusalSaysItInKafkasManner) {
  struct Refused {
    const char* name;
    const char* value;
    const char* why;
  };
  const Refused refused[] = {
      {"retention.ms", "soon",
       "Invalid value soon for configuration retention.ms: Not a number of type LONG"},
      {"retention.ms", "-2",
       "Invalid value -2 for configuration retention.ms: Value must be at least -1"},
      {"segment.bytes", "2147483648",
       "Invalid value 2147483648 for configuration segment.bytes: Value must be no more than "
       "2147483647"},
      {"preallocate", "maybe",
       "Invalid value maybe for configuration preallocate: Expected value to be either true or "
       "false"},
      {"cleanup.policy", "delete,burn",
       "Invalid value delete,burn for configuration cleanup.policy: String must be one of: "
       "compact,delete"},
      {"min.cleanable.dirty.ratio", "1.5",
       "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be between 0 "
       "and 1"},
      {"remote.storage.enable", "true",
       "Invalid value true for configuration remote.storage.enable: Tiered storage is not "
       "available"},
      {"retention.days", "1", "Unknown topic config name: retention.days"},
  };
  for (const Refused& one : refused) {
    TopicConfig config;
    std::string why;
    EXPECT_FALSE(set_topic_config(config, one.name, one.value, why)) << one.name;
    EXPECT_EQ(why, one.why);
  }
}

TEST(TopicConfig, NamesAreFoundOnlyWhole) {
  EXPECT_NE(find_topic_config("retention.ms"), nullptr);
  EXPECT_EQ(find_topic_config("retention.m"), nullptr);
  EXPECT_EQ(find_topic_config(""), nullptr);
}

TEST(TopicConfig, NamesAreUniqueAndExplained) {
  for (const ConfigDef& def : topic_config_defs()) {
    EXPECT_EQ(find_topic_config(def.name), &def) << def.name;
    EXPECT_FALSE(def.documentation.empty()) << def.name;
  }
}

TEST(TopicConfig, RefusesWhatIsNotOfItsType) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"cleanup.policy", "delete,,compact"}, {"segment.bytes", "1048575"},
      {"segment.bytes", "99999999999"},
      {"segment.bytes", "1e9"},             {"segment.bytes", ""},
      {"segment.bytes", " 2000000"},        {"segment.ms", "0"},
      {"max.compaction.lag.ms", "0"},       {"preallocate", "yes"},
      {"min.cleanable.dirty.ratio", "1.1"}, {"min.cleanable.dirty.ratio", "nan"},
      {"min.insync.replicas", "0"},         {"compression.type", "brotli"},
      {"compression.zstd.level", "23"},     {"compression.lz4.level", "0"},
      {"compression.zstd.level", "-131073"}, {"compression.lz4.level", "18"},
      {"compression.gzip.level", "0"},      {"compression.gzip.level", "10"},
      {"compression.gzip.level", "-2"},
      {"message.timestamp.type", "createtime"}, {"remote.storage.enable", "true"},
  };
  for (const auto& [name, value] : cases) {
    TopicConfig config;
    std::string why;
    EXPECT_FALSE(set_topic_config(config, name, value, why)) << name << "=" << value;
  }
}

}  // namespace
}  // namespace tailrace::kafka
