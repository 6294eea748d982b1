// Stories of one group: who asks what, and, in plain words, what the group tells whom.
#include "control/group.h"

#include <gtest/gtest.h>

#include <deque>

#include "bus/message.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

struct As {
  std::string id;  // empty: a new member
  std::optional<std::string> instance;
  std::vector<std::string> protocols = {"range"};
  Duration session = seconds(10);
  Duration rebalance = seconds(60);
  bool needs_known_id = false;
  bool can_skip = false;
};

ByteString bytes(std::string_view text) {
  const Bytes view = as_bytes(text);
  return {view.begin(), view.end()};
}
std::string text(const ByteString& of) { return std::string(as_text(of)); }

class Story {
 public:
  explicit Story(GroupRules rules = {.members_max = 4, .initial_delay = seconds(3)})
      : group("g", rules) {}

  // `who` asks to join; a new member would be called who1, who2, ...
  void joins(const std::string& who, As as = {}) {
    JoinAsk ask;
    ask.ticket = ticket(who);
    ask.member_id = as.id;
    ask.instance_id = as.instance;
    ask.client_id = "client";
    ask.session_timeout = as.session;
    ask.rebalance_timeout = as.rebalance;
    ask.protocol_type = "consumer";
    for (const auto& name : as.protocols) ask.protocols.push_back({name, bytes(who + "/" + name)});
    ask.needs_known_id = as.needs_known_id;
    ask.can_skip_assignment = as.can_skip;
    group.join(std::move(ask), who + std::to_string(++ids_[who]), now);
  }
  void syncs(const std::string& who, const std::string& id, std::int32_t generation,
             std::map<std::string, std::string> plan = {},
             std::optional<std::string> instance = {}) {
    SyncAsk ask;
    ask.ticket = ticket(who);
    ask.member_id = id;
    ask.instance_id = std::move(instance);
    ask.generation = generation;
    for (const auto& [member, part] : plan) ask.assignments[member] = bytes(part);
    group.sync(std::move(ask), now);
  }
  int beats(const std::string& id, std::int32_t generation) {
    return to_wire(group.heartbeat(id, {}, generation, now));
  }
  int leaves(const std::string& id) { return to_wire(group.leave(id, {}, now)); }
  int may_commit(const std::string& id, std::int32_t generation) {
    return to_wire(group.check_commit(id, {}, generation, now));
  }
  void pass(Duration duration) {
    const Instant end = now.instant + duration;
    while (group.next_deadline() <= end) {
      now.wall_ms += (std::max(group.next_deadline(), now.instant) - now.instant).ns / 1'000'000;
      now.instant = std::max(group.next_deadline(), now.instant);
      group.step(now);
    }
    now.wall_ms += (end - now.instant).ns / 1'000'000;
    now.instant = end;
  }
  // What is being written has become durable, or not.
  void written(ErrorCode error = ErrorCode::none) {
    take();
    for (const std::uint64_t number : std::exchange(stores_, {})) {
      group.on_stored(number, error, now);
    }
  }
  // What happened since the last call.
  std::vector<std::string> told() {
    take();
    return std::exchange(lines_, {});
  }
  // Two members a1 (the leader) and b1, stable in generation 1.
  void starts_with_two() {
    joins("a");
    joins("b");
    pass(seconds(3));
    pass(seconds(3));
    syncs("b", "b1", 1);
    syncs("a", "a1", 1, {{"a1", "p0"}, {"b1", "p1"}});
    written();
    told();
    ASSERT_EQ(group.state_name(), "Stable");
  }

  Group group;
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};

 private:
  Ticket ticket(const std::string& who) {
    requests_.push_back({.client_id = *names_.insert(who).first});
    return &requests_.back();
  }
  void take() {
    const GroupEffects effects = group.take_effects();
    for (const JoinAnswer& join : effects.joins) lines_.push_back(line(join));
    for (const SyncAnswer& sync : effects.syncs) {
      const std::string who(sync.ticket->client_id);
      lines_.push_back(sync.error == ErrorCode::none
                           ? who + " synced: " + text(sync.assignment)
                           : who + " sync error " + std::to_string(to_wire(sync.error)));
    }
    for (const StoreAsk& store : effects.stores) {
      stores_.push_back(store.number);
      std::string line = "writes generation " + std::to_string(store.record.generation) + ":";
      for (const MemberRecord& member : store.record.members) {
        line += " " + member.id + "=" + text(member.assignment);
      }
      lines_.push_back(line);
    }
  }
  static std::string line(const JoinAnswer& join) {
    const std::string who(join.ticket->client_id);
    if (join.error != ErrorCode::none) {
      return who + " join error " + std::to_string(to_wire(join.error)) + " as " + join.member_id;
    }
    std::string line = who + " joined generation " + std::to_string(join.generation) + " as " +
                       join.member_id + ", " + join.protocol.value_or("-") + ", leader " +
                       join.leader;
    if (join.skip_assignment) line += ", no plan wanted";
    if (!join.members.empty()) line += ", members";
    for (const auto& member : join.members) line += " " + member.id + ":" + text(member.metadata);
    return line;
  }

  std::deque<bus::ControlRequest> requests_;
  std::set<std::string> names_;
  std::map<std::string, int> ids_;
  std::vector<std::uint64_t> stores_;
  std::vector<std::string> lines_;
};

using Lines = std::vector<std::string>;

TEST(Group, ANewGroupWaitsForMoreMembersAndThenMakesOneGeneration) {
  Story story;
  story.joins("a");
  story.pass(seconds(2));
  EXPECT_EQ(story.told(), Lines{});
  EXPECT_EQ(story.group.state_name(), "PreparingRebalance");
  story.joins("b");
  story.pass(seconds(2));
  EXPECT_EQ(story.told(), Lines{}) << "b came within the delay, so there is another one";
  story.pass(seconds(2));
  EXPECT_EQ(story.told(),
            (Lines{"a joined generation 1 as a1, range, leader a1, members a1:a/range b1:b/range",
                   "b joined generation 1 as b1, range, leader a1"}));
  EXPECT_EQ(story.group.state_name(), "CompletingRebalance");
  story.syncs("b", "b1", 1);
  EXPECT_EQ(story.told(), Lines{}) << "b waits for the leader's plan";
  story.syncs("a", "a1", 1, {{"a1", "p0"}, {"b1", "p1"}});
  EXPECT_EQ(story.told(), Lines{"writes generation 1: a1=p0 b1=p1"}) << "and a for the disk";
  story.written();
  EXPECT_EQ(story.told(), (Lines{"a synced: p0", "b synced: p1"}));
  EXPECT_EQ(story.group.state_name(), "Stable");
  EXPECT_EQ(story.beats("a1", 1), 0);
}

TEST(Group, TheDelayOfANewGroupEndsWithTheRebalanceTimeout) {
  Story story({.members_max = 100, .initial_delay = seconds(3)});
  for (int i = 0; i < 4; ++i) {
    story.joins("m" + std::to_string(i), {.rebalance = seconds(10)});
    story.pass(seconds(2));
  }
  EXPECT_EQ(story.told(), Lines{});
  story.pass(seconds(3));
  EXPECT_EQ(story.told().size(), 4U);
}

TEST(Group, AMemberIsFirstToldItsIdAndThenComesWithIt) {
  Story story({.members_max = 4, .initial_delay = {}});
  story.joins("a", {.needs_known_id = true});
  EXPECT_EQ(story.told(), Lines{"a join error 79 as a1"});
  story.joins("a", {.id = "a1", .needs_known_id = true});
  story.pass({});
  EXPECT_EQ(story.told(),
            Lines{"a joined generation 1 as a1, range, leader a1, members a1:a/range"});
  story.joins("x", {.id = "never told"});
  EXPECT_EQ(story.told(), Lines{"x join error 25 as never told"});
}

TEST(Group, AThirdMemberMakesTheOthersJoinAgain) {
  Story story;
  story.starts_with_two();
  story.joins("c");
  EXPECT_EQ(story.told(), Lines{});
  EXPECT_EQ(story.beats("a1", 1), 27) << "rebalance in progress";
  EXPECT_EQ(story.may_commit("a1", 1), 0) << "the last chance to commit";
  story.joins("a", {.id = "a1"});
  story.joins("b", {.id = "b1"});
  EXPECT_EQ(story.told(),
            (Lines{"a joined generation 2 as a1, range, leader a1, members a1:a/range b1:b/range "
                   "c1:c/range",
                   "b joined generation 2 as b1, range, leader a1",
                   "c joined generation 2 as c1, range, leader a1"}));
  EXPECT_EQ(story.beats("a1", 1), 22) << "an old generation";
  EXPECT_EQ(story.may_commit("a1", 2), 27) << "nobody may commit before the plan is known";
}

TEST(Group, WhoDoesNotJoinAgainInTimeIsOut) {
  Story story;
  story.starts_with_two();
  story.joins("c");
  story.joins("b", {.id = "b1"});
  for (int i = 0; i < 15; ++i) {
    story.pass(seconds(4));
    if (i < 14) {
      EXPECT_EQ(story.beats("a1", 1), 27);  // a lives, but does not come
    }
  }
  EXPECT_EQ(story.told(),
            (Lines{"b joined generation 2 as b1, range, leader b1, members b1:b/range c1:c/range",
                   "c joined generation 2 as c1, range, leader b1"}));
  EXPECT_EQ(story.beats("a1", 1), 25);
}

TEST(Group, AMemberThatFallsSilentIsOutAfterItsSession) {
  Story story;
  story.starts_with_two();
  story.pass(seconds(6));
  EXPECT_EQ(story.beats("a1", 1), 0);
  story.pass(seconds(6));
  EXPECT_EQ(story.group.members().size(), 1U);
  EXPECT_EQ(story.beats("b1", 1), 25);
  EXPECT_EQ(story.beats("a1", 1), 27);
  story.joins("a", {.id = "a1"});
  EXPECT_EQ(story.told(),
            Lines{"a joined generation 2 as a1, range, leader a1, members a1:a/range"});
}

TEST(Group, AMemberThatWaitsForOthersDoesNotExpire) {
  Story story;
  story.starts_with_two();
  story.joins("b", {.id = "b1", .protocols = {"range", "sticky"}});
  for (int i = 0; i < 10; ++i) {
    story.pass(seconds(5));
    EXPECT_EQ(story.beats("a1", 1), 27);
  }
  EXPECT_EQ(story.group.members().size(), 2U) << "50 s, five sessions of b";
  story.joins("a", {.id = "a1"});
  EXPECT_EQ(story.told().size(), 2U);
}

TEST(Group, TheLastToLeaveLeavesAnEmptyGroupThatIsWritten) {
  Story story;
  story.starts_with_two();
  EXPECT_EQ(story.leaves("a1"), 0);
  EXPECT_EQ(story.leaves("a1"), 25);
  EXPECT_EQ(story.leaves("b1"), 0);
  EXPECT_EQ(story.told(), Lines{"writes generation 2:"});
  EXPECT_EQ(story.group.state_name(), "Empty");
  EXPECT_EQ(story.may_commit("", -1), 0) << "anybody may commit to an empty group";
  EXPECT_EQ(story.may_commit("a1", 1), 25);
  EXPECT_EQ(story.beats("a1", 1), 25);
}

TEST(Group, TheProtocolIsOneThatAllSpeakAndMostPrefer) {
  Story story({.members_max = 4, .initial_delay = seconds(1)});
  story.joins("a", {.protocols = {"range", "sticky", "own"}});
  story.joins("b", {.protocols = {"sticky", "range"}});
  story.joins("c", {.protocols = {"sticky", "range"}});
  story.joins("d", {.protocols = {"other"}});
  EXPECT_EQ(story.told(), Lines{"d join error 23 as "}) << "inconsistent protocol";
  story.pass(seconds(2));
  EXPECT_EQ(story.group.protocol(), "sticky");
}

TEST(Group, AFullGroupRefusesOneMore) {
  Story story({.members_max = 2, .initial_delay = seconds(3)});
  story.starts_with_two();
  story.joins("c");
  EXPECT_EQ(story.told(), Lines{"c join error 81 as "});
  EXPECT_EQ(story.group.state_name(), "Stable");
  story.joins("a", {.id = "a1", .protocols = {"range", "sticky"}});
  EXPECT_EQ(story.group.state_name(), "PreparingRebalance") << "those inside may come again";
}

TEST(Group, APlanThatCannotBeWrittenMakesEverybodyJoinAgain) {
  Story story;
  story.starts_with_two();
  story.joins("a", {.id = "a1"});
  story.joins("b", {.id = "b1"});
  story.told();
  story.syncs("b", "b1", 2);
  story.syncs("a", "a1", 2, {{"a1", "p0"}});
  story.written(ErrorCode::not_coordinator);
  EXPECT_EQ(story.told(),
            (Lines{"writes generation 2: a1=p0 b1=", "a sync error 16", "b sync error 16"}));
  EXPECT_EQ(story.group.state_name(), "PreparingRebalance");
}

TEST(Group, APlanOfAnOldGenerationIsNotAppliedWhenItBecomesDurable) {
  Story story;
  story.starts_with_two();
  story.joins("a", {.id = "a1"});
  story.joins("b", {.id = "b1"});
  story.told();
  story.syncs("a", "a1", 2, {{"a1", "old"}});
  story.joins("c");
  EXPECT_EQ(story.told(), (Lines{"a sync error 27", "writes generation 2: a1=old b1="}));
  story.written();
  EXPECT_EQ(story.group.state_name(), "PreparingRebalance");
  EXPECT_EQ(story.told(), Lines{});
}

TEST(Group, WhoNeverFetchesItsPlanIsOutAfterTheRebalanceTimeout) {
  Story story;
  story.joins("a", {.session = seconds(200)});
  story.joins("b", {.session = seconds(200)});
  story.pass(seconds(6));
  story.syncs("a", "a1", 1, {{"a1", "p0"}});
  story.written();
  story.told();
  story.pass(seconds(61));
  EXPECT_EQ(story.group.members().size(), 1U);
  EXPECT_EQ(story.beats("a1", 1), 27);
}

TEST(Group, TheAnswerToAJoinThatWasLostIsGivenAgain) {
  Story story;
  story.joins("a");
  story.pass(seconds(3));
  story.told();
  story.joins("a", {.id = "a1"});
  EXPECT_EQ(story.told(),
            Lines{"a joined generation 1 as a1, range, leader a1, members a1:a/range"});
  story.syncs("a", "a1", 1, {{"a1", "p0"}});
  story.written();
  story.syncs("a", "a1", 1);
  EXPECT_EQ(story.told(), (Lines{"writes generation 1: a1=p0", "a synced: p0", "a synced: p0"}));
}

TEST(Group, AJoinThatIsAskedTwiceIsAnsweredTwice) {
  Story story;
  story.starts_with_two();
  story.joins("b", {.id = "b1", .protocols = {"range", "more"}});
  story.joins("b", {.id = "b1", .protocols = {"range", "more"}});
  EXPECT_EQ(story.told(), Lines{"b join error 27 as b1"}) << "the first is not left hanging";
}

// ---------------------------------------------------------------- static members

TEST(StaticMembers, ARestartedOneTakesItsPlaceBackWithoutARebalance) {
  Story story;
  story.joins("a", {.instance = "one"});
  story.joins("b", {.instance = "two"});
  story.pass(seconds(6));
  story.syncs("a", "a1", 1, {{"a1", "p0"}, {"b1", "p1"}}, "one");
  story.syncs("b", "b1", 1, {}, "two");
  story.written();
  story.told();
  story.joins("b", {.instance = "two", .can_skip = true});
  EXPECT_EQ(story.told(), Lines{"writes generation 1: a1=p0 b2=p1"});
  story.written();
  EXPECT_EQ(story.told(), Lines{"b joined generation 1 as b2, range, leader a1"});
  story.syncs("b", "b2", 1, {}, "two");
  EXPECT_EQ(story.told(), Lines{"b synced: p1"});
  EXPECT_EQ(to_wire(story.group.heartbeat("b1", "two", 1, story.now)), 82) << "fenced";
}

TEST(StaticMembers, ARestartedLeaderIsToldThatNoPlanIsWanted) {
  Story story;
  story.joins("a", {.instance = "one"});
  story.pass(seconds(3));
  story.syncs("a", "a1", 1, {{"a1", "p0"}}, "one");
  story.written();
  story.told();
  story.joins("a", {.instance = "one", .can_skip = true});
  story.written();
  EXPECT_EQ(story.told(), (Lines{"writes generation 1: a2=p0",
                                 "a joined generation 1 as a2, range, leader a2, no plan wanted, "
                                 "members a2:a/range"}));
  story.joins("a", {.instance = "one"});
  story.written();
  EXPECT_EQ(story.told(), (Lines{"writes generation 1: a3=p0",
                                 "a joined generation 1 as a3, range, leader a2"}))
      << "an old client would plan if it saw its own name";
}

TEST(StaticMembers, OneThatSpeaksSomethingElseNowMakesANewGeneration) {
  Story story;
  story.joins("a", {.instance = "one", .protocols = {"range", "sticky"}});
  story.pass(seconds(3));
  story.syncs("a", "a1", 1, {{"a1", "p0"}}, "one");
  story.written();
  story.told();
  story.joins("a", {.instance = "one", .protocols = {"sticky"}});
  EXPECT_EQ(story.told(), Lines{"a joined generation 2 as a2, sticky, leader a2, members "
                                "a2:a/sticky"});
}

TEST(StaticMembers, KeepTheirPlaceWhileTheyAreAway) {
  Story story;
  story.joins("a", {.instance = "one", .session = seconds(300)});
  story.pass(seconds(3));
  story.syncs("a", "a1", 1, {{"a1", "p0"}}, "one");
  story.written();
  story.told();
  story.joins("b");
  story.pass(seconds(61));
  EXPECT_EQ(story.told(), Lines{"b joined generation 2 as b1, range, leader b1, members "
                                "a1:a/range b1:b/range"});
  EXPECT_EQ(story.group.members().size(), 2U);
}

TEST(StaticMembers, AnOperatorRemovesOneByItsName) {
  Story story;
  story.joins("a", {.instance = "one"});
  story.pass(seconds(3));
  story.told();
  EXPECT_EQ(to_wire(story.group.leave("", "two", story.now)), 25);
  EXPECT_EQ(to_wire(story.group.leave("", "one", story.now)), 0);
  EXPECT_EQ(story.group.state_name(), "Empty");
}

// ---------------------------------------------------------------- the end and the beginning

TEST(Group, AGroupBeingDeletedTakesNobody) {
  Story story;
  story.group.begin_delete(story.now);
  story.joins("a");
  EXPECT_EQ(story.told(), Lines{"a join error 15 as "});
  EXPECT_EQ(story.may_commit("", -1), 15);
  story.group.undo_delete(story.now);
  story.joins("a");
  story.pass(seconds(3));
  EXPECT_EQ(story.told().size(), 1U);
}

TEST(Group, WhoeverWaitsIsToldWhenTheGroupMovesAway) {
  Story story;
  story.starts_with_two();
  story.joins("a", {.id = "a1"});
  story.joins("b", {.id = "b1"});
  story.told();
  story.syncs("b", "b1", 2);
  story.joins("c");
  story.group.answer_all(ErrorCode::not_coordinator);
  EXPECT_EQ(story.told(), (Lines{"c join error 16 as c1", "b sync error 27"}));
}

TEST(Group, AGroupThatWasReadGoesOnWhereItWas) {
  GroupRecord record;
  record.protocol_type = "consumer";
  record.protocol = "range";
  record.generation = 7;
  record.leader = "a1";
  record.members = {{.id = "a1", .client_id = "c", .rebalance_timeout_ms = 60'000,
                     .session_timeout_ms = 10'000, .subscription = bytes("topics"),
                     .assignment = bytes("p0")}};
  Story story;
  story.group = Group("g", {}, record, story.now);
  EXPECT_EQ(story.group.state_name(), "Stable");
  EXPECT_EQ(story.beats("a1", 7), 0);
  story.syncs("a", "a1", 7);
  EXPECT_EQ(story.told(), Lines{"a synced: p0"});
  story.pass(seconds(11));
  EXPECT_EQ(story.group.state_name(), "Empty");
  EXPECT_EQ(story.told(), Lines{"writes generation 8:"});
}

TEST(Group, KnowsWhichTopicsAreRead) {
  Story story({.members_max = 4, .initial_delay = {}});
  JoinAsk ask;
  bus::ControlRequest request;
  ask.ticket = &request;
  ask.session_timeout = seconds(10);
  ask.rebalance_timeout = seconds(10);
  ask.protocol_type = "consumer";
  // Version 1, one topic: "abc".
  ask.protocols = {{"range", bytes(std::string_view("\0\1\0\0\0\1\0\3abc\0\0\0\0", 15))}};
  story.group.join(std::move(ask), "a1", story.now);
  story.pass({});
  EXPECT_TRUE(story.group.is_subscribed("abc"));
  EXPECT_FALSE(story.group.is_subscribed("abcd"));
}

TEST(Group, MemoryIsCountedAndGivenBack) {
  Story story;
  EXPECT_EQ(story.group.memory_bytes(), 0U);
  story.starts_with_two();
  EXPECT_GT(story.group.memory_bytes(), 1000U);
  story.leaves("a1");
  story.leaves("b1");
  EXPECT_EQ(story.group.memory_bytes(), 0U);
}

TEST(Group, MemoryIsGivenBackAfterARebalanceThatWasInterrupted) {
  Story story;
  story.starts_with_two();
  story.joins("a", {.id = "a1"});
  story.joins("b", {.id = "b1"});
  story.pass(seconds(3));
  ASSERT_EQ(story.group.state_name(), "CompletingRebalance");
  story.leaves("a1");
  story.leaves("b1");
  EXPECT_EQ(story.group.memory_bytes(), 0U);
}

}  // namespace
}  // namespace tailrace::control
