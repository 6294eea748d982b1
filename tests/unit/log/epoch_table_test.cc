#include "log/epoch_table.h"

#include <gtest/gtest.h>

namespace tailrace::log {
namespace {

EpochTable three_epochs() {
  EpochTable table;
  table.on_batch(1, 0);
  table.on_batch(1, 10);
  table.on_batch(4, 20);
  table.on_batch(6, 50);
  return table;
}

void expect_end(const EpochTable& table, std::int32_t epoch, EpochTable::End wanted) {
  const EpochTable::End end = table.end_of(epoch, 100);
  EXPECT_EQ(end.epoch, wanted.epoch) << "asked for " << epoch;
  EXPECT_EQ(end.end_offset, wanted.end_offset) << "asked for " << epoch;
}

TEST(EpochTable, one_entry_per_epoch) {
  const std::vector<EpochStart> wanted = {{1, 0}, {4, 20}, {6, 50}};
  EXPECT_EQ(three_epochs().entries(), wanted);
  EXPECT_EQ(three_epochs().newest(), 6);
}

TEST(EpochTable, an_epoch_ends_where_the_next_known_one_starts) {
  const EpochTable table = three_epochs();
  expect_end(table, 1, {1, 20});
  expect_end(table, 2, {1, 20});  // Nothing was written in 2 and 3.
  expect_end(table, 3, {1, 20});
  expect_end(table, 4, {4, 50});
  expect_end(table, 5, {4, 50});
  expect_end(table, 6, {6, 100});
  expect_end(table, 9, {6, 100});
}

// A consumer that has read up to the log's start in an epoch whose records are all gone must not
// be told that its epoch is unknown: it would reset its position.
TEST(EpochTable, an_epoch_older_than_the_log_ends_where_the_log_starts) {
  EpochTable table = three_epochs();
  table.trim_front(30);
  expect_end(table, 1, {1, 30});
  expect_end(table, 4, {4, 50});
}

TEST(EpochTable, without_batches_nothing_is_known) {
  expect_end(EpochTable{}, 3, {-1, -1});
  expect_end(three_epochs(), -1, {-1, -1});
  EXPECT_EQ(EpochTable{}.newest(), -1);
}

TEST(EpochTable, tells_the_epoch_of_an_offset) {
  const EpochTable table = three_epochs();
  EXPECT_EQ(table.epoch_at(0), 1);
  EXPECT_EQ(table.epoch_at(19), 1);
  EXPECT_EQ(table.epoch_at(20), 4);
  EXPECT_EQ(table.epoch_at(99), 6);
  EXPECT_EQ(EpochTable{}.epoch_at(5), -1);
}

TEST(EpochTable, a_trim_keeps_the_epoch_of_the_new_start) {
  EpochTable table = three_epochs();
  table.trim_front(20);
  const std::vector<EpochStart> at_20 = {{4, 20}, {6, 50}};
  EXPECT_EQ(table.entries(), at_20);
  table.trim_front(100);
  const std::vector<EpochStart> at_100 = {{6, 100}};
  EXPECT_EQ(table.entries(), at_100);
  EXPECT_EQ(table.epoch_at(99), -1);
}

TEST(EpochTable, a_truncation_drops_what_started_behind_it) {
  EpochTable table = three_epochs();
  table.truncate(51);
  EXPECT_EQ(table.newest(), 6);
  table.truncate(50);
  EXPECT_EQ(table.newest(), 4);
  table.truncate(0);
  EXPECT_TRUE(table.entries().empty());
}

TEST(EpochTable, an_epoch_that_lost_all_its_batches_is_replaced) {
  EpochTable table;
  table.on_batch(1, 0);
  table.on_batch(2, 10);
  table.on_batch(3, 10);
  const std::vector<EpochStart> wanted = {{1, 0}, {3, 10}};
  EXPECT_EQ(table.entries(), wanted);
}

TEST(EpochTable, batches_without_an_epoch_leave_no_mark) {
  EpochTable table;
  table.on_batch(-1, 0);
  EXPECT_TRUE(table.entries().empty());
}

TEST(EpochTable, a_checkpoint_that_goes_back_is_taken_as_far_as_it_makes_sense) {
  EpochTable table;
  table.restore({{1, 0}, {4, 20}, {3, 30}, {5, 20}, {-2, 40}, {6, 50}});
  EXPECT_EQ(table.entries(), three_epochs().entries());
}

TEST(EpochTableDeathTest, epochs_never_go_back) {
  EpochTable table = three_epochs();
  EXPECT_DEATH(table.on_batch(5, 60), "epoch >=");
  EXPECT_DEATH(table.on_batch(7, 49), "offset >=");
}

}  // namespace
}  // namespace tailrace::log
