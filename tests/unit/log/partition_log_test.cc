#include "log/partition_log.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);

TEST(PartitionLog, KnowsItsLargestTimestampAndWhereItIs) {
  LogNode node;
  node.config.segment_bytes = 2'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make(std::string(900, 'x'), 2, 500));
  node.append_now(p0, maker.make(std::string(900, 'x'), 2, 900));
  node.append_now(p0, maker.make(std::string(900, 'x'), 2, 700));
  const record::FoundRecord newest = node.partition(p0).max_timestamp();
  EXPECT_EQ(newest.timestamp, 901);
  EXPECT_EQ(newest.offset, 3);
}

TEST(PartitionLog, ACheckpointHoldsAllOfIt) {
  LogNode node;
  node.config.segment_bytes = 2'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  const record::BatchHeader producer{.producer_id = 9, .producer_epoch = 1, .base_sequence = 0};
  node.append_now(p0, maker.make(std::string(900, 'x'), 2, 500, producer));
  node.append_now(p0, maker.make(std::string(900, 'y'), 1, 900));
  const PartitionLog& log = node.partition(p0);
  const PartitionCheckpoint checkpoint = log.checkpoint();
  const PartitionLog again(checkpoint, small_limits());
  EXPECT_EQ(again.key(), p0);
  EXPECT_EQ(again.staged_end(), 3);
  EXPECT_EQ(again.durable_end(), 3);
  EXPECT_EQ(again.segments(), log.segments());
  EXPECT_EQ(again.size_bytes(), log.size_bytes());
  EXPECT_EQ(again.epochs().newest(), 3);
  EXPECT_EQ(again.producers().size(), 1u);
  EXPECT_EQ(again.max_timestamp().offset, log.max_timestamp().offset);
}

}  // namespace
}  // namespace tailrace::log
