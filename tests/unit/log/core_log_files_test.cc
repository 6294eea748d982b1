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

}  // namespace
}  // namespace tailrace::log
