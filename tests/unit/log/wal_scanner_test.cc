#include "log/wal_scanner.h"

#include <gtest/gtest.h>

#include "wal_rig.h"

namespace tailrace::log {
namespace {

using State = WalScanner::State;

// Frames of 4 KiB, each synced before the next; their marks.
std::vector<WalMark> write_frames(WalRig& rig, int count, std::size_t record_bytes = 100) {
  std::vector<WalMark> marks;
  for (int i = 0; i < count; ++i) {
    TR_ASSERT(rig.stage(record_bytes).has_value());
    rig.run();
    marks.push_back(rig.log().durable_mark());
  }
  return marks;
}

class WalScannerTest : public testing::Test {
 protected:
  void SetUp() override { rig_.start(); }
  test::FakeDisk disk_;
  WalRig rig_{disk_};
};

TEST_F(WalScannerTest, an_empty_log_ends_where_it_begins) {
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.state, State::end);
  EXPECT_EQ(found.mark, WalMark{});
}

TEST_F(WalScannerTest, frames_of_all_sizes_come_back_whole_and_in_order) {
  std::vector<std::int64_t> offsets;
  for (std::size_t i = 0; i < 16; ++i) {
    ASSERT_TRUE(rig_.stage(i * 1750));
    rig_.run();
    offsets.push_back(static_cast<std::int64_t>(i));
  }
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.state, State::end);
  EXPECT_EQ(found.offsets, offsets);
  EXPECT_EQ(found.mark, rig_.log().durable_mark());
}

TEST_F(WalScannerTest, reading_starts_at_the_mark) {
  const auto marks = write_frames(rig_, 5);
  EXPECT_EQ(recover(disk_, wal_limits(), marks[2]).seqs, (std::vector<std::uint64_t>{4, 5}));
}

// The last frame was under way when the power went: any of its sectors may be missing.
TEST_F(WalScannerTest, a_frame_torn_at_any_sector_is_the_end) {
  write_frames(rig_, 3);
  ASSERT_TRUE(rig_.stage(9000));
  rig_.turn();
  const std::uint64_t start = 4096 + 3 * 4096;
  for (std::uint64_t cut = 0; cut < 12'288; cut += 512) {
    for (const bool keep_front : {true, false}) {
      test::FakeDisk disk = disk_;
      disk.crash_keeping([&](const std::string&, std::uint64_t pos) {
        return keep_front ? pos < start + cut : pos >= start + cut;
      });
      const Recovered found = recover(disk, wal_limits(), {});
      EXPECT_EQ(found.state, State::end);
      // The last sectors are padding: without them the frame is still whole.
      EXPECT_GE(found.seqs.size(), 3U) << "cut " << cut;
      if (cut == 0) {
        EXPECT_EQ(found.seqs.size(), keep_front ? 3U : 4U);
      }
      if (cut == 512) {
        EXPECT_EQ(found.seqs.size(), 3U);
      }
    }
  }
}

// Frames 4 to 7 are under way at once; some arrive, some do not. Nothing says they were durable.
TEST_F(WalScannerTest, whole_frames_in_flight_behind_a_torn_one_are_no_damage) {
  write_frames(rig_, 3);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(rig_.stage(17'000));
    rig_.turn();
  }
  ASSERT_EQ(disk_.waiting_count(), 4U);
  const std::uint64_t first = disk_.waiting(0).file_pos;
  disk_.crash_keeping([&](const std::string&, std::uint64_t pos) { return pos >= first + 4096; });
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.state, State::end);
  EXPECT_EQ(found.mark.seq, 4U);
}

TEST_F(WalScannerTest, a_rotten_bit_in_any_acknowledged_frame_but_the_last_is_damage) {
  const auto marks = write_frames(rig_, 8);
  for (std::uint64_t frame = 0; frame + 1 < 8; ++frame) {
    for (const std::uint64_t byte : {20U, 40U, 80U, 170U, 230U}) {
      test::FakeDisk disk = disk_;
      disk.flip_bit(wal_name, 4096 + frame * 4096 + byte);
      const Recovered found = recover(disk, wal_limits(), {});
      EXPECT_EQ(found.state, State::damaged) << "frame " << frame << " byte " << byte;
      EXPECT_EQ(found.mark.seq, frame + 1);
      EXPECT_EQ(found.found_seq, frame + 2);
      EXPECT_EQ(found.mark.file_pos, 4096 + frame * 4096);
    }
  }
  // Of the last one nobody can tell.
  disk_.flip_bit(wal_name, 4096 + 7 * 4096 + 80);
  EXPECT_EQ(recover(disk_, wal_limits(), {}).state, State::end);
}

TEST_F(WalScannerTest, damage_is_found_behind_lost_headers_and_across_the_end_of_the_ring) {
  const auto marks = write_frames(rig_, 60);
  rig_.log().trim(marks[50]);
  write_frames(rig_, 6);  // 61 to 66: the last two at the front.
  for (std::uint64_t frame = 62; frame <= 64; ++frame) {
    disk_.flip_bit(wal_name, 4096 + (frame - 1) * 4096 + 8);
  }
  const Recovered found = recover(disk_, wal_limits(), marks[50]);
  EXPECT_EQ(found.state, State::damaged);
  EXPECT_EQ(found.mark.seq, 62U);
  EXPECT_EQ(found.found_seq, 65U);
}

TEST_F(WalScannerTest, frames_of_an_earlier_lap_are_not_taken_for_new_ones) {
  const auto marks = write_frames(rig_, 64);
  rig_.log().trim(marks[63]);
  write_frames(rig_, 10);
  const Recovered found = recover(disk_, wal_limits(), marks[63]);
  EXPECT_EQ(found.state, State::end);  // Frame 11 of the first lap lies right behind.
  EXPECT_EQ(found.seqs.size(), 10U);
}

TEST_F(WalScannerTest, frames_of_another_wal_are_not_taken) {
  write_frames(rig_, 4);
  auto& bytes = disk_.bytes(wal_name);
  WalFormatBlock format = *parse_wal_format(Bytes(bytes).first(4096));
  format.wal.bytes[0] ^= 1;
  store_wal_format(MutableBytes(bytes).first(4096), format);
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.state, State::end);
  EXPECT_TRUE(found.seqs.empty());
}

// Life 1 leaves frames 2 and 3; life 2 begins behind frame 1 and writes its own frame 2. The old
// frame 3 is whole and has the next number, but it links to another frame 2.
TEST_F(WalScannerTest, a_frame_of_an_earlier_life_is_refused_by_its_link) {
  const auto marks = write_frames(rig_, 3);
  WalRig next(disk_);
  next.seed_salt = 99;
  next.start({}, marks[0], 1);
  write_frames(next, 1);
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.seqs, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(found.mark, next.log().durable_mark());
}

// The bad place is where the ring's end is too small, and an earlier life had put a smaller frame
// with the same number there, torn. The acknowledged one lies at the front.
TEST_F(WalScannerTest, a_torn_leftover_at_the_end_does_not_hide_the_front) {
  const auto marks = write_frames(rig_, 62);
  rig_.log().trim(marks[60]);
  ASSERT_TRUE(rig_.stage(100));
  rig_.turn();
  disk_.crash_keeping([](const std::string&, std::uint64_t pos) { return pos % 4096 == 0; });
  disk_.flip_bit(wal_name, 4096 + 62 * 4096 + 100);
  ASSERT_EQ(recover(disk_, wal_limits(), marks[60]).mark, marks[61]);

  WalRig next(disk_);
  next.start(marks[60], marks[61], 62);
  ASSERT_TRUE(next.stage(9000));  // 12 KiB; 8 KiB are left.
  next.run();
  ASSERT_EQ(next.log().durable_seq(), 63U);
  const Recovered found = recover(disk_, wal_limits(), marks[60]);
  EXPECT_EQ(found.state, State::end);
  EXPECT_EQ(found.seqs, (std::vector<std::uint64_t>{62, 63}));
}

// A killed process leaves a frame in the drive's cache; the next one reads it and answers clients
// from it. A power cut after that must not take it back.
TEST_F(WalScannerTest, what_was_read_back_is_durable) {
  ASSERT_TRUE(rig_.stage());
  rig_.turn();
  disk_.kill();
  ASSERT_EQ(recover(disk_, wal_limits(), {}).seqs.size(), 1U);
  disk_.crash_keeping([](const std::string&, std::uint64_t) { return false; });
  EXPECT_EQ(recover(disk_, wal_limits(), {}).seqs.size(), 1U);
}

TEST_F(WalScannerTest, without_that_sync_there_is_no_end) {
  write_frames(rig_, 2);
  disk_.fail_next(DiskOpKind::sync, EIO);
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.state, State::failed);
  EXPECT_EQ(found.error_number, EIO);
}

TEST_F(WalScannerTest, a_read_error_is_no_end) {
  write_frames(rig_, 3);
  disk_.fail_next(DiskOpKind::read, EIO);
  const Recovered found = recover(disk_, wal_limits(), {});
  EXPECT_EQ(found.state, State::failed);
  EXPECT_EQ(found.error_number, EIO);
}

TEST_F(WalScannerTest, a_file_that_lost_its_end_is_no_end) {
  write_frames(rig_, 3);
  disk_.bytes(wal_name).resize(4096 + 8192);
  EXPECT_EQ(recover(disk_, wal_limits(), {}).state, State::failed);
}

TEST_F(WalScannerTest, a_frame_that_no_longer_fits_is_named_not_dropped) {
  write_frames(rig_, 2, 20'000);
  Limits limits = wal_limits();
  limits.frame_bytes_max = 16U << 10;
  const Recovered found = recover(disk_, limits, {});
  EXPECT_EQ(found.state, State::failed);
  EXPECT_EQ(found.error_number, EFBIG);
}

TEST_F(WalScannerTest, a_mark_outside_the_ring_is_refused) {
  for (const std::uint64_t file_pos : {std::uint64_t{0}, std::uint64_t{5000},
                                       std::uint64_t{4096 + (256U << 10)}, UINT64_MAX & ~4095U}) {
    const Recovered found = recover(disk_, wal_limits(), {.seq = 1, .file_pos = file_pos});
    EXPECT_EQ(found.state, State::failed);
    EXPECT_EQ(found.error_number, EINVAL);
  }
}

// Whatever lies in the ring: an answer, no crash, no endless loop.
TEST_F(WalScannerTest, any_bytes_end_in_an_answer) {
  write_frames(rig_, 20, 3000);
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Prng prng(seed);
    test::FakeDisk disk = disk_;
    auto& bytes = disk.bytes(wal_name);
    for (std::uint64_t hits = prng.between(1, 6); hits > 0; --hits) {
      const std::uint64_t from = 4096 + prng.below(bytes.size() - 4096 - 4096);
      const std::uint64_t to = 4096 + prng.below(bytes.size() - 4096 - 4096);
      std::memmove(bytes.data() + to / 4096 * 4096, bytes.data() + from / 4096 * 4096,
                   prng.below(4096));
    }
    const Recovered found = recover(disk, wal_limits(), {}, &prng);
    EXPECT_NE(found.state, State::failed) << "seed " << seed;
    for (std::size_t i = 0; i < found.offsets.size(); ++i) {
      EXPECT_EQ(found.offsets[i], static_cast<std::int64_t>(i)) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace tailrace::log
