#include "log/core_log.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);

TEST(CoreLog, GivesOffsetsAtOnceAndDurabilityLater) {
  LogNode node;
  ASSERT_TRUE(node.boot()) << node.why;
  node.settle();
  BatchMaker maker;
  const auto appended = node.append(p0, maker.make("one", 3));
  ASSERT_TRUE(appended);
  EXPECT_EQ(appended->base_offset, 0);
  EXPECT_EQ(appended->end_offset, 3);
  EXPECT_EQ(node.partition(p0).staged_end(), 3);
  EXPECT_EQ(node.partition(p0).durable_end(), 0);
  node.turn();
  EXPECT_EQ(node.partition(p0).durable_end(), 3);
  std::array<PartitionLog*, 4> advanced;
  ASSERT_EQ(node.logs[0]->take_advanced(advanced), 1u);
  EXPECT_EQ(advanced[0]->key(), p0);
}

TEST(CoreLog, ABadBatchLeavesNoTrace) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  node.settle();
  BatchMaker maker;
  Bytes good = maker.make("good");
  std::vector<std::byte> bad(good.begin(), good.end());
  bad.back() ^= std::byte{1};
  const auto refused = node.append(p0, bad);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::corrupt);
  EXPECT_EQ(node.append_now(p0, good).base_offset, 0);
}

TEST(CoreLog, ProducersAreBoundedPerCoreAndTheCrowdedPartitionForgets) {
  Limits limits = small_limits();
  limits.producers_max = 6;
  LogNode node(limits);
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  const PartitionKey quiet = partition_of(2, 0);
  const auto from = [&](std::int64_t producer_id) {
    return maker.make("x", 1, 1'700'000'000'000,
                      {.producer_id = producer_id, .producer_epoch = 0, .base_sequence = 0});
  };
  node.append_now(quiet, from(1));
  for (std::int64_t id = 100; id < 120; ++id) node.append_now(p0, from(id));
  const auto known = [&](const PartitionKey& key) {
    std::vector<std::int64_t> ids;
    for (const ProducerState& state : node.partition(key).producers().snapshot()) {
      ids.push_back(state.producer_id);
    }
    return ids;
  };
  for (const bool restarted : {false, true}) {
    EXPECT_EQ(known(quiet), (std::vector<std::int64_t>{1})) << restarted;
    EXPECT_EQ(known(p0), (std::vector<std::int64_t>{115, 116, 117, 118, 119})) << restarted;
    node.settle();
    Prng prng(1);
    node.crash(prng);
    ASSERT_TRUE(node.boot(1, false)) << node.why;
  }
}

TEST(CoreLog, ARepeatedIdempotentBatchGetsItsFirstOffset) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  node.settle();
  BatchMaker maker;
  const record::BatchHeader producer{.producer_id = 9, .producer_epoch = 0, .base_sequence = 0};
  const Bytes batch = maker.make("once", 2, 1'700'000'000'000, producer);
  EXPECT_EQ(node.append_now(p0, batch).base_offset, 0);
  const Appended again = node.append_now(p0, batch);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.base_offset, 0);
  EXPECT_EQ(again.end_offset, 2);
  EXPECT_EQ(node.partition(p0).staged_end(), 2);
}

TEST(CoreLog, RetentionDropsWholeSegmentsFromTheFront) {
  LogNode node;
  node.config.segment_bytes = 20'000;
  node.config.retention.retention_bytes = 50'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 200; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
  node.settle();
  const std::string first(segment_path(p0, 0).text());
  EXPECT_TRUE(node.disk.exists(first));
  node.now.instant = node.now.instant + seconds(301);
  node.settle();
  PartitionLog& log = node.partition(p0);
  EXPECT_GT(log.log_start(), 0);
  EXPECT_GE(log.size_bytes(), 50'000u);
  EXPECT_LT(log.size_bytes(), 75'000u);
  EXPECT_FALSE(node.disk.exists(first));
  EXPECT_FALSE(node.logs[0]->read(log, {.offset = 0, .offset_end = 10, .bytes_max = 10}));
}

// As in Kafka, a topic that has gone silent does not keep its records for ever.
TEST(CoreLog, RecordsThatAreAllTooOldGoAlthoughNothingIsWritten) {
  LogNode node;
  node.config.retention.retention_ms = 60'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 5; ++i) node.append_now(p0, maker.make("old"));
  node.settle();
  const std::string first(segment_path(p0, 0).text());
  constexpr std::int64_t many_days_ms = 10'000LL * 86'400'000;
  node.now.instant = node.now.instant + seconds(301);
  node.settle();
  EXPECT_EQ(node.partition(p0).log_start(), 0);
  node.now.wall_ms += many_days_ms;
  node.now.instant = node.now.instant + seconds(301);
  node.settle();
  PartitionLog& log = node.partition(p0);
  EXPECT_EQ(log.log_start(), 5);
  EXPECT_EQ(node.append_now(p0, maker.make("new")).base_offset, 5);
  EXPECT_EQ(log.segments().size(), 2u);
  node.settle();
  // A checkpoint, then another look.
  for (int i = 0; i < 2; ++i) {
    node.now.instant = node.now.instant + seconds(301);
    node.settle();
  }
  EXPECT_FALSE(node.disk.exists(first));
}

TEST(CoreLog, RemovingAPartitionRemovesItsFiles) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 200; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
  node.logs[0]->remove(node.partition(p0));
  EXPECT_EQ(node.logs[0]->find(p0), nullptr);
  node.settle();
  for (const std::string& name : node.disk.names()) {
    EXPECT_FALSE(name.starts_with("topics/")) << name;
  }
}

TEST(CoreLog, AFailedSyncStopsAcknowledgingForGood) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  node.settle();
  BatchMaker maker;
  node.disk.fail_next(DiskOpKind::sync, 5);
  ASSERT_TRUE(node.append(p0, maker.make("lost")));
  node.settle();
  EXPECT_TRUE(node.logs[0]->fenced());
  EXPECT_EQ(node.partition(p0).durable_end(), 0);
  EXPECT_EQ(node.append(p0, maker.make("more")).error().code, Errc::fenced);
}

TEST(CoreLog, FreeSpaceIsUsedUpByAppendsUntilItIsToldAgain) {
  Limits limits = small_limits();
  limits.free_bytes_min = 10'000;
  LogNode node(limits);
  ASSERT_TRUE(node.boot());
  node.settle();
  BatchMaker maker;
  node.logs[0]->set_usable_bytes(10'000);
  ASSERT_TRUE(node.append(p0, maker.make("x")));
  EXPECT_EQ(node.append(p0, maker.make("y")).error().code, Errc::no_space);
  node.logs[0]->set_usable_bytes(10'000);
  EXPECT_TRUE(node.append(p0, maker.make("y")));
}

}  // namespace
}  // namespace tailrace::log
