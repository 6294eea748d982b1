// Stories of the partitions of an internal topic, told to a coordinator that writes down what it
// hears. (More are in group_loading_test.cc.)
#include "control/internal_log.h"

#include <gtest/gtest.h>

#include "record/batch_builder.h"
#include "record/control_record.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

class Listener : public InternalLog::Owner {
 public:
  std::string heard;
  void on_lost(const InternalLog::Partition& partition, Now) override {
    heard += "lost " + std::to_string(partition.index) + "; ";
  }
  void on_record(const InternalLog::Partition&, const record::BatchHeader& batch,
                 const InternalLog::LoadedRecord& record, Now) override {
    heard += std::string(as_text(record.key)) + "=" +
             (record.is_tombstone ? "none" : std::string(as_text(record.value))) +
             (batch.is_transactional() ? " of " + std::to_string(batch.producer_id) : "") + "; ";
  }
  void on_control(const InternalLog::Partition&, const record::BatchView& batch, Now) override {
    heard += "end of " + std::to_string(batch.header.producer_id) + "; ";
  }
  void on_loaded(const InternalLog::Partition& partition, Now) override {
    heard += "loaded " + std::to_string(partition.index) + "; ";
  }
};

Limits small_limits() {
  Limits limits;
  limits.batch_bytes_max = 4096;
  limits.group_loads_max = 1;
  return limits;
}

class Partitions : public testing::Test {
 protected:
  Partitions() {
    topic.name = "__state";
    topic.id.bytes[0] = 7;
    topic.partitions.resize(2, {.leader = 1, .replicas = {1}, .isr = {1}});
  }
  std::vector<bus::LogTask*> tasks() {
    std::vector<bus::LogTask*> taken;
    log.take_tasks(taken);
    return taken;
  }
  // The one read that is out comes back with these bytes.
  void give(Bytes bytes, std::int64_t end, ErrorCode error = ErrorCode::none) {
    const auto out = tasks();
    ASSERT_EQ(out.size(), 1U);
    if (!bytes.empty()) std::memcpy(out[0]->room.data(), bytes.data(), bytes.size());
    out[0]->bytes = bytes.size();
    out[0]->end_offset = end;
    out[0]->error = to_wire(error);
    EXPECT_TRUE(log.on_done(out[0], now));
  }
  Listener listener;
  Topic topic;
  InternalLog log{small_limits(), 1, 2, "states", "__state", listener};
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
};

TEST_F(Partitions, OneIsReadAfterTheOther) {
  EXPECT_EQ(log.check(0), ErrorCode::not_coordinator);
  log.adopt(&topic, now);
  EXPECT_EQ(log.check(0), ErrorCode::coordinator_load_in_progress);
  EXPECT_EQ(log.check(2), ErrorCode::not_coordinator) << "there is no such partition";
  give({}, 0);
  EXPECT_EQ(log.check(0), ErrorCode::none);
  EXPECT_EQ(log.loading_count(), 1U);
  give({}, 0);
  EXPECT_EQ(listener.heard, "loaded 0; loaded 1; ");
  EXPECT_EQ(log.loading_count(), 0U);
}

TEST_F(Partitions, RecordsAndEndsOfTransactionsAreHeardInOrder) {
  std::vector<std::byte> bytes;
  record::BatchBuilder builder(1024);
  builder.start({.attributes = record::transactional_bit, .producer_id = 5, .producer_epoch = 0});
  ASSERT_TRUE(builder.add({1, "a", "1"}));
  ASSERT_TRUE(builder.add({1, nullptr, "no key"}));
  ASSERT_TRUE(builder.add({1, "b", nullptr}));
  const Bytes batch = *builder.finish();
  bytes.assign(batch.begin(), batch.end());
  std::vector<std::byte> marker(record::marker_batch_bytes);
  record::store_marker_batch(marker, {.producer_id = 5, .producer_epoch = 0, .timestamp_ms = 1,
                                      .marker = {.is_commit = true}});
  record::set_base_offset(marker, 3);
  bytes.insert(bytes.end(), marker.begin(), marker.end());
  log.adopt(&topic, now);
  give(bytes, 4);
  EXPECT_EQ(listener.heard, "a=1 of 5; b=none of 5; end of 5; loaded 0; ");
}

TEST_F(Partitions, WhatIsWrittenDuringAReadIsReadAsWell) {
  log.adopt(&topic, now);
  log.read_once_more(0);  // The read is out, and may have been too early.
  give({}, 0);
  EXPECT_EQ(log.check(0), ErrorCode::coordinator_load_in_progress);
  std::vector<std::byte> marker(record::marker_batch_bytes);
  record::store_marker_batch(marker, {.producer_id = 5, .producer_epoch = 0, .timestamp_ms = 1,
                                      .marker = {.is_commit = true}});
  give(marker, 1);
  EXPECT_EQ(listener.heard, "end of 5; loaded 0; ");
}

TEST_F(Partitions, OneThatIsLostWhileItIsReadIsNotLoaded) {
  log.adopt(&topic, now);
  const auto out = tasks();
  ASSERT_EQ(out.size(), 1U);
  topic.partitions[0].leader = 2;
  log.adopt(&topic, now);
  EXPECT_TRUE(log.on_done(out[0], now));
  EXPECT_EQ(listener.heard, "lost 0; ");
  EXPECT_EQ(log.check(0), ErrorCode::not_coordinator);
  log.adopt(nullptr, now);
  EXPECT_EQ(listener.heard, "lost 0; lost 1; ");
  EXPECT_EQ(log.loading_count(), 0U);
}

TEST_F(Partitions, WhatCannotBeReadIsTriedAgain) {
  log.adopt(&topic, now);
  give({}, 0, ErrorCode::kafka_storage_error);
  EXPECT_EQ(log.check(0), ErrorCode::coordinator_load_in_progress);
  give({}, 0);  // The other one.
  EXPECT_EQ(log.next_deadline(), now.instant + seconds(1));
  now.instant = log.next_deadline();
  log.step(now);
  give({}, 0);
  EXPECT_EQ(listener.heard, "loaded 1; loaded 0; ");
}

TEST_F(Partitions, ALaterLifeIsToldFromAnEarlier) {
  log.adopt(&topic, now);
  give({}, 0);
  const std::uint64_t life = log.partition(0).life;
  EXPECT_TRUE(log.is_same_life(0, life));
  topic.partitions[0].leader_epoch = 5;
  log.adopt(&topic, now);
  EXPECT_FALSE(log.is_same_life(0, life));
}

}  // namespace
}  // namespace tailrace::control
