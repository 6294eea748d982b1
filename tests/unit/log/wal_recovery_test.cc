#include "log/wal_recovery.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);

class WalRecoveryTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node.boot());
    for (int i = 0; i < 8; ++i) {
      node.append_now(p0, maker.make("batch" + std::to_string(i)));
      node.turn();
    }
    node.settle();
    before = node.read_all(p0, 0);
    node.crash(prng);
  }

  LogNode node;
  BatchMaker maker;
  Prng prng{1};
  std::vector<std::byte> before;
};

TEST_F(WalRecoveryTest, ReplaysWhatNoSegmentHas) {
  EXPECT_FALSE(node.disk.exists(std::string(segment_path(p0, 0).text())));
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  node.settle();
  EXPECT_EQ(node.read_all(p0, 0), before);
}

TEST_F(WalRecoveryTest, ATornNewerCheckpointLeavesTheOlderInForce) {
  node.disk.put("wal/0-0.checkpoint-a", std::vector<std::byte>(8192, std::byte{7}));
  ASSERT_TRUE(node.boot(1, false)) << node.why;
  node.settle();
  EXPECT_EQ(node.read_all(p0, 0), before);
}

// It may be the newest, and be readable at the next start.
TEST_F(WalRecoveryTest, ACheckpointThatCannotBeReadIsNotPassedOver) {
  node.disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::open && op.name.text() == "wal/0-0.checkpoint-a" ? 5 : 0;
  };
  EXPECT_FALSE(node.boot(1, false));
  EXPECT_NE(node.why.find("wal/0-0.checkpoint-a cannot be read"), std::string::npos) << node.why;
  node.disk.fault = nullptr;
  node.crash(prng);
  ASSERT_TRUE(node.boot(1, false)) << node.why;
}

TEST_F(WalRecoveryTest, WithoutACheckpointNothingIsGuessed) {
  node.disk.flip_bit("wal/0-0.checkpoint-a", 20);
  node.disk.flip_bit("wal/0-0.checkpoint-b", 20);
  EXPECT_FALSE(node.boot(1, false));
  EXPECT_NE(node.why.find("no checkpoint that is whole"), std::string::npos) << node.why;
}

TEST_F(WalRecoveryTest, AForeignWalIsRefused) {
  node.disk.flip_bit("wal/0-0.wal", 3);
  EXPECT_FALSE(node.boot(1, false));
  EXPECT_NE(node.why.find("wal/0-0.wal"), std::string::npos) << node.why;
}

TEST_F(WalRecoveryTest, ADamagedFrameIsNotTakenForATornOne) {
  node.disk.flip_bit("wal/0-0.wal", 3 * disk_block_bytes + 70);
  EXPECT_FALSE(node.boot(1, false));
  EXPECT_NE(node.why.find("damaged"), std::string::npos) << node.why;
}

TEST_F(WalRecoveryTest, AFrameLargerThanAllowedNowIsNamed) {
  LogNode other;
  ASSERT_TRUE(other.boot());
  other.append_now(p0, maker.make(std::string(9000, 'x')));
  other.settle();
  other.crash(prng);
  Limits smaller = small_limits();
  smaller.frame_bytes_max = 16U << 10;
  LogNode strict(smaller);
  for (const std::string& name : other.disk.names()) strict.disk.put(name, other.disk.bytes(name));
  EXPECT_FALSE(strict.boot(1, false));
  EXPECT_NE(strict.why.find("frame_bytes_max"), std::string::npos) << strict.why;
}

// Replay writes segments when memory is full; it must not wait for ever for one that failed.
TEST(WalRecovery, AFailedWriteDuringReplayIsTold) {
  Limits limits = small_limits();
  limits.frame_bytes_max = 20U << 10;
  LogNode node(limits);
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 7; ++i) node.append_now(p0, maker.make(std::string(2000, 'x')));
  node.settle();
  Prng prng(1);
  node.crash(prng);
  limits.cache_bytes = limits.frame_bytes_max;
  LogNode tight(limits);
  for (const std::string& name : node.disk.names()) tight.disk.put(name, node.disk.bytes(name));
  tight.disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::write && op.disk_class == DiskClass::segment ? 5 : 0;
  };
  EXPECT_FALSE(tight.boot(1, false));
  EXPECT_NE(tight.why.find("segments of wal/0-0.wal cannot be written"), std::string::npos)
      << tight.why;
}

}  // namespace
}  // namespace tailrace::log
