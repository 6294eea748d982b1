// What configs are in force.
#include "broker/topic_settings.h"

#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

TEST(TopicSettings, TheLogIsToldWhatIsInForce) {
  ImageMaker maker;
  maker.base().broker_configs = {{"log.retention.ms", "1000"}, {"message.max.bytes", "777"}};
  maker.add_topic("t", 1, 1).configs = {{"retention.ms", "5"},
                                        {"cleanup.policy", "compact"},
                                        {"compression.type", "zstd"},
                                        {"compression.zstd.level", "9"},
                                        {"message.timestamp.type", "LogAppendTime"}};
  const auto image = maker.make();
  const std::vector<bus::ConfigEntry> fixed = {{"log.segment.bytes", "1048576"},
                                               {"message.max.bytes", "1"}};
  const log::PartitionConfig config = partition_config(*image, fixed, *image->find_topic("t"));
  EXPECT_EQ(config.retention.retention_ms, 5);
  EXPECT_FALSE(config.retention.delete_policy);
  EXPECT_EQ(config.batch_bytes_max, 777);
  EXPECT_EQ(config.segment_bytes, 1048576);
  EXPECT_TRUE(config.rules.log_append_time);
  EXPECT_TRUE(config.rules.keys_required);
  EXPECT_EQ(config.rules.compression, 4);
  EXPECT_EQ(config.rules.compression_level, 9);
}

TEST(TopicSettings, CompactionIsToldItsRules) {
  ImageMaker maker;
  maker.base().broker_configs = {{"log.cleaner.delete.retention.ms", "9000"}};
  maker.add_topic("t", 1, 1).configs = {{"cleanup.policy", "compact,delete"},
                                        {"min.cleanable.dirty.ratio", "0.25"},
                                        {"min.compaction.lag.ms", "7"},
                                        {"max.compaction.lag.ms", "70"}};
  const auto image = maker.make();
  const log::PartitionConfig config = partition_config(*image, {}, *image->find_topic("t"));
  EXPECT_TRUE(config.retention.delete_policy);
  EXPECT_TRUE(config.compaction.compacts);
  EXPECT_EQ(config.compaction.dirty_ratio_min, 0.25);
  EXPECT_EQ(config.compaction.lag_ms_min, 7);
  EXPECT_EQ(config.compaction.lag_ms_max, 70);
  EXPECT_EQ(config.compaction.delete_retention_ms, 9000);
  EXPECT_EQ(config.segment_ms, 70);  // Only closed segments are compacted.
}

}  // namespace
}  // namespace tailrace::broker
