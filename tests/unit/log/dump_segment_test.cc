#include "log/dump_segment.h"

#include <gtest/gtest.h>

#include "base/prng.h"
#include "log/index.h"
#include "support/raw_batch.h"

namespace tailrace::log {
namespace {

std::vector<std::byte> two_batches() {
  auto bytes = test::make_raw_batch({.base_offset = 40, .record_count = 3, .timestamp_ms = 5});
  const auto second = test::make_raw_batch({.base_offset = 43, .leader_epoch = 2});
  bytes.insert(bytes.end(), second.begin(), second.end());
  return bytes;
}

struct Dumped {
  std::string text;
  std::uint64_t batches = 0;
  std::uint64_t problems = 0;
  std::uint64_t good_bytes = 0;
};

// Feeds the bytes in pieces of `piece_bytes`.
Dumped dump(Bytes bytes, std::size_t piece_bytes = 1 << 20, std::int64_t base_offset = 40,
            bool compacted = false) {
  Dumped dumped;
  SegmentDump dump(base_offset, [&](std::string_view line) {
    dumped.text += line;
    dumped.text += '\n';
  }, compacted);
  while (!bytes.empty()) {
    const std::size_t size = std::min(piece_bytes, bytes.size());
    dump.feed(bytes.first(size));
    bytes = bytes.subspan(size);
  }
  dump.finish();
  dumped.batches = dump.batch_count();
  dumped.problems = dump.problem_count();
  dumped.good_bytes = dump.good_bytes();
  return dumped;
}

TEST(SegmentDump, one_line_per_batch_and_a_summary) {
  EXPECT_EQ(dump(two_batches()).text,
            "           0 offsets 40 to 42 records 3 bytes 101 epoch 0 none timestamps 5 to 5\n"
            "         101 offsets 43 to 43 records 1 bytes 101 epoch 2 none"
            " timestamps 1700000000000 to 1700000000000\n"
            "2 batches, 4 records, 202 bytes good from the front, 0 problems\n");
}

TEST(SegmentDump, the_pieces_it_is_fed_do_not_matter) {
  auto bytes = two_batches();
  bytes.resize(500);
  for (const std::size_t piece_bytes : {1U, 7U, 60U, 61U, 62U, 101U, 250U}) {
    EXPECT_EQ(dump(bytes, piece_bytes).text, dump(bytes).text) << piece_bytes;
  }
}

TEST(SegmentDump, producers_and_marks_are_shown) {
  auto bytes = two_batches();
  record::BatchHeader header = *record::parse_header(bytes);
  header.producer_id = 9;
  header.producer_epoch = 1;
  header.base_sequence = 70;
  header.attributes = record::transactional_bit | record::control_bit |
                      record::log_append_time_bit | static_cast<int>(record::Codec::zstd);
  record::store_header(bytes, header);
  record::seal_crc(MutableBytes(bytes).first(header.size_bytes()));
  const Dumped dumped = dump(bytes);
  EXPECT_NE(dumped.text.find("zstd"), std::string::npos);
  EXPECT_NE(dumped.text.find("producer 9 epoch 1 sequences 70 to 72 log-append-time transactional"
                             " control"),
            std::string::npos);
  EXPECT_EQ(dumped.problems, 0U);
}

TEST(SegmentDump, a_wrong_crc_is_named_and_what_follows_still_shown) {
  auto bytes = two_batches();
  bytes[80] ^= std::byte{1};
  const Dumped dumped = dump(bytes);
  EXPECT_NE(dumped.text.find("PROBLEM: CRC is"), std::string::npos);
  EXPECT_EQ(dumped.batches, 2U);
  EXPECT_EQ(dumped.problems, 1U);
  EXPECT_EQ(dumped.good_bytes, 0U);
}

TEST(SegmentDump, offsets_that_go_back_or_leave_a_gap) {
  auto bytes = two_batches();
  record::set_base_offset(MutableBytes(bytes).subspan(101), 42);
  EXPECT_NE(dump(bytes).text.find("PROBLEM: the offset goes back: at least 43 was due"),
            std::string::npos);
  EXPECT_EQ(dump(bytes).good_bytes, 101U);
  record::set_base_offset(MutableBytes(bytes).subspan(101), 50);
  EXPECT_NE(dump(bytes).text.find("note: offsets 43 to 49 are missing"), std::string::npos);
  EXPECT_EQ(dump(bytes).problems, 0U);
}

TEST(SegmentDump, the_first_offset_is_the_one_in_the_name) {
  EXPECT_NE(dump(two_batches(), 1000, 41).text.find("first offset should be 41"),
            std::string::npos);
  EXPECT_EQ(dump(two_batches(), 1000, -1).problems, 0U);
}

TEST(SegmentDump, what_compaction_left_is_no_problem) {
  auto bytes = test::make_raw_batch({.base_offset = 43, .record_count = 3});
  record::BatchHeader header = *record::parse_header(bytes);
  header.last_offset_delta = 7;
  record::store_header(bytes, header);
  record::seal_crc(bytes);
  const Dumped compacted = dump(bytes, 1 << 20, 40, true);
  EXPECT_EQ(compacted.problems, 0U);
  EXPECT_NE(compacted.text.find("offsets 43 to 50 records 3"), std::string::npos);
  EXPECT_NE(compacted.text.find(" compacted"), std::string::npos);
  EXPECT_EQ(dump(bytes).problems, 2U);
  // More records than offsets, or an offset before the segment's, are wrong in any.
  EXPECT_EQ(dump(bytes, 1 << 20, 44, true).problems, 1U);
}

TEST(SegmentDump, padding_is_no_problem_and_junk_is) {
  auto bytes = two_batches();
  bytes.resize(4096);
  EXPECT_NE(dump(bytes).text.find("         202 padding: 3894 zeros"), std::string::npos);
  EXPECT_EQ(dump(bytes).problems, 0U);
  bytes[4000] = std::byte{1};
  EXPECT_NE(dump(bytes).text.find("PROBLEM: no batch begins at 202; 3894 bytes not looked at"),
            std::string::npos);
  bytes.resize(210);
  EXPECT_NE(dump(bytes).text.find("         202 padding: 8 zeros"), std::string::npos);
  bytes[205] = std::byte{1};
  EXPECT_NE(dump(bytes).text.find("PROBLEM: 8 bytes at 202 are too few for a batch"),
            std::string::npos);
}

TEST(SegmentDump, a_batch_that_is_cut) {
  auto bytes = two_batches();
  bytes.resize(190);
  const Dumped dumped = dump(bytes);
  EXPECT_NE(dumped.text.find("PROBLEM: the segment ends 12 bytes before this batch does"),
            std::string::npos);
  EXPECT_EQ(dumped.batches, 1U);
  EXPECT_EQ(dumped.good_bytes, 101U);
}

TEST(SegmentDump, a_length_of_nonsense) {
  auto bytes = two_batches();
  bytes[8] = std::byte{0x80};
  EXPECT_NE(dump(bytes).text.find("PROBLEM: no batch begins at 0"), std::string::npos);
}

TEST(SegmentDump, nothing_is_nothing) {
  EXPECT_EQ(dump({}).text, "0 batches, 0 records, 0 bytes good from the front, 0 problems\n");
}

TEST(SegmentDump, any_bytes_are_survived) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed, "dump");
    auto bytes = two_batches();
    for (int i = 0; i < 5; ++i) {
      bytes[prng.below(bytes.size())] = static_cast<std::byte>(prng.next());
    }
    const Dumped dumped = dump(bytes, prng.between(1, 300), prng.chance(1, 2) ? 40 : -1);
    EXPECT_LE(dumped.good_bytes, bytes.size());
  }
}

std::string dumped_index(Bytes bytes, std::uint64_t problems) {
  std::string text;
  EXPECT_EQ(dump_index(bytes, [&](std::string_view line) { text += std::string(line) + "\n"; }),
            problems);
  return text;
}

TEST(IndexDump, shows_entries_or_what_is_wrong) {
  Index index(100);
  index.on_batch(5, 10, 7);
  index.on_batch(9, 120, 8);
  std::vector<std::byte> bytes;
  index.encode(300, bytes);
  EXPECT_EQ(dumped_index(bytes, 0),
            "1 entries for the first 300 bytes of the segment\n"
            "         120 offset 9 largest timestamp before 7\n");
  bytes[20] ^= std::byte{1};
  EXPECT_EQ(dumped_index(bytes, 1), "PROBLEM: this is no index: corrupt\n");
}

}  // namespace
}  // namespace tailrace::log
