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

TEST(PartitionLog, ItsSizeIsThatOfItsSegments) {
  LogNode node;
  node.config.segment_bytes = 2'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 10; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
  node.settle();
  PartitionLog& log = node.partition(p0);
  const auto sum = [&log] {
    std::uint64_t bytes = 0;
    for (const SegmentInfo& segment : log.segments()) bytes += segment.size_bytes;
    return bytes;
  };
  const std::uint64_t before = log.size_bytes();
  EXPECT_EQ(before, sum());
  ASSERT_TRUE(node.logs[0]->advance_log_start(log, 5, node.now));
  EXPECT_LT(log.size_bytes(), before);
  EXPECT_EQ(log.size_bytes(), sum());
}

}  // namespace
}  // namespace tailrace::log
