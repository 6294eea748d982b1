#include "control/journal_format.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tailrace::control {
namespace {

constexpr std::size_t block = disk_block_bytes;

// Builds a journal file group by group.
class Journal {
 public:
  explicit Journal(std::uint64_t generation = 1) {
    Prng prng(9);
    header_.store = random_uuid(prng);
    header_.generation = generation;
    bytes.resize(16 * block);
  }
  void base(raft::Index snapshot_index = 0, GroupKind kind = GroupKind::base_last) {
    raft::Snapshot snapshot;
    snapshot.index = snapshot_index;
    snapshot.configuration = {{1}, {}};
    add(kind, encode_base({1, 1}, snapshot, {}));
  }
  void log(raft::Index index, raft::Term term = 1, std::size_t size = 10) {
    std::vector<std::byte> payload;
    put_hard_state(payload, {term, 1});
    put_entry(payload, {index, term, raft::EntryKind::data, std::vector<std::byte>(size)});
    add(GroupKind::log, payload);
  }
  void moved() { add(GroupKind::moved, {}); }
  void add(GroupKind kind, Bytes payload) {
    header_.kind = kind;
    const MutableBytes to = MutableBytes(bytes).subspan(end, group_bytes(payload.size()));
    std::copy(payload.begin(), payload.end(), to.begin() + group_header_bytes);
    header_.previous_crc = seal_group(header_, to, payload.size());
    ++header_.sequence;
    end += to.size();
  }
  void break_at(std::size_t pos) { bytes[pos] ^= std::byte{1}; }

  std::vector<std::byte> bytes;
  std::size_t end = 0;

 private:
  GroupHeader header_;
};

TEST(JournalFormat, BaseAndLogAreReadBack) {
  Journal journal(7);
  journal.base(5);
  journal.log(6);
  journal.log(7, 2);
  const JournalScan scan = scan_journal(journal.bytes);
  ASSERT_EQ(scan.state, JournalState::whole) << scan.why;
  EXPECT_EQ(scan.generation, 7U);
  EXPECT_EQ(scan.end_pos, 3 * block);
  EXPECT_EQ(scan.sequence_next, 3U);
  EXPECT_FALSE(scan.torn_tail);
  EXPECT_EQ(scan.recovered.snapshot.index, 5U);
  EXPECT_EQ(scan.recovered.hard_state, (raft::HardState{2, 1}));
  ASSERT_EQ(scan.recovered.entries.size(), 2U);
  EXPECT_EQ(scan.recovered.entries[1].index, 7U);
}

TEST(JournalFormat, AnEntryReplacesThoseFromItsIndexOn) {
  Journal journal;
  journal.base();
  for (raft::Index i = 1; i <= 3; ++i) journal.log(i);
  journal.log(2, 2);
  const JournalScan scan = scan_journal(journal.bytes);
  ASSERT_EQ(scan.recovered.entries.size(), 2U);
  EXPECT_EQ(scan.recovered.entries[1].term, 2U);
}

TEST(JournalFormat, ABrokenLastGroupIsATornOne) {
  Journal journal;
  journal.base();
  journal.log(1);
  journal.log(2);
  journal.break_at(2 * block + 70);
  const JournalScan scan = scan_journal(journal.bytes);
  EXPECT_EQ(scan.state, JournalState::whole);
  EXPECT_TRUE(scan.torn_tail);
  EXPECT_EQ(scan.end_pos, 2 * block);
  EXPECT_EQ(scan.recovered.entries.size(), 1U);
}

TEST(JournalFormat, ABrokenGroupBeforeAWholeOneIsDamageAndTheScanSaysWhere) {
  for (std::size_t broken = 0; broken < 3; ++broken) {
    Journal journal;
    journal.base();
    for (raft::Index i = 1; i <= 3; ++i) journal.log(i);
    journal.break_at(broken * block + 65);
    const JournalScan scan = scan_journal(journal.bytes);
    EXPECT_EQ(scan.state, JournalState::damaged);
    EXPECT_EQ(scan.damage_pos, broken * block);
    EXPECT_EQ(scan.why, "this group cannot be read, but later ones can");
  }
}

TEST(JournalFormat, AnyBitOfAGroupBeforeTheLastIsMissed) {
  Journal journal;
  journal.base();
  journal.log(1, 1, 20);
  const std::size_t used = group_header_bytes + 17 + 5 + 17 + 20;
  journal.log(2);
  for (std::size_t at = 0; at < used; ++at) {
    journal.break_at(block + at);
    EXPECT_EQ(scan_journal(journal.bytes).state, JournalState::damaged) << at;
    journal.break_at(block + at);
  }
  EXPECT_EQ(scan_journal(journal.bytes).state, JournalState::whole);
}

TEST(JournalFormat, GroupsOfAnOlderGenerationBehindAreNoDamage) {
  Journal old(1);
  old.base();
  for (raft::Index i = 1; i <= 6; ++i) old.log(i);
  Journal journal(3);
  journal.base(6);
  journal.log(7);
  std::copy(old.bytes.begin() + 2 * block, old.bytes.end(), journal.bytes.begin() + 2 * block);
  const JournalScan scan = scan_journal(journal.bytes);
  EXPECT_EQ(scan.state, JournalState::whole) << scan.why;
  EXPECT_EQ(scan.recovered.entries.size(), 1U);
  EXPECT_FALSE(scan.torn_tail);
}

TEST(JournalFormat, ABaseThatWasNotFinishedCountsForNothing) {
  Journal journal(4);
  journal.base(9, GroupKind::base);
  EXPECT_EQ(scan_journal(journal.bytes).state, JournalState::unfinished);
  journal.break_at(3);
  EXPECT_EQ(scan_journal(journal.bytes).state, JournalState::unfinished);
}

TEST(JournalFormat, ZerosAndNothingAreBlank) {
  EXPECT_EQ(scan_journal({}).state, JournalState::blank);
  EXPECT_EQ(scan_journal(std::vector<std::byte>(3 * block)).state, JournalState::blank);
}

TEST(JournalFormat, TheMarkClosesAFile) {
  Journal journal;
  journal.base();
  journal.log(1);
  journal.moved();
  const JournalScan scan = scan_journal(journal.bytes);
  EXPECT_EQ(scan.state, JournalState::whole);
  EXPECT_TRUE(scan.moved);
}

TEST(JournalFormat, ContentThatMakesNoSenseIsDamageAlthoughItsChecksumIsRight) {
  Journal journal;
  journal.base();
  journal.log(5);
  EXPECT_EQ(scan_journal(journal.bytes).state, JournalState::damaged) << "entries 1 to 4 missing";
}

TEST(JournalFormat, RandomBytesAndFlipsNeverHarm) {
  Prng prng(4);
  Journal journal;
  journal.base();
  for (raft::Index i = 1; i <= 5; ++i) journal.log(i, 1, 5000);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> bytes = journal.bytes;
    for (std::uint64_t n = prng.between(1, 20); n > 0; --n) {
      bytes[prng.below(journal.end)] = static_cast<std::byte>(prng.next());
    }
    bytes.resize(prng.between(0, bytes.size()));
    const JournalScan scan = scan_journal(bytes);
    ASSERT_LE(scan.recovered.entries.size(), 5U);
  }
}

}  // namespace
}  // namespace tailrace::control
