#include "log/sweep.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);
const PartitionKey unknown = partition_of(1, 7);
const PartitionKey unknown_topic = partition_of(9, 0);

std::string text(const FileName& name) { return std::string(name.text()); }

// A node with a partition whose first segment was deleted.
class SweepTest : public testing::Test {
 protected:
  void SetUp() override {
    node.config.segment_bytes = 10'000;
    ASSERT_TRUE(node.boot());
    for (int i = 0; i < 60; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
    node.settle();
    const std::int64_t second = node.partition(p0).segments()[1].base_offset;
    ASSERT_TRUE(node.logs[0]->advance_log_start(node.partition(p0), second, node.now));
    node.settle();
    ASSERT_EQ(node.partition(p0).segments().front().base_offset, second);
    log_start = second;
    before = node.read_all(p0, second);
  }

  // Crashes and starts again; the names are as the start has left them.
  std::vector<std::string> restart() {
    node.crash(prng);
    EXPECT_TRUE(node.boot(1, false)) << node.why;
    return node.disk.names();
  }
  void put(const std::string& name) { node.disk.put(name, std::vector<std::byte>(4096)); }

  LogNode node;
  BatchMaker maker;
  Prng prng{1};
  std::int64_t log_start = 0;
  std::vector<std::byte> before;
};

TEST_F(SweepTest, WhatIsNamedStaysAndWhatIsNotGoes) {
  const std::vector<std::string> named = restart();
  put(text(segment_path(p0, 0)));
  put(text(index_path(p0, 0)));
  put(text(segment_path(unknown, 0)));
  put(text(index_path(unknown, 12)));
  put(text(segment_path(unknown_topic, 3)));
  put(text(index_path(p0, 1'000'000)));
  put("wal/0-1.wal");
  put("wal/7-0.wal");
  put("wal/7-3.checkpoint-a");
  put("wal/7-3.checkpoint-b");
  EXPECT_EQ(restart(), named);
  node.settle();
  EXPECT_EQ(node.read_all(p0, log_start), before);
}

// Of a compaction that a crash cut short.
TEST_F(SweepTest, WhatACompactionMadeAndNoCheckpointNamesGoes) {
  const std::vector<std::string> named = restart();
  put(text(segment_path(p0, log_start, 1)));
  put(text(index_path(p0, log_start, 1)));
  put(text(segment_path(p0, log_start + 1, 9)));
  EXPECT_EQ(restart(), named);
  node.settle();
  EXPECT_EQ(node.read_all(p0, log_start), before);
}

TEST_F(SweepTest, WhatMayBeSomebodyElsesStays) {
  const std::vector<std::string> others = {
      text(segment_path(p0, 1'000'000)),          // behind the end: nothing of ours, nor explained
      text(segment_path(p0, log_start + 1)),      // inside a segment
      text(partition_directory(p0)) + "/0.log",
      text(partition_directory(p0)) + "/notes",
      text(partition_directory(unknown)) + "/notes",
      text(topic_directory(unknown.topic)) + "/07-0/00000000000000000000.log",
      text(topic_directory(unknown.topic)) + "/7/00000000000000000000.log",
      "topics/notes",
      "topics/notes-of-22-characters/0-0/00000000000000000000.log",
      "wal/07-0.wal",
      "wal/7-0.wal.old",
      "wal/notes",
  };
  for (const std::string& name : others) put(name);
  restart();
  for (const std::string& name : others) EXPECT_TRUE(node.disk.exists(name)) << name;
}

TEST_F(SweepTest, AllCoresNameTheirOwn) {
  node.append_now(partition_of(1, 1), maker.make(std::string(9000, 'y')));
  node.settle();
  const auto other = node.read_all(partition_of(1, 1), 0);
  for (const int cores : {2, 3, 1}) {
    node.crash(prng);
    ASSERT_TRUE(node.boot(static_cast<std::uint16_t>(cores), false)) << node.why;
    node.settle();
    EXPECT_EQ(node.read_all(p0, log_start), before);
    EXPECT_EQ(node.read_all(partition_of(1, 1), 0), other);
  }
}

TEST_F(SweepTest, AnEmptyDirectoryOfNobodyGoes) {
  put(text(segment_path(unknown_topic, 3)));
  std::vector<std::string> gone;
  node.disk.fault = [&](const DiskOp& op) {
    if (op.kind == DiskOpKind::remove_directory) gone.push_back(text(op.name));
    return 0;
  };
  restart();
  EXPECT_EQ(gone, (std::vector{text(partition_directory(unknown_topic)),
                               text(topic_directory(unknown_topic.topic))}));
}

// A disk that cannot list is no reason to remove or to refuse.
TEST_F(SweepTest, WhatCannotBeListedStays) {
  put(text(segment_path(unknown, 0)));
  OpQueue queue;
  Remover remover(queue);
  EXPECT_EQ(sweep([](std::string_view) { return std::vector<Listed>(); }, 0, node.logs, remover),
            0u);
  EXPECT_TRUE(remover.idle());
}

}  // namespace
}  // namespace tailrace::log
