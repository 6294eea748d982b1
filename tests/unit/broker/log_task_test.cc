// Stories of log tasks: the control thread appends to and reads from partitions it does not own.
#include "bus/log_task.h"

#include "kafka/errors.h"
#include "record/batch_builder.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using Kind = bus::LogTask::Kind;

class LogTasks : public testing::Test {
 protected:
  LogTasks() : node(small_limits(2)) {
    node.images.add_topic("__consumer_offsets", 1, 2, 2).is_internal = true;
    node.publish();
  }
  bus::LogTask task(Kind kind, std::int32_t partition) {
    bus::LogTask made;
    made.kind = kind;
    made.owner = static_cast<bus::CoreId>(partition % 2);
    made.topic = topic_id(1);
    made.partition = partition;
    made.leader_epoch = 3;
    made.room = room;
    return made;
  }
  test::Buffer batch(const std::string& key, std::size_t value_bytes = 10) {
    record::BatchBuilder builder(64U << 10);
    const std::string value(value_bytes, 'v');
    builder.start();
    EXPECT_TRUE(builder.add({node.now.wall_ms, std::string_view(key), std::string_view(value)}));
    const Bytes made = *builder.finish();
    return {made.begin(), made.end()};
  }
  void send(bus::LogTask& lent) {
    node.post(lent.owner, {.kind = bus::MessageKind::log_task, .from = bus::control_core,
                           .object = &lent});
  }
  // Sends, lets the node work; the task must be home.
  void run(bus::LogTask& lent) {
    const std::size_t before = node.log_tasks_done.size();
    send(lent);
    node.settle();
    ASSERT_EQ(node.log_tasks_done.size(), before + 1);
    ASSERT_EQ(node.log_tasks_done.back(), &lent);
  }
  std::int16_t append(std::int32_t partition, const std::string& key) {
    const test::Buffer records = batch(key);
    bus::LogTask lent = task(Kind::append, partition);
    lent.records = records;
    run(lent);
    return lent.error;
  }

  test::Buffer room = test::Buffer(16U << 10);
  Node node;
};

TEST_F(LogTasks, AnAppendIsAnsweredWhenItIsDurable) {
  const test::Buffer records = batch("a");
  bus::LogTask lent = task(Kind::append, 1);
  lent.records = records;
  node.disks[1].held = true;
  send(lent);
  node.settle();
  EXPECT_TRUE(node.log_tasks_done.empty());
  node.disks[1].held = false;
  node.settle();
  ASSERT_EQ(node.log_tasks_done.size(), 1u);
  EXPECT_EQ(lent.error, 0);
  EXPECT_EQ(lent.base_offset, 0);
  EXPECT_EQ(node.partition(1, 1, 1)->durable_end(), 1);
}

TEST_F(LogTasks, WhatWasAppendedIsReadBackUpToTheDurableEnd) {
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(append(0, key), 0);
  bus::LogTask lent = task(Kind::read, 0);
  lent.offset = 1;
  run(lent);
  EXPECT_EQ(lent.error, 0);
  EXPECT_EQ(lent.end_offset, 3);
  const auto records = test::read_records(Bytes(room).first(lent.bytes));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].key, "b");
  EXPECT_EQ(records[1].key, "c");
  lent.offset = 3;
  run(lent);
  EXPECT_EQ(lent.error, 0);
  EXPECT_EQ(lent.bytes, 0u) << "nothing follows";
  EXPECT_EQ(lent.end_offset, 3);
}

TEST_F(LogTasks, AReadStopsAtWholeBatchesThatFit) {
  for (int i = 0; i < 3; ++i) {
    const test::Buffer records = batch("k", 6000);
    bus::LogTask lent = task(Kind::append, 0);
    lent.records = records;
    run(lent);
  }
  bus::LogTask lent = task(Kind::read, 0);
  run(lent);
  EXPECT_EQ(test::read_records(Bytes(room).first(lent.bytes)).size(), 2u);
  lent.offset = 2;
  run(lent);
  EXPECT_EQ(test::read_records(Bytes(room).first(lent.bytes)).size(), 1u);
  room.resize(100);
  lent.room = room;
  run(lent);
  EXPECT_EQ(lent.error, to_wire(kafka::ErrorCode::message_too_large));
}

TEST_F(LogTasks, AReadFromBeforeTheStartOfTheLogBeginsThere) {
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(append(0, key), 0);
  ASSERT_TRUE(node.log(0).advance_log_start(*node.partition(1, 0), 2, node.now).has_value());
  node.settle();
  bus::LogTask lent = task(Kind::read, 0);
  run(lent);
  EXPECT_EQ(lent.error, 0);
  EXPECT_EQ(test::read_records(Bytes(room).first(lent.bytes)).at(0).key, "c");
}

TEST_F(LogTasks, AnotherLeaderEpochIsFenced) {
  const test::Buffer records = batch("a");
  bus::LogTask lent = task(Kind::append, 0);
  lent.records = records;
  lent.leader_epoch = 2;
  run(lent);
  EXPECT_EQ(lent.error, to_wire(kafka::ErrorCode::fenced_leader_epoch));
  lent.leader_epoch = 4;
  run(lent);
  EXPECT_EQ(lent.error, to_wire(kafka::ErrorCode::unknown_leader_epoch));
}

TEST_F(LogTasks, AppendsEndInTheOrderTheyWereSent) {
  std::vector<test::Buffer> batches;
  std::vector<bus::LogTask> lent(20, task(Kind::append, 1));
  for (std::size_t i = 0; i < lent.size(); ++i) batches.push_back(batch(std::to_string(i)));
  for (std::size_t i = 0; i < lent.size(); ++i) {
    lent[i].records = batches[i];
    send(lent[i]);
  }
  node.settle();
  ASSERT_EQ(node.log_tasks_done.size(), lent.size());
  for (std::size_t i = 0; i < lent.size(); ++i) {
    EXPECT_EQ(node.log_tasks_done[i], &lent[i]);
    EXPECT_EQ(lent[i].base_offset, static_cast<std::int64_t>(i));
  }
}

TEST_F(LogTasks, ARemovedPartitionEndsThem) {
  const test::Buffer records = batch("a");
  bus::LogTask lent = task(Kind::append, 0);
  lent.records = records;
  node.disks[0].held = true;
  send(lent);
  node.settle();
  node.images.remove_topic("__consumer_offsets");
  node.publish();
  ASSERT_EQ(node.log_tasks_done.size(), 1u);
  EXPECT_EQ(lent.error, to_wire(kafka::ErrorCode::unknown_topic_or_partition));
}

}  // namespace
}  // namespace tailrace::broker
