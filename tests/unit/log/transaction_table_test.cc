#include "log/transaction_table.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/prng.h"

namespace tailrace::log {
namespace {

std::vector<AbortedRange> found(const TransactionTable& table, std::int64_t offset,
                                std::int64_t offset_end) {
  std::vector<AbortedRange> ranges(table.find(offset, offset_end, {}));
  EXPECT_EQ(table.find(offset, offset_end, ranges), ranges.size());
  return ranges;
}

using Ranges = std::vector<AbortedRange>;

TEST(TransactionTable, is_empty_at_first) {
  const TransactionTable table;
  EXPECT_EQ(table.first_undecided(), INT64_MAX);
  EXPECT_EQ(found(table, 0, 100), Ranges{});
}

TEST(TransactionTable, an_end_is_decided_when_its_marker_is_durable) {
  TransactionTable table;
  table.on_end({7, 10, 20, 21}, true);
  table.on_end({8, 4, 30, 31}, false);
  EXPECT_EQ(table.first_undecided(), 4);
  table.on_durable(20);  // The marker at 20 is not among them.
  EXPECT_EQ(table.first_undecided(), 4);
  table.on_durable(30);
  EXPECT_EQ(table.first_undecided(), 4);
  table.on_durable(31);
  EXPECT_EQ(table.first_undecided(), INT64_MAX);
}

TEST(TransactionTable, tells_of_those_aborted_in_a_range_by_first_offset) {
  TransactionTable table;
  table.on_end({1, 10, 20, 12}, false);  // Producer 2 began at 12 and is open.
  table.on_end({3, 22, 25, 12}, false);
  table.on_end({2, 12, 30, 31}, false);
  table.on_end({1, 40, 50, 51}, false);
  EXPECT_EQ(found(table, 0, 100), (Ranges{{1, 10}, {2, 12}, {3, 22}, {1, 40}}));
  EXPECT_EQ(found(table, 0, 11), (Ranges{{1, 10}}));
  EXPECT_EQ(found(table, 0, 10), Ranges{});
  EXPECT_EQ(found(table, 20, 22), (Ranges{{1, 10}, {2, 12}}));
  EXPECT_EQ(found(table, 21, 22), (Ranges{{2, 12}}));
  EXPECT_EQ(found(table, 30, 31), (Ranges{{2, 12}}));
  EXPECT_EQ(found(table, 31, 40), Ranges{});
  EXPECT_EQ(found(table, 51, 100), Ranges{});
  EXPECT_EQ(found(table, 15, 15), Ranges{}) << "nothing is in no range";
}

TEST(TransactionTable, committed_ones_are_not_told_of) {
  TransactionTable table;
  table.on_end({1, 10, 20, 21}, true);
  EXPECT_EQ(found(table, 0, 100), Ranges{});
  EXPECT_TRUE(table.aborted().empty());
}

TEST(TransactionTable, entries_go_with_their_last_offset) {
  TransactionTable table;
  table.on_end({1, 10, 20, 21}, false);
  table.on_end({1, 30, 40, 41}, false);
  table.trim_front(20);
  EXPECT_EQ(table.aborted().size(), 2U);  // Its marker is still there.
  table.trim_front(21);
  EXPECT_EQ(found(table, 0, 100), (Ranges{{1, 30}}));
}

TEST(TransactionTable, what_is_truncated_is_open_again_if_it_had_begun_before) {
  TransactionTable table;
  table.on_end({1, 10, 20, 21}, false);
  table.on_durable(21);
  table.on_end({2, 22, 30, 31}, true);
  table.on_end({3, 32, 35, 36}, false);
  Ranges reopened;
  table.truncate(28, [&](std::int64_t producer, std::int64_t first) {
    reopened.push_back({producer, first});
  });
  EXPECT_EQ(reopened, (Ranges{{2, 22}}));
  EXPECT_EQ(table.first_undecided(), INT64_MAX);
  EXPECT_EQ(found(table, 0, 100), (Ranges{{1, 10}}));
}

TEST(TransactionTable, comes_back_from_a_checkpoint_without_what_contradicts_itself) {
  TransactionTable table;
  table.on_end({1, 10, 20, 21}, false);
  table.restore({{1, 10, 20, 12}, {2, 5, 18, 19}, {3, -1, 30, 31}, {4, 30, 30, 31},
                 {5, 25, 40, 42}, {6, 12, 50, 51}, {7, 52, 60, 40}});
  EXPECT_EQ(found(table, 0, 100), (Ranges{{1, 10}, {6, 12}}));
  EXPECT_EQ(table.first_undecided(), INT64_MAX);
}

// Against a plain list: transactions of a few producers that begin and end at random.
TEST(TransactionTable, finds_what_a_plain_list_has) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Prng prng(seed);
    TransactionTable table;
    std::vector<AbortedTransaction> all;
    std::vector<std::int64_t> open(5, -1);
    std::int64_t offset = 0;
    for (int i = 0; i < 400; ++i, ++offset) {
      const auto producer = prng.below(open.size());
      if (open[producer] < 0) {
        open[producer] = offset;
        continue;
      }
      const std::int64_t first = open[producer];
      open[producer] = -1;
      std::int64_t stable_end = offset + 1;
      for (const std::int64_t start : open) {
        if (start >= 0) stable_end = std::min(stable_end, start);
      }
      const AbortedTransaction ended{static_cast<std::int64_t>(producer), first, offset,
                                     stable_end};
      const bool is_commit = prng.below(2) == 0;
      table.on_end(ended, is_commit);
      if (!is_commit) all.push_back(ended);
    }
    std::int64_t stable = offset;
    for (const std::int64_t start : open) {
      if (start >= 0) stable = std::min(stable, start);
    }
    for (int i = 0; i < 200; ++i) {
      const auto from = static_cast<std::int64_t>(prng.below(static_cast<std::uint64_t>(offset)));
      const std::int64_t to = std::min(stable, from + static_cast<std::int64_t>(prng.below(100)));
      Ranges expected;
      for (const AbortedTransaction& one : all) {
        if (to <= from) break;
        if (one.first_offset < to && one.last_offset >= from) {
          expected.push_back({one.producer_id, one.first_offset});
        }
      }
      std::sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) {
        return a.first_offset < b.first_offset;
      });
      EXPECT_EQ(found(table, from, to), expected) << "seed " << seed << ": " << from << " " << to;
    }
  }
}

}  // namespace
}  // namespace tailrace::log
