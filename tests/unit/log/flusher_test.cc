#include "log/flusher.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);

TEST(Flusher, NoSpaceIsToldAndPasses) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  node.settle();
  BatchMaker maker;
  node.disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::write && op.disk_class == DiskClass::segment ? 28 : 0;
  };
  bool refused = false;
  for (int i = 0; i < 200 && !refused; ++i) {
    const auto appended = node.append(p0, maker.make(std::string(900, 'x')));
    refused = !appended && appended.error().code == Errc::no_space;
    node.turn();
  }
  EXPECT_TRUE(refused);
  EXPECT_FALSE(node.logs[0]->fenced());
  node.disk.fault = nullptr;
  node.now.instant = node.now.instant + seconds(2);
  node.settle();
  node.append_now(p0, maker.make("again"));
}

TEST(Flusher, NoSpacePassesWhenWhatMetItIsRemoved) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  node.settle();
  BatchMaker maker;
  const PartitionKey other = partition_of(9, 0);
  node.append_now(other, maker.make("written before"));
  node.settle();
  node.disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::write && op.disk_class == DiskClass::segment ? 28 : 0;
  };
  bool refused = false;
  for (int i = 0; i < 200 && !refused; ++i) {
    const auto appended = node.append(p0, maker.make(std::string(900, 'x')));
    refused = !appended && appended.error().code == Errc::no_space;
    node.turn();
  }
  ASSERT_TRUE(refused);
  node.logs[0]->remove(node.partition(p0));
  node.settle();
  node.disk.fault = nullptr;
  node.now.instant = node.now.instant + seconds(2);
  node.settle();
  node.append_now(other, maker.make("again"));
}

TEST(Flusher, ManySmallPartitionsAreWrittenAtTheCheckpoint) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int p = 0; p < 20; ++p) node.append_now(partition_of(1, p), maker.make("little"));
  node.settle();
  EXPECT_FALSE(node.disk.exists(std::string(segment_path(partition_of(1, 3), 0).text())));
  node.now.instant = node.now.instant + seconds(61);
  node.settle();
  EXPECT_TRUE(node.disk.exists(std::string(segment_path(partition_of(1, 3), 0).text())));
  EXPECT_EQ(node.logs[0]->counters().replay_bytes.load(), 0);
}

TEST(Flusher, WhatARestartReplaysIsBounded) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 2000; ++i) {
    node.append_now(partition_of(1, i % 7), maker.make(std::string(700, 'x')));
    ASSERT_LE(node.logs[0]->counters().replay_bytes.load(),
              static_cast<std::int64_t>(small_limits().dirty_bytes_max +
                                        4 * small_limits().frame_bytes_max));
  }
  EXPECT_GT(node.logs[0]->counters().checkpoints.load(), 10u);
}

TEST(Flusher, AFailedSyncOfASegmentFencesTheCore) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make("text"));
  node.settle();
  node.disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::sync && op.disk_class == DiskClass::segment ? 5 : 0;
  };
  node.now.instant = node.now.instant + seconds(61);
  node.settle();
  EXPECT_TRUE(node.logs[0]->fenced());
  EXPECT_EQ(LogNode::last_offset(node.read_all(p0, 0)), 0) << "what is durable stays readable";
}

// Replay writes out what it has when memory is full, though the entry that ends the partition, and
// with it the file, may be the next.
TEST(Flusher, ReplayMakesRoomInASegmentThatIsGoneAlready) {
  Limits limits = small_limits();
  limits.frame_bytes_max = 20U << 10;
  LogNode node(limits);
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make(std::string(3000, 'a')));
  node.settle();
  node.now.instant = node.now.instant + seconds(61);
  node.settle();
  const std::string segment(segment_path(p0, 0).text());
  ASSERT_TRUE(node.disk.exists(segment));
  for (int i = 0; i < 7; ++i) node.append_now(p0, maker.make(std::string(2000, 'x')));
  node.settle();
  node.logs[0]->remove(node.partition(p0));
  node.settle();
  ASSERT_FALSE(node.disk.exists(segment));
  ASSERT_GT(node.logs[0]->counters().replay_bytes.load(), 25'000);

  Prng prng(1);
  node.crash(prng);
  limits.cache_bytes = limits.frame_bytes_max;
  LogNode tight(limits);
  for (const std::string& name : node.disk.names()) tight.disk.put(name, node.disk.bytes(name));
  ASSERT_TRUE(tight.boot(1, false)) << tight.why;
  EXPECT_EQ(tight.logs[0]->find(p0), nullptr);
  tight.settle();
  EXPECT_FALSE(tight.logs[0]->fenced());
  EXPECT_FALSE(tight.disk.exists(segment));
}

}  // namespace
}  // namespace tailrace::log
