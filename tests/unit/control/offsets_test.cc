#include "control/offsets.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

constexpr std::int64_t day_ms = 86'400'000;

TEST(OffsetTable, KeepsTheNewestOfEachPartitionAndCounts) {
  OffsetTable offsets;
  offsets.set("t", 1, {.offset = 5, .metadata = "long text"});
  offsets.set("t", 1, {.offset = 7});
  offsets.set("t", 2, {.offset = 9});
  ASSERT_NE(offsets.find("t", 1), nullptr);
  EXPECT_EQ(offsets.find("t", 1)->offset, 7);
  EXPECT_EQ(offsets.find("t", 3), nullptr);
  EXPECT_EQ(offsets.find("u", 1), nullptr);
  EXPECT_EQ(offsets.size(), 2U);
  EXPECT_EQ(offsets.memory_bytes(), 2 * OffsetTable::bytes_of("t", ""));
  EXPECT_EQ(offsets.keys(), (std::vector<OffsetKey>{{"t", 1}, {"t", 2}}));
  offsets.erase("t", 1);
  offsets.erase("t", 1);
  offsets.erase("t", 2);
  EXPECT_TRUE(offsets.empty());
  EXPECT_TRUE(offsets.topics().empty());
  EXPECT_EQ(offsets.memory_bytes(), 0U);
}

TEST(Expiry, OffsetsOfAGroupThatOnlyCommitsGoAfterTheirCommit) {
  const Group group("g", {});
  OffsetTable offsets;
  offsets.set("t", 0, {.offset = 1, .commit_ms = 0});
  offsets.set("t", 1, {.offset = 1, .commit_ms = day_ms});
  EXPECT_TRUE(expired_offsets(group, offsets, day_ms, day_ms - 1).empty());
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, day_ms), (std::vector<OffsetKey>{{"t", 0}}));
}

TEST(Expiry, ThoseOfAnEmptyGroupGoAfterTheLastMemberLeft) {
  GroupRecord record;
  record.protocol_type = "consumer";
  record.generation = 3;
  record.state_ms = day_ms;
  const Group group("g", {}, record, {});
  OffsetTable offsets;
  offsets.set("t", 0, {.offset = 1, .commit_ms = 0});
  EXPECT_TRUE(expired_offsets(group, offsets, day_ms, day_ms).empty()) << "long ago committed";
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, 2 * day_ms).size(), 1U);
}

TEST(Expiry, OfALiveGroupOnlyTopicsThatNobodyReads) {
  GroupRecord record;
  record.protocol_type = "consumer";
  record.protocol = "range";
  record.members = {{.id = "a"}};
  const std::string_view reads_t("\0\1\0\0\0\1\0\1t\0\0\0\0", 13);
  record.members[0].subscription = {as_bytes(reads_t).begin(), as_bytes(reads_t).end()};
  const Group group("g", {}, record, {});
  OffsetTable offsets;
  offsets.set("t", 0, {.offset = 1, .commit_ms = 0});
  offsets.set("u", 0, {.offset = 1, .commit_ms = 0});
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, 5 * day_ms),
            (std::vector<OffsetKey>{{"u", 0}}));
}

TEST(Expiry, OffsetsWithATimeOfTheirOwnGoAtThatTime) {
  const Group group("g", {});
  OffsetTable offsets;
  offsets.set("t", 0, {.offset = 1, .commit_ms = 0, .expire_ms = 5});
  offsets.set("t", 1, {.offset = 1, .commit_ms = 0, .expire_ms = 9 * day_ms});
  offsets.set("t", 2, {.offset = 1, .commit_ms = 0, .expire_ms = INT64_MAX});
  EXPECT_TRUE(expired_offsets(group, offsets, day_ms, 4).empty());
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, 5), (std::vector<OffsetKey>{{"t", 0}}));
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, 8 * day_ms).size(), 1U);
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, 9 * day_ms).size(), 2U);
}

TEST(Expiry, ALiveGroupKeepsWhatItReadsWhateverItsTime) {
  GroupRecord record;
  record.protocol_type = "consumer";
  record.protocol = "range";
  record.members = {{.id = "a"}};
  const std::string_view reads_t("\0\1\0\0\0\1\0\1t\0\0\0\0", 13);
  record.members[0].subscription = {as_bytes(reads_t).begin(), as_bytes(reads_t).end()};
  const Group group("g", {}, record, {});
  OffsetTable offsets;
  offsets.set("t", 0, {.offset = 1, .commit_ms = 0, .expire_ms = 5});
  offsets.set("u", 0, {.offset = 1, .commit_ms = 0, .expire_ms = 5});
  EXPECT_EQ(expired_offsets(group, offsets, day_ms, 5), (std::vector<OffsetKey>{{"u", 0}}));
}

}  // namespace
}  // namespace tailrace::control
