// Stories of one voter, told as the events it sees and the updates it asks for.
#include "raft/raft.h"

#include <gtest/gtest.h>

#include <string>

#include "base/bytes.h"

namespace tailrace::raft {
namespace {

Recovered fresh(std::vector<NodeId> voters = {1}) {
  Recovered recovered;
  recovered.snapshot.configuration = {std::move(voters), {}};
  return recovered;
}

class Story {
 public:
  explicit Story(Recovered recovered) : raft(1, std::move(recovered)) {}

  std::string tick() { return told({.kind = Event::Kind::tick}); }
  std::string propose(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    return told({.kind = Event::Kind::propose, .bytes = {bytes.begin(), bytes.end()}});
  }
  std::string persisted(Index index, Term term) {
    return told({.kind = Event::Kind::persisted, .index = index, .term = term});
  }
  std::string compacted(Index index) {
    return told({.kind = Event::Kind::compacted, .index = index});
  }

  Raft raft;

 private:
  std::string told(Event event) {
    const Update update = raft.step(std::move(event), Instant{});
    std::string text;
    if (update.hard_state) {
      text += "term " + std::to_string(update.hard_state->term) + " vote " +
              std::to_string(update.hard_state->vote) + ", ";
    }
    for (const Entry& entry : update.entries) {
      text += "append " + std::to_string(entry.index) + "/" + std::to_string(entry.term) +
              (entry.kind == EntryKind::no_op ? " no-op" : " " + std::string(as_text(entry.bytes)));
      text += ", ";
    }
    return text + "committed " + std::to_string(update.committed);
  }
};

TEST(Raft, TheOnlyVoterElectsItselfAndStartsItsTermWithANoOp) {
  Story story(fresh());
  EXPECT_EQ(story.raft.leader(), no_node);
  EXPECT_EQ(story.tick(), "term 1 vote 1, append 1/1 no-op, committed 0");
  EXPECT_EQ(story.raft.leader(), 1);
  EXPECT_EQ(story.tick(), "committed 0") << "once";
  EXPECT_FALSE(story.raft.has_committed_own_term());
  EXPECT_EQ(story.persisted(1, 1), "committed 1");
  EXPECT_TRUE(story.raft.has_committed_own_term());
}

TEST(Raft, AnEntryIsCommittedWhenItsOwnCopyIsDurableAndNotBefore) {
  Story story(fresh());
  story.tick();
  EXPECT_EQ(story.propose("a"), "append 2/1 a, committed 0");
  EXPECT_EQ(story.propose("b"), "append 3/1 b, committed 0");
  EXPECT_EQ(story.persisted(2, 1), "committed 2");
  EXPECT_EQ(story.tick(), "committed 2");
  EXPECT_EQ(story.persisted(3, 1), "committed 3");
}

TEST(Raft, AReportAboutEntriesThatAreNotInTheLogIsIgnored) {
  Story story(fresh());
  story.tick();
  story.propose("a");
  EXPECT_EQ(story.persisted(2, 7), "committed 0") << "another term's entry";
  EXPECT_EQ(story.persisted(9, 1), "committed 0") << "beyond the end";
  EXPECT_EQ(story.persisted(2, 1), "committed 2");
  EXPECT_EQ(story.persisted(1, 1), "committed 2") << "late";
}

TEST(Raft, AfterARestartOldEntriesAreCommittedOnlyByANewNoOp) {
  Recovered recovered = fresh();
  recovered.hard_state = {4, 1};
  recovered.entries = {{1, 4, EntryKind::no_op, {}}, {2, 4, EntryKind::data, {}}};
  Story story(recovered);
  EXPECT_EQ(story.tick(), "term 5 vote 1, append 3/5 no-op, committed 0");
  EXPECT_EQ(story.persisted(2, 4), "committed 0") << "durable, but of an older term";
  EXPECT_EQ(story.persisted(3, 5), "committed 3");
}

TEST(Raft, GoesOnAfterASnapshot) {
  Recovered recovered = fresh();
  recovered.hard_state = {4, 1};
  recovered.snapshot.index = 20;
  recovered.snapshot.term = 3;
  Story story(recovered);
  EXPECT_EQ(story.tick(), "term 5 vote 1, append 21/5 no-op, committed 20");
  EXPECT_EQ(story.persisted(21, 5), "committed 21");
  EXPECT_EQ(story.compacted(21), "committed 21");
  EXPECT_EQ(story.propose("x"), "append 22/5 x, committed 21");
  EXPECT_EQ(story.persisted(19, 3), "committed 21") << "below the compaction point";
  EXPECT_EQ(story.persisted(22, 5), "committed 22");
}

TEST(Raft, WithOtherVotersItNeverStands) {
  Story story(fresh({1, 2, 3}));
  EXPECT_EQ(story.tick(), "committed 0");
  EXPECT_EQ(story.propose("x"), "committed 0");
  EXPECT_EQ(story.raft.leader(), no_node);
  Story outsider(fresh({2}));
  EXPECT_EQ(outsider.tick(), "committed 0") << "not in the configuration";
}

TEST(Raft, ALogThatIsNoneIsToldAtTheStart) {
  Recovered gap = fresh();
  gap.hard_state = {1, 1};
  gap.entries = {{2, 1, EntryKind::data, {}}};
  EXPECT_FALSE(Raft(1, gap).valid());
  Recovered future = fresh();
  future.hard_state = {1, 1};
  future.entries = {{1, 2, EntryKind::data, {}}};
  EXPECT_FALSE(Raft(1, future).valid()) << "an entry of a term that was never voted in";
}

}  // namespace
}  // namespace tailrace::raft
