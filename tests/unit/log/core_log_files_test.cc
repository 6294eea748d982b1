// The parts of CoreLog that come and go with files.
#include "log/core_log.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);

TEST(CoreLogFiles, StopLeavesNothingToReplay) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 50; ++i) node.append_now(p0, maker.make("text" + std::to_string(i)));
  const auto before = (node.settle(), node.read_all(p0, 0));
  node.logs[0]->begin_stop();
  node.settle();
  ASSERT_TRUE(node.logs[0]->stopped());
  EXPECT_EQ(node.disk.open_count(), 0u);
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  node.settle();
  EXPECT_EQ(node.logs[0]->counters().replay_bytes.load(), 0);
  EXPECT_EQ(node.read_all(p0, 0), before);
}

TEST(CoreLogFiles, AStopWaitsForNoTimer) {
  for (const bool is_being_written : {false, true}) {
    LogNode node;
    ASSERT_TRUE(node.boot());
    BatchMaker maker;
    for (int i = 0; i < 8; ++i) node.append_now(p0, maker.make(std::string(2000, 'x')));
    if (!is_being_written) node.settle();
    // Now there is nothing to flush, but something a restart would replay.
    node.logs[0]->remove(node.partition(p0));
    if (!is_being_written) node.settle();
    node.logs[0]->begin_stop();
    EXPECT_TRUE(node.stops_at_once());
  }
}

TEST(CoreLogFiles, APartitionGoesOnInItsLastBlockAfterACleanStop) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int round = 0; round < 5; ++round) {
    node.append_now(p0, maker.make("round" + std::to_string(round)));
    node.settle();
    node.logs[0]->begin_stop();
    node.settle();
    ASSERT_TRUE(node.logs[0]->stopped());
    ASSERT_TRUE(node.boot(1, false)) << node.why;
    node.settle();
  }
  EXPECT_EQ(node.partition(p0).segments().size(), 1u);
  EXPECT_EQ(LogNode::last_offset(node.read_all(p0, 0)), 4);
}

TEST(CoreLogFiles, ALastBlockThatCannotBeReadIsLeftAsItIs) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make("first"));
  node.settle();
  node.logs[0]->begin_stop();
  node.settle();
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  node.settle();
  node.disk.fail_next(DiskOpKind::read, 5);
  EXPECT_EQ(node.append_now(p0, maker.make("second")).base_offset, 1);
  EXPECT_EQ(node.partition(p0).segments().size(), 2u);
  node.settle();
  EXPECT_EQ(LogNode::last_offset(node.read_all(p0, 0)), 1);
}

// Retention needs no log entry for a segment that lies before log_start already.
TEST(CoreLogFiles, ASegmentRemovedWithoutAnEntryIsNotWrittenAgain) {
  Limits limits = small_limits();
  limits.retention_check = seconds(1);
  LogNode node(limits);
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make("before the checkpoint"));
  node.settle();
  node.now.instant = node.now.instant + seconds(61);
  node.settle();
  const std::string first(segment_path(p0, 0).text());
  ASSERT_TRUE(node.disk.exists(first));
  node.append_now(p0, maker.make("behind it, in the same block"));
  node.settle();
  ASSERT_TRUE(node.logs[0]->advance_log_start(node.partition(p0), 2, node.now));
  PartitionConfig config = node.config;
  config.segment_bytes = 1;
  node.logs[0]->set_config(node.partition(p0), config);
  node.append_now(p0, maker.make(std::string(9000, 'x')));
  node.settle();
  node.now.instant = node.now.instant + seconds(2);
  node.settle();
  ASSERT_FALSE(node.disk.exists(first));

  Prng prng(1);
  node.crash(prng);
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  node.settle();
  EXPECT_FALSE(node.logs[0]->fenced());
  EXPECT_FALSE(node.disk.exists(first));
  EXPECT_EQ(node.append_now(p0, maker.make("more")).base_offset, 3);
}

}  // namespace
}  // namespace tailrace::log
