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

}  // namespace
}  // namespace tailrace::broker
