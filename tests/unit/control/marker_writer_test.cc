// Markers one by one. (What becomes of transactions: transaction_coordinator_test.cc.)
#include "control/marker_writer.h"

#include <gtest/gtest.h>

#include "base/log.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

class Writer : public testing::Test, protected MarkerWriter::Owner {
 protected:
  Writer() {
    Prng prng(1, "topics");
    EXPECT_TRUE(state.apply(NodeRecord{.id = 1}).has_value());
    TopicRecord topic{.id = random_uuid(prng), .name = "t"};
    topic.partitions.resize(2, {.leader = 1, .replicas = {1}, .isr = {1}});
    topic.partitions[1].leader = 2;
    topic.partitions[1].replicas = topic.partitions[1].isr = {2};
    EXPECT_TRUE(state.apply(topic).has_value());
  }
  void on_marker(const NamedPartition& partition, const Marker& marker, Now) override {
    heard += "written to " + std::to_string(partition.partition) + " for " +
             std::to_string(marker.producer.id) + "; ";
  }
  void on_job_done(const std::shared_ptr<MarkerWriter::Job>& job, Now) override {
    heard += "done";
    for (const ErrorCode error : job->errors) heard += " " + std::to_string(to_wire(error));
    heard += "; ";
  }
  std::shared_ptr<MarkerWriter::Job> job(std::vector<NamedPartition> partitions,
                                         bool is_persistent) {
    auto made = std::make_shared<MarkerWriter::Job>();
    made->marker = {.producer = {5, 1}, .is_commit = true, .coordinator_epoch = 9,
                    .transaction_version = 2};
    made->partitions = std::move(partitions);
    made->is_persistent = is_persistent;
    return made;
  }
  std::vector<bus::LogTask*> tasks() {
    std::vector<bus::LogTask*> taken;
    writer.take_tasks(taken);
    return taken;
  }
  void finish(bus::LogTask* task, ErrorCode error = ErrorCode::none) {
    task->error = to_wire(error);
    EXPECT_TRUE(writer.on_done(task, now));
  }

  ClusterState state;
  MarkerWriter writer{1, 2, state, *this};
  std::string heard;
  Now now{.instant = {1'000'000'000}, .wall_ms = 77};
};

TEST_F(Writer, AMarkerSaysWhoseItIsAndUnderWhichRules) {
  writer.start(job({{"t", 0}}, true), now);
  const auto out = tasks();
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0]->transaction_version, 2);
  const auto batch = record::parse_batch(out[0]->records);
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->header.producer_id, 5);
  EXPECT_EQ(batch->header.producer_epoch, 1);
  EXPECT_EQ(*record::marker_of(*batch),
            (record::TransactionMarker{.is_commit = true, .coordinator_epoch = 9}));
  finish(out[0]);
  EXPECT_EQ(heard, "written to 0 for 5; done 0; ");
  EXPECT_FALSE(writer.on_done(out[0], now)) << "not one of these any more";
}

TEST_F(Writer, WithoutPartitionsThereIsNothingToWaitFor) {
  writer.start(job({}, true), now);
  EXPECT_EQ(heard, "done; ");
}

TEST_F(Writer, ForTheCoordinatorItDoesNotGiveUp) {
  writer.start(job({{"t", 0}, {"t", 1}, {"t", 2}}, true), now);
  auto out = tasks();
  ASSERT_EQ(out.size(), 1U) << "one is another node's, one is nobody's";
  finish(out[0], ErrorCode::not_enough_replicas);
  EXPECT_EQ(heard, "");
  EXPECT_EQ(writer.waiting(), 2U);
  now.instant = writer.next_deadline();
  writer.step(now);
  out = tasks();
  ASSERT_EQ(out.size(), 1U);
  finish(out[0]);
  EXPECT_EQ(heard, "written to 0 for 5; ");
  ASSERT_TRUE(state.apply(TopicDeletedRecord{state.find_topic("t")->id}));
  now.instant = writer.next_deadline();
  writer.step(now);
  EXPECT_EQ(heard, "written to 0 for 5; done 0 3 3; ") << "nothing is owed to what is gone";
  EXPECT_EQ(writer.waiting(), 0U);
}

TEST_F(Writer, ForOthersItTriesOnce) {
  writer.start(job({{"t", 0}, {"t", 1}, {"t", 2}}, false), now);
  finish(tasks()[0], ErrorCode::not_enough_replicas);
  EXPECT_EQ(heard, "done 19 6 3; ");
}

TEST_F(Writer, WhatThePartitionKnowsBetterIsNotTriedAgain) {
  writer.start(job({{"t", 0}}, true), now);
  finish(tasks()[0], ErrorCode::invalid_producer_epoch);
  EXPECT_EQ(heard, "done 47; ");
}

TEST_F(Writer, AJobThatWasGivenUpIsNotGoneOnWith) {
  const auto given_up = job({{"t", 0}, {"t", 1}}, true);
  writer.start(given_up, now);
  given_up->is_cancelled = true;
  finish(tasks()[0]);
  EXPECT_EQ(heard, "written to 0 for 5; ") << "but the marker is there";
  now.instant = writer.next_deadline();
  writer.step(now);
  EXPECT_EQ(writer.waiting(), 0U);
  EXPECT_EQ(writer.next_deadline(), never());
}

TEST_F(Writer, ThereIsALimitOfMarkersUnderWay) {
  for (int i = 0; i < 1500; ++i) writer.start(job({{"t", 0}}, true), now);
  auto out = tasks();
  EXPECT_EQ(out.size(), 1024U);
  finish(out[0]);
  EXPECT_EQ(tasks().size(), 1U);
  EXPECT_EQ(writer.waiting(), 1499U);
}

TEST_F(Writer, WhatCannotBeWrittenForLongIsToldNowAndThen) {
  static std::vector<std::string> lines;
  lines.clear();
  set_log_sink([](LogLevel, std::string_view, std::string_view line) { lines.emplace_back(line); });
  const Instant start = now.instant;
  const auto try_until = [&](Duration passed) {
    while (writer.next_deadline() <= start + passed) {
      now.instant = writer.next_deadline();
      writer.step(now);
    }
  };
  writer.start(job({{"t", 1}}, true), now);
  try_until(seconds(9));
  EXPECT_TRUE(lines.empty());
  try_until(seconds(60));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("producer 5, epoch 1 cannot be written to t-1 (error 6)"),
            std::string::npos) << lines[0];
  try_until(seconds(80));
  EXPECT_EQ(lines.size(), 2U);
  set_log_sink(nullptr);
}

}  // namespace
}  // namespace tailrace::control
