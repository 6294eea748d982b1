#include "log/core_reads.h"

#include "unit/log/core_log_rig.h"

namespace tailrace::log {
namespace {

const PartitionKey p0 = partition_of(1, 0);

TEST(CoreReads, ReadsFromMemoryAndFromSegmentsTheSameBytes) {
  LogNode node;
  node.config.segment_bytes = 40'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 400; ++i) {
    const std::string text = std::string(900, 'x') + std::to_string(i);
    EXPECT_EQ(node.append_now(p0, maker.make(text)).base_offset, i);
  }
  node.settle();
  ASSERT_GT(node.partition(p0).segments().size(), 3u);
  const auto all = node.read_all(p0, 0);
  EXPECT_EQ(LogNode::last_offset(all), 399);
  node.turn();
  EXPECT_GT(node.logs[0]->counters().cold_reads.load(), 0u);
  EXPECT_GT(node.logs[0]->counters().hot_reads.load(), 0u);
  EXPECT_EQ(node.read_all(p0, 0, 1), all) << "one batch at a time";
  const auto rest = node.read_all(p0, 200);
  EXPECT_TRUE(std::equal(rest.begin(), rest.end(), all.end() - static_cast<long>(rest.size())));
}

TEST(CoreReads, FindsTimestampsInSegmentsAndInMemory) {
  LogNode node;
  node.config.segment_bytes = 40'000;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 300; ++i) {
    node.append_now(p0, maker.make(std::string(900, 'x'), 2, 1'700'000'000'000 + i * 10));
  }
  node.settle();
  for (int i = 0; i < 300; i += 7) {
    const std::int64_t wanted = 1'700'000'000'000 + i * 10 + 1;
    const auto id = node.logs[0]->find_timestamp(node.partition(p0), wanted, 5);
    ASSERT_TRUE(id);
    for (int t = 0; t < 100 && !node.logs[0]->get(*id).done; ++t) node.turn();
    const Read& read = node.logs[0]->get(*id);
    ASSERT_TRUE(read.done);
    ASSERT_TRUE(read.status) << i;
    EXPECT_EQ(read.found.offset, i * 2 + 1);
    EXPECT_EQ(read.found_epoch, 3);
    node.logs[0]->release_read(*id);
  }
  const auto none = node.logs[0]->find_timestamp(node.partition(p0), 1'800'000'000'000, 5);
  ASSERT_TRUE(none);
  ASSERT_TRUE(node.logs[0]->get(*none).done);
  EXPECT_EQ(node.logs[0]->get(*none).status.error().code, Errc::not_found);
  node.logs[0]->release_read(*none);
}

// Of the newest segment a part is written, up to the middle of a batch.
TEST(CoreReads, FindsATimestampThatIsOnlyInMemory) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 300; ++i) {
    node.append_now(p0, maker.make(std::string(900, 'x'), 2, 1'700'000'000'000 + i * 10));
    node.settle();
    if (i < 200) continue;
    const auto id = node.logs[0]->find_timestamp(node.partition(p0), 1'700'000'000'000 + i * 10, 5);
    ASSERT_TRUE(id);
    for (int t = 0; t < 100 && !node.logs[0]->get(*id).done; ++t) node.turn();
    ASSERT_TRUE(node.logs[0]->get(*id).status) << i;
    EXPECT_EQ(node.logs[0]->get(*id).found.offset, i * 2);
    node.logs[0]->release_read(*id);
  }
  EXPECT_GT(node.logs[0]->counters().cold_reads.load(), 0U);
}

TEST(CoreReads, FindsATimestampBehindALogStartInTheMiddleOfASegment) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 300; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
  node.settle();
  ASSERT_TRUE(node.logs[0]->advance_log_start(node.partition(p0), 50, node.now));
  node.settle();
  const auto id = node.logs[0]->find_timestamp(node.partition(p0), 1'700'000'000'000, 5);
  ASSERT_TRUE(id);
  for (int t = 0; t < 100 && !node.logs[0]->get(*id).done; ++t) node.turn();
  EXPECT_EQ(node.logs[0]->get(*id).found.offset, 50);
  node.logs[0]->release_read(*id);
}

TEST(CoreReads, FindsATimestampBehindALogStartInTheMiddleOfABatch) {
  for (const bool is_hot : {true, false}) {
    LogNode node;
    ASSERT_TRUE(node.boot());
    BatchMaker maker;
    node.append_now(p0, maker.make("x", 5));
    node.append_now(p0, maker.make("y", 5));
    for (int i = 0; i < (is_hot ? 0 : 600); ++i) node.append_now(p0, maker.make("z", 9, 5));
    node.settle();
    ASSERT_TRUE(node.logs[0]->advance_log_start(node.partition(p0), 3, node.now));
    node.settle();
    const auto id = node.logs[0]->find_timestamp(node.partition(p0), 1'700'000'000'000, 5);
    ASSERT_TRUE(id);
    for (int t = 0; t < 100 && !node.logs[0]->get(*id).done; ++t) node.turn();
    EXPECT_EQ(node.logs[0]->get(*id).found.offset, 3);
    node.logs[0]->release_read(*id);
  }
}

TEST(CoreReads, APieceStaysWhileItIsHeld) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make("held"));
  node.settle();
  CoreLog& core = *node.logs[0];
  const auto id = core.read(node.partition(p0), {.offset_end = 1, .bytes_max = 1000});
  ASSERT_TRUE(id);
  ASSERT_TRUE(core.get(*id).done);
  const Bytes piece = core.get(*id).pieces[0];
  const std::vector<std::byte> before(piece.begin(), piece.end());
  for (int i = 0; i < 600; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
  EXPECT_TRUE(std::equal(piece.begin(), piece.end(), before.begin()));
  core.release_read(*id);
}

TEST(CoreReads, ABatchAboveTheLimitComesOnlyWhenOneIsOwed) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  node.append_now(p0, maker.make(std::string(500, 'x')));
  node.settle();
  CoreLog& core = *node.logs[0];
  for (const bool owed : {false, true}) {
    const auto id = core.read(node.partition(p0), {.offset_end = 1, .bytes_max = 100,
                                                   .at_least_one = owed});
    ASSERT_TRUE(id);
    ASSERT_TRUE(core.get(*id).done);
    EXPECT_EQ(core.get(*id).pieces.size(), owed ? 1u : 0u);
    core.release_read(*id);
  }
}

TEST(CoreReads, ReadsOfAPartitionThatGoesAwayEnd) {
  LogNode node;
  ASSERT_TRUE(node.boot());
  BatchMaker maker;
  for (int i = 0; i < 600; ++i) node.append_now(p0, maker.make(std::string(900, 'x')));
  node.settle();
  CoreLog& core = *node.logs[0];
  const auto id = core.read(node.partition(p0), {.offset_end = 1, .bytes_max = 1000, .word = 7});
  ASSERT_TRUE(id);
  ASSERT_FALSE(core.get(*id).done) << "the first batch has long left memory";
  core.remove(node.partition(p0));
  std::array<ReadId, 2> done;
  ASSERT_EQ(core.take_reads_done(done), 1u);
  EXPECT_EQ(core.get(*id).status.error().code, Errc::not_found);
  core.release_read(*id);
  node.settle();
}

}  // namespace
}  // namespace tailrace::log
