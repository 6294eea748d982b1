#include "log/commit_log.h"

#include <gtest/gtest.h>

#include "wal_rig.h"

namespace tailrace::log {
namespace {

class CommitLogTest : public testing::Test {
 protected:
  test::FakeDisk disk_;
  WalRig rig_{disk_};
};

TEST_F(CommitLogTest, what_is_staged_in_one_turn_goes_out_as_one_write_and_one_sync) {
  rig_.start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(*rig_.stage(), 1U);
  EXPECT_EQ(rig_.log().staged_seq(), 1U);
  EXPECT_FALSE(rig_.log().idle());
  rig_.turn();
  ASSERT_EQ(disk_.waiting_count(), 1U);
  EXPECT_EQ(disk_.waiting(0).kind, DiskOpKind::write);
  EXPECT_EQ(disk_.waiting(0).disk_class, DiskClass::wal);
  EXPECT_EQ(disk_.waiting(0).file_pos, 4096U);
  rig_.complete(0);
  EXPECT_EQ(rig_.log().durable_seq(), 0U);  // Written is not durable.
  ASSERT_EQ(disk_.waiting_count(), 1U);
  EXPECT_EQ(disk_.waiting(0).kind, DiskOpKind::sync);
  rig_.complete(0);
  EXPECT_EQ(rig_.log().durable_seq(), 1U);
  EXPECT_TRUE(rig_.log().idle());
  EXPECT_EQ(rig_.log().counters().entries, 10U);
  EXPECT_EQ(rig_.log().counters().frames, 1U);
  EXPECT_EQ(rig_.log().counters().syncs, 1U);
}

TEST_F(CommitLogTest, the_next_frame_waits_for_the_one_before_and_gathers_meanwhile) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  rig_.turn();
  EXPECT_EQ(*rig_.stage(), 2U);
  rig_.turn();
  EXPECT_EQ(*rig_.stage(), 2U);  // Still the open one.
  EXPECT_EQ(disk_.waiting_count(), 1U);
  rig_.complete(0);  // write
  rig_.complete(0);  // sync
  rig_.turn();
  EXPECT_EQ(disk_.waiting_count(), 1U);
  EXPECT_EQ(disk_.waiting(0).file_pos, 8192U);
}

TEST_F(CommitLogTest, a_half_full_frame_does_not_wait) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  rig_.turn();
  ASSERT_TRUE(rig_.stage(17'000));
  rig_.turn();
  EXPECT_EQ(disk_.waiting_count(), 2U);
}

TEST_F(CommitLogTest, with_durable_writes_there_is_no_sync) {
  Limits limits = wal_limits();
  limits.durable_writes = true;
  WalRig rig(disk_, limits);
  rig.start();
  ASSERT_TRUE(rig.stage());
  rig.turn();
  EXPECT_EQ(disk_.waiting(0).kind, DiskOpKind::write_durable);
  rig.complete(0);
  EXPECT_EQ(rig.log().durable_seq(), 1U);
  EXPECT_EQ(disk_.waiting_count(), 0U);
}

TEST_F(CommitLogTest, frames_become_durable_in_sequence_whatever_completes_first) {
  rig_.start();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(rig_.stage(17'000));
    rig_.turn();
  }
  ASSERT_EQ(disk_.waiting_count(), 3U);
  rig_.complete(2);
  rig_.complete(1);
  // The first is missing: a sync now would acknowledge nothing.
  ASSERT_EQ(disk_.waiting_count(), 1U);
  EXPECT_EQ(rig_.log().durable_seq(), 0U);
  rig_.complete(0);
  ASSERT_EQ(disk_.waiting_count(), 1U);  // One sync for all three.
  rig_.complete(0);
  EXPECT_EQ(rig_.log().durable_seq(), 3U);
  EXPECT_EQ(rig_.log().counters().syncs, 1U);
}

TEST_F(CommitLogTest, a_sync_does_not_count_for_a_write_that_completed_after_it_began) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  rig_.turn();
  rig_.complete(0);  // Frame 1 written, its sync under way.
  ASSERT_TRUE(rig_.stage(17'000));
  rig_.turn();
  rig_.complete_kind(DiskOpKind::write);  // Frame 2 written during that sync.
  rig_.complete_kind(DiskOpKind::sync);
  EXPECT_EQ(rig_.log().durable_seq(), 1U);
  rig_.complete_kind(DiskOpKind::sync);
  EXPECT_EQ(rig_.log().durable_seq(), 2U);
}

TEST_F(CommitLogTest, too_many_frames_under_way_is_full_and_passes) {
  rig_.start();
  int staged = 0;
  while (rig_.stage(17'000)) {
    ++staged;
    rig_.turn();
  }
  EXPECT_EQ(staged, 5);  // Four under way, one open.
  EXPECT_EQ(disk_.waiting_count(), 4U);
  EXPECT_EQ(rig_.stage(17'000).error().code, Errc::full);
  rig_.run();
  EXPECT_TRUE(rig_.stage(17'000));
}

TEST_F(CommitLogTest, a_full_entry_table_seals_the_frame) {
  rig_.start();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(*rig_.stage(10), 1U);
  EXPECT_EQ(*rig_.stage(10), 2U);
}

TEST_F(CommitLogTest, the_largest_batch_fits_alone_in_a_fresh_chunk) {
  rig_.start();
  ASSERT_TRUE(rig_.stage(13'000));
  const ChunkId first = rig_.newest().chunk;
  ASSERT_EQ(*rig_.stage(wal_limits().batch_bytes_max() - record::header_bytes), 2U);
  EXPECT_NE(rig_.newest().chunk, first);
  EXPECT_EQ(rig_.newest().chunk_pos, 64U);
  rig_.run();
  EXPECT_EQ(rig_.log().durable_seq(), 2U);
}

TEST_F(CommitLogTest, without_a_clean_chunk_it_is_full_until_one_is_clean) {
  rig_.keep_dirty = true;
  rig_.start();
  std::vector<CommitLog::Draft> drafts;
  while (rig_.stage(20'000)) {
    drafts.push_back(rig_.newest());
    rig_.run();
  }
  EXPECT_EQ(drafts.size(), rig_.cache().chunk_count());
  EXPECT_EQ(rig_.stage(20'000).error().code, Errc::full);
  rig_.cache().sub_dirty(drafts[2].chunk, drafts[2].payload.size());
  ASSERT_TRUE(rig_.stage(20'000));
  EXPECT_EQ(rig_.newest().chunk.index, drafts[2].chunk.index);
  EXPECT_FALSE(rig_.cache().holds(drafts[2].chunk));
}

TEST_F(CommitLogTest, a_chunk_is_pinned_while_the_disk_reads_it) {
  rig_.start();
  ASSERT_TRUE(rig_.stage(20'000));
  const ChunkId first = rig_.newest().chunk;
  ASSERT_TRUE(rig_.stage(20'000));  // Seals the first frame and its chunk.
  std::vector<ChunkId> taken;
  for (ChunkId c = rig_.cache().acquire(); c.index != UINT32_MAX; c = rig_.cache().acquire()) {
    EXPECT_NE(c.index, first.index);
  }
  rig_.turn();
  rig_.complete_kind(DiskOpKind::write);
  EXPECT_EQ(rig_.cache().acquire().index, first.index);
}

TEST_F(CommitLogTest, an_abandoned_draft_leaves_no_trace) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  ASSERT_TRUE(rig_.log().begin(5000));
  rig_.log().abandon();
  ASSERT_TRUE(rig_.stage());
  rig_.run();
  EXPECT_EQ(recover(disk_, wal_limits(), {}).offsets, (std::vector<std::int64_t>{0, 1}));
}

TEST_F(CommitLogTest, a_lone_abandoned_draft_opens_no_frame) {
  rig_.start();
  ASSERT_TRUE(rig_.log().begin(100));
  rig_.log().abandon();
  EXPECT_TRUE(rig_.log().idle());
  EXPECT_EQ(rig_.log().staged_seq(), 0U);
  rig_.turn();
  EXPECT_EQ(disk_.waiting_count(), 0U);
}

TEST_F(CommitLogTest, entries_without_payload_are_not_dirty) {
  rig_.start();
  ASSERT_TRUE(rig_.log().begin(0));
  rig_.log().finish({.kind = EntryKind::log_start, .key = some_key(), .base_offset = 3});
  EXPECT_EQ(rig_.cache().dirty_bytes(), 0U);
  rig_.run();
  EXPECT_EQ(rig_.log().durable_seq(), 1U);
}

TEST_F(CommitLogTest, the_ring_is_full_at_the_trim_mark_and_wraps_behind_it) {
  rig_.start();
  std::vector<WalMark> marks;
  while (rig_.stage(20'000)) {
    rig_.run();
    marks.push_back(rig_.log().durable_mark());
  }
  // 256 KiB, frames of 20 KiB: twelve, and the rest of the ring is too small.
  constexpr std::uint64_t rest_bytes = (256U << 10) - 12 * 20'480U;
  ASSERT_EQ(marks.size(), 12U);
  EXPECT_EQ(rig_.log().free_bytes(), rest_bytes);
  EXPECT_EQ(rig_.stage(20'000).error().code, Errc::full);
  rig_.log().trim(marks[0]);
  ASSERT_TRUE(rig_.stage(20'000));
  rig_.turn();
  EXPECT_EQ(disk_.waiting(0).file_pos, 4096U);  // At the front again.
  rig_.run();
  EXPECT_EQ(rig_.log().bytes_since(marks[11]), rest_bytes + 20'480U);
  const Recovered found = recover(disk_, wal_limits(), marks[0]);
  EXPECT_EQ(found.state, WalScanner::State::end);
  EXPECT_EQ(found.seqs.size(), 12U);
  EXPECT_EQ(found.seqs.back(), 13U);
  EXPECT_EQ(found.mark, rig_.log().durable_mark());
}

TEST_F(CommitLogTest, a_ring_filled_to_the_last_byte_is_told_from_an_empty_one) {
  rig_.start();
  const WalMark empty = rig_.log().durable_mark();
  for (int i = 0; i < 64; ++i) {
    ASSERT_TRUE(rig_.stage(10));
    rig_.run();
  }
  EXPECT_EQ(rig_.log().free_bytes(), 0U);
  EXPECT_EQ(rig_.log().bytes_since(empty), 256U << 10);
  EXPECT_EQ(rig_.log().durable_mark().file_pos, 4096U);
  EXPECT_FALSE(rig_.stage(10));
  rig_.log().trim(rig_.log().durable_mark());
  EXPECT_EQ(rig_.log().free_bytes(), 256U << 10);
  EXPECT_TRUE(rig_.stage(10));
}

TEST_F(CommitLogTest, a_cut_is_a_mark_behind_everything_staged) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  const Result<WalMark> cut = rig_.log().cut();
  ASSERT_TRUE(cut);
  ASSERT_EQ(*rig_.stage(), 2U);
  rig_.run();
  EXPECT_EQ(recover(disk_, wal_limits(), *cut).offsets, (std::vector<std::int64_t>{1}));
  rig_.log().trim(*cut);
  EXPECT_EQ(rig_.log().bytes_since(*cut), 4096U);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(rig_.stage());
    ASSERT_TRUE(rig_.log().cut());
  }
  ASSERT_TRUE(rig_.stage());
  EXPECT_EQ(rig_.log().cut().error().code, Errc::full);  // Four are under way.
}

TEST_F(CommitLogTest, a_failed_write_stops_everything_for_good) {
  rig_.start();
  ASSERT_TRUE(rig_.stage(17'000));
  rig_.turn();
  ASSERT_TRUE(rig_.stage(17'000));
  rig_.turn();
  disk_.fail_next(DiskOpKind::write, EIO);
  rig_.complete(0);
  EXPECT_TRUE(rig_.log().failed());
  EXPECT_EQ(rig_.stage().error().code, Errc::fenced);
  rig_.complete(0);  // The other one still completes and frees its chunk.
  rig_.turn();
  EXPECT_EQ(rig_.log().durable_seq(), 0U);
  EXPECT_EQ(disk_.waiting_count(), 0U);
  EXPECT_TRUE(rig_.log().idle());
}

TEST_F(CommitLogTest, a_short_write_is_a_failed_write) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  rig_.turn();
  disk_.cut_next(DiskOpKind::write, 512);
  rig_.complete(0);
  EXPECT_TRUE(rig_.log().failed());
  EXPECT_EQ(rig_.log().durable_seq(), 0U);
}

TEST_F(CommitLogTest, a_failed_sync_is_never_retried_and_never_acknowledges) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  rig_.turn();
  rig_.complete(0);
  ASSERT_TRUE(rig_.stage(17'000));
  rig_.turn();
  disk_.fail_next(DiskOpKind::sync, EIO);
  rig_.complete_kind(DiskOpKind::sync);
  EXPECT_TRUE(rig_.log().failed());
  rig_.complete_kind(DiskOpKind::write);
  rig_.turn();
  EXPECT_EQ(disk_.waiting_count(), 0U);  // No second sync.
  EXPECT_EQ(rig_.log().durable_seq(), 0U);
  EXPECT_EQ(rig_.stage().error().code, Errc::fenced);
}

TEST_F(CommitLogTest, a_new_life_goes_on_behind_what_was_recovered) {
  rig_.start();
  ASSERT_TRUE(rig_.stage());
  rig_.run();
  const Recovered found = recover(disk_, wal_limits(), {});
  WalRig next(disk_);
  next.start({}, found.mark, 1);
  EXPECT_EQ(next.log().durable_seq(), 1U);
  EXPECT_EQ(*next.stage(), 2U);
  next.run();
  EXPECT_EQ(recover(disk_, wal_limits(), {}).offsets, (std::vector<std::int64_t>{0, 1}));
}

// The promise, under everything at once: whatever order the disk completes in, wherever the power
// is cut and whichever unsynced sectors survive, a recovery finds all that was acknowledged, in
// order, nothing that was never staged, and calls nothing damaged.
void live_and_crash(std::uint64_t seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Prng prng(seed);
  Limits limits = wal_limits();
  limits.durable_writes = prng.chance(1, 3);
  test::FakeDisk disk;
  WalMark kept;
  WalMark next;
  std::int64_t kept_offset = 0;  // the first in a frame that is kept
  std::int64_t next_offset = 0;
  for (int life = 0; life < 4; ++life) {
    WalRig rig(disk, limits);
    rig.seed_salt = seed * 10 + static_cast<std::uint64_t>(life);
    rig.start(kept, next, next_offset);
    std::int64_t acked_end = next_offset;
    for (std::uint64_t turns = prng.below(120); turns > 0; --turns) {
      for (std::uint64_t i = prng.below(4); i > 0; --i) (void)rig.stage(prng.below(12'000));
      rig.turn();
      for (std::uint64_t i = prng.below(4); i > 0 && disk.waiting_count() > 0; --i) {
        rig.complete(prng.below(disk.waiting_count()));
      }
      acked_end = std::max(acked_end, rig.acked_end());
      if (prng.chance(1, 8)) {
        kept = rig.log().durable_mark();
        kept_offset = acked_end;
        rig.log().trim(kept);
      }
    }
    const std::int64_t staged_end = rig.next_offset();
    prng.chance(1, 4) ? disk.kill() : disk.crash(prng);
    const Recovered found = recover(disk, limits, kept, &prng);
    ASSERT_EQ(found.state, WalScanner::State::end);
    for (std::size_t i = 0; i < found.offsets.size(); ++i) {
      ASSERT_EQ(found.offsets[i], kept_offset + static_cast<std::int64_t>(i));
    }
    next_offset = kept_offset + static_cast<std::int64_t>(found.offsets.size());
    ASSERT_GE(next_offset, acked_end);
    ASSERT_LE(next_offset, staged_end);
    next = found.mark;
  }
}

TEST(CommitLogPropertyTest, what_was_acknowledged_survives) {
  for (std::uint64_t seed = 1; seed <= 250; ++seed) live_and_crash(seed);
}

}  // namespace
}  // namespace tailrace::log
