#include "log/compactor.h"

#include "compactor_rig.h"

namespace tailrace::log {
namespace {

TEST_F(CompactorTest, TheNewestOfEachKeyStaysWhereItWas) {
  write({{"a", "1"}, {"b", "1"}, {"a", "2"}});
  write({{"c", "1"}, {"b", "2"}}, {.codec = record::Codec::zstd});
  write({{"a", "3"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(passes(), 1U);
  EXPECT_EQ(records(), (std::vector<Kept>{{3, "c", "1"}, {4, "b", "2"}, {5, "a", "3"}}));
  EXPECT_EQ(log().segments().front().base_offset, 0);
  EXPECT_GT(log().segments().front().generation, 0U);
  EXPECT_EQ(log().log_start(), 0);
  EXPECT_EQ(node->logs[0]->counters().compaction_records_dropped.load(), 3U);
}

TEST_F(CompactorTest, TheActiveSegmentIsLeftAlone) {
  write({{"a", "1"}});
  write({{"a", "2"}});
  checkpoint();
  compact();
  EXPECT_EQ(passes(), 0U);
  EXPECT_EQ(records().size(), 2U);
}

TEST_F(CompactorTest, ATopicThatIsNotCompactedIsLeftAlone) {
  write({{"a", "1"}});
  roll_and_checkpoint();
  write({{"a", "2"}});
  roll_and_checkpoint();
  wait();
  EXPECT_EQ(passes(), 0U);
  EXPECT_EQ(records().size(), 2U);
}

TEST_F(CompactorTest, WhatNoCheckpointHasIsLeftAlone) {
  write({{"a", "1"}});
  write({{"end", std::string(700, 'x')}});
  write({{"a", "2"}});
  node->settle();
  compact();
  EXPECT_EQ(passes(), 0U);
}

TEST_F(CompactorTest, AReadInAGapFindsWhatComesNext) {
  for (int i = 0; i < 30; ++i) {
    write({{"a", std::to_string(i)}, {"b" + std::to_string(i % 3), "x"}});
  }
  roll_and_checkpoint();
  compact();
  const std::vector<Kept> expected = {
      {55, "b0", "x"}, {57, "b1", "x"}, {58, "a", "29"}, {59, "b2", "x"}};
  for (std::int64_t from = 0; from < 54; ++from) EXPECT_EQ(records(from), expected) << from;
}

TEST_F(CompactorTest, AReadOfAGapUpToItsEndBringsNothing) {
  for (int i = 0; i < 30; ++i) write({{"a", std::string(100, 'x')}});
  roll_and_checkpoint();
  compact();
  CoreLog& core = node->core_of(p0);
  const auto id = core.read(log(), {.offset = 3, .offset_end = 20, .bytes_max = 5000,
                                    .at_least_one = true});
  ASSERT_TRUE(id);
  node->settle();
  const Read& read = core.get(*id);
  EXPECT_TRUE(read.done && read.status);
  EXPECT_TRUE(read.pieces.empty());
  core.release_read(*id);
}

TEST_F(CompactorTest, SmallSegmentsBecomeOne) {
  for (int i = 0; i < 40; ++i) write({{"key" + std::to_string(i % 4), std::string(200, 'v')}});
  roll_and_checkpoint();
  EXPECT_GT(log().segments().size(), 10U);
  compact();
  EXPECT_LE(log().segments().size(), 4U);
  EXPECT_EQ(records().size(), 4U);
}

TEST_F(CompactorTest, TombstonesStayForTheirTimeAndGoThen) {
  write({{"a", "1"}, {"b", "1"}});
  write({{"a", "-"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(records(), (std::vector<Kept>{{1, "b", "1"}, {2, "a", "-"}}));
  node->now.wall_ms += 999;
  compact();
  EXPECT_EQ(passes(), 1U);
  node->now.wall_ms += 1;
  compact();  // Without anything new: the tombstone itself is the reason.
  EXPECT_EQ(passes(), 2U);
  EXPECT_EQ(records(), (std::vector<Kept>{{1, "b", "1"}}));
  compact();
  EXPECT_EQ(passes(), 2U);
}

TEST_F(CompactorTest, WhatDoesNotFitTheMapIsForTheNextPass) {
  limits.compaction_memory_bytes = 64 * DedupeMap::slot_bytes;
  node = std::make_unique<LogNode>(limits);
  node->config.segment_bytes = 700;
  node->config.compaction = {.dirty_ratio_min = 0};
  ASSERT_TRUE(node->boot());
  std::map<std::string, Kept> newest;
  for (int i = 0; i < 300; ++i) {
    const std::string key = std::to_string((i * 37) % 151);
    const Appended at = write({{key, std::to_string(i)}});
    newest[key] = {at.base_offset, key, std::to_string(i)};
  }
  roll_and_checkpoint();
  compact();
  EXPECT_GE(passes(), 3U);
  std::vector<Kept> expected;
  for (const auto& [key, kept] : newest) expected.push_back(kept);
  std::sort(expected.begin(), expected.end(),
            [](const Kept& a, const Kept& b) { return a.offset < b.offset; });
  EXPECT_EQ(records(), expected);
}

TEST_F(CompactorTest, TheNewestBatchOfAProducerStaysWithoutRecords) {
  write({{"a", "1"}}, {.producer_id = 7, .sequence = 0});
  write({{"a", "2"}, {"a", "3"}}, {.producer_id = 7, .sequence = 1});
  write({{"a", "4"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(records(), (std::vector<Kept>{{3, "a", "4"}}));
  const auto bytes = node->read_all(p0, 0);
  const auto first = record::parse_header(bytes);
  EXPECT_EQ(first->base_offset, 1);
  EXPECT_EQ(first->record_count, 0);
  EXPECT_EQ(first->producer_id, 7);
  EXPECT_EQ(first->last_sequence(), 2);
}

TEST_F(CompactorTest, KeylessRecordsFromBeforeGo) {
  node->config.rules.keys_required = false;
  record::BatchBuilder builder(1000);
  builder.add({.timestamp = 5, .key = nullptr, .value = "x"});
  node->append_now(p0, *builder.finish());
  write({{"a", "1"}});
  roll_and_checkpoint();
  compact();
  EXPECT_EQ(records(), (std::vector<Kept>{{1, "a", "1"}}));
}

TEST_F(CompactorTest, OldFilesGoWithTheNextCheckpointAndNoEarlier) {
  write({{"a", "1"}});
  write({{"end", std::string(700, 'x')}});
  write({{"a", "2"}});
  roll_and_checkpoint();
  const std::vector<std::string> before = files();
  // Step by step: as long as no further checkpoint is written, the old files are there.
  allow();
  const std::uint64_t checkpoints = node->logs[0]->counters().checkpoints.load();
  for (int i = 0; i < 2000; ++i) {
    node->now.instant = node->now.instant + milliseconds(1);
    node->turn(1);
    if (node->logs[0]->counters().checkpoints.load() > checkpoints) break;
    const std::vector<std::string> now = files();
    EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end()));
  }
  node->settle();
  EXPECT_EQ(passes(), 1U);
  EXPECT_EQ(files().size(), log().segments().size());
}

TEST_F(CompactorTest, ACrashAtAnyPointLeavesTheOldOrTheNew) {
  const std::vector<Kept> compacted = {{5, "c", "1"}, {7, "b", "2"}, {8, "a", "3"}};
  bool old_seen = false;
  bool new_seen = false;
  for (int operations = 0; operations < 60; ++operations) {
    SCOPED_TRACE(operations);
    node = std::make_unique<LogNode>(limits);
    node->config.segment_bytes = 700;
    node->config.compaction = {.dirty_ratio_min = 0};
    ASSERT_TRUE(node->boot());
    write({{"a", "1"}, {"b", "1"}, {"a", "2"}});
    write({{"end", std::string(700, 'x')}});
    write({{"a", "2"}, {"c", "1"}});
    write({{"end", std::string(700, 'x')}});
    write({{"b", "2"}, {"a", "3"}});
    roll_and_checkpoint();
    allow();
    for (int i = 0; i < operations; ++i) {
      node->now.instant = node->now.instant + milliseconds(1);
      node->turn(1);
    }
    node->crash(prng);
    ASSERT_TRUE(node->boot()) << node->why;
    const bool is_new = log().segments().front().generation > 0;
    (is_new ? new_seen : old_seen) = true;
    const std::vector<Kept> found = records();
    EXPECT_EQ(found.size(), is_new ? compacted.size() : 7U);
    if (is_new) {
      EXPECT_EQ(found, compacted);
    }
    EXPECT_LE(files().size(), log().segments().size()) << "something was left behind";
    // And it goes on from there.
    compact();
    EXPECT_EQ(records(), compacted);
  }
  EXPECT_TRUE(old_seen);
  EXPECT_TRUE(new_seen);
}

TEST_F(CompactorTest, WhatIsReadWhileItIsReplacedIsReadAll) {
  for (int i = 0; i < 40; ++i) write({{"key" + std::to_string(i % 20), std::string(200, 'v')}});
  roll_and_checkpoint();
  node->crash(prng);  // Nothing of it is in memory now.
  ASSERT_TRUE(node->boot());
  allow();
  for (int round = 0; round < 50 && passes() == 0; ++round) {
    std::set<std::string> keys;
    for (std::int64_t at = 0; at < 40;) at = read_on(at, keys);
    keys.erase("end");
    EXPECT_EQ(keys.size(), 20U);
  }
  EXPECT_EQ(passes(), 1U);
}

TEST_F(CompactorTest, APartitionMayGoInTheMiddleOfIt) {
  for (int operations = 0; operations < 30; ++operations) {
    write({{"a", "1"}});
    roll_and_checkpoint();
    write({{"a", "2"}});
    roll_and_checkpoint();
    allow();
    for (int i = 0; i < operations; ++i) {
      node->now.instant = node->now.instant + milliseconds(1);
      node->turn(1);
    }
    node->core_of(p0).remove(log());
    wait();
    const auto left = node->disk.list(partition_directory(p0).text());
    EXPECT_TRUE(!left || left->empty());
    node->config.compaction.compacts = false;
  }
}

TEST_F(CompactorTest, ItStopsInTheMiddleOfIt) {
  for (int operations = 0; operations < 40; operations += 3) {
    write({{"a", std::string(300, 'y')}});
    write({{"a", "2"}});
    roll_and_checkpoint();
    allow();
    for (int i = 0; i < operations; ++i) {
      node->now.instant = node->now.instant + milliseconds(1);
      node->turn(1);
    }
    node->logs[0]->begin_stop();
    EXPECT_TRUE(node->stops_at_once());
    node->crash(prng);
    ASSERT_TRUE(node->boot());
    node->config.compaction.compacts = false;
  }
}

TEST_F(CompactorTest, ABatchFromWhenFramesWereLargerIsLeftWhereItIs) {
  limits.read_buffer_bytes = 64U << 10;
  node = std::make_unique<LogNode>(limits);
  node->config.segment_bytes = 700;
  node->config.compaction = {.dirty_ratio_min = 0};
  ASSERT_TRUE(node->boot());
  write({{"a", std::string(14'000, 'x')}});
  roll_and_checkpoint();
  node->logs[0]->begin_stop();
  ASSERT_TRUE(node->stops_at_once());
  node->crash(prng);
  limits.frame_bytes_max = 16U << 10;
  node->set_limits(limits);
  ASSERT_TRUE(node->boot()) << node->why;
  compact();
  EXPECT_EQ(passes(), 0U);
  EXPECT_EQ(node->logs[0]->counters().compaction_failures.load(), 1U);
  EXPECT_EQ(records().size(), 1U);
}

TEST_F(CompactorTest, RotIsFoundAndNothingIsLost) {
  write({{"a", "1"}});
  write({{"b", std::string(300, 'y')}});
  roll_and_checkpoint();
  node->disk.flip_bit(std::string(segment_path(p0, 0).text()), 200);
  compact();
  EXPECT_EQ(passes(), 0U);
  EXPECT_EQ(node->logs[0]->counters().compaction_failures.load(), 1U);
  EXPECT_EQ(log().segments().front().generation, 0U);
}

}  // namespace
}  // namespace tailrace::log
