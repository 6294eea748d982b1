// Stories of a group of the consumer protocol: who has what, and since when.
#include "control/consumer_group.h"

#include "consumer_group_story.h"

namespace tailrace::control {
namespace {

using State = ConsumerGroup::State;

class Consumers : public testing::Test, protected ConsumerStory {};

TEST_F(Consumers, TheFirstMemberGetsEverything) {
  EXPECT_EQ(group.state(), State::empty);
  EXPECT_EQ(beat("a"), "1: orders-0 orders-1 orders-2 orders-3");
  EXPECT_EQ(group.state(), State::stable);
  EXPECT_EQ(beat("a"), "1: orders-0 orders-1 orders-2 orders-3");
}

TEST_F(Consumers, ASecondMemberGetsItsShareWhenTheFirstHasGivenItUp) {
  beat("a");
  EXPECT_EQ(beat("b"), "2:") << "all is taken yet";
  EXPECT_EQ(group.state(), State::reconciling);
  EXPECT_EQ(beat("a"), "1: orders-2 orders-3") << "told to give up two; its epoch stays";
  EXPECT_EQ(beat("b"), "2:") << "not given up yet";
  EXPECT_EQ(beat("a"), "2: orders-2 orders-3") << "now it has, and says so";
  EXPECT_EQ(beat("b"), "2: orders-0 orders-1");
  EXPECT_EQ(group.state(), State::stable);
}

TEST_F(Consumers, WhoDoesNotGiveUpInTimeIsPutOut) {
  beat("a");
  beat("b");
  EXPECT_EQ(beat("a"), "1: orders-2 orders-3");
  // Its heartbeats say that it still has everything.
  client("a").owned = {{state.find_topic("orders")->id, 0}, {state.find_topic("orders")->id, 1}};
  for (int i = 0; i < 6; ++i) {
    pass(seconds(9));
    beat("b");
    const ConsumerAnswer answer = group.heartbeat(ask(client("a")), state, now);
    EXPECT_EQ(answer.error, kafka::ErrorCode::none);
  }
  EXPECT_EQ(group.members().size(), 2U);
  pass(seconds(7));
  EXPECT_EQ(group.members().size(), 1U);
  EXPECT_EQ(beat("a"), "error 25");
  EXPECT_EQ(beat("b"), "3: orders-0 orders-1 orders-2 orders-3");
}

TEST_F(Consumers, ASilentMemberGoesWithItsSession) {
  beat("a");
  beat("b");
  settle();
  pass(seconds(30));
  beat("a");
  EXPECT_EQ(group.next_deadline(), now.instant + seconds(15));
  pass(seconds(15));
  EXPECT_EQ(group.members().size(), 1U);
  EXPECT_EQ(beat("a"), "3: orders-0 orders-1 orders-2 orders-3");
}

TEST_F(Consumers, WhatALeaverHadIsFreeAtOnce) {
  beat("a");
  beat("b");
  settle();
  EXPECT_EQ(leave("b"), "0/-1");
  EXPECT_EQ(beat("a"), "3: orders-0 orders-1 orders-2 orders-3");
  EXPECT_EQ(leave("b"), "25/-1") << "it is not there";
  EXPECT_EQ(leave("a"), "0/-1");
  EXPECT_EQ(group.state(), State::empty);
}

TEST_F(Consumers, AnAnswerThatWasLostIsAskedForAgain) {
  beat("a");
  client("a").epoch = 0;
  client("a").owned.clear();
  client("a").has_news = true;
  EXPECT_EQ(beat("a"), "1: orders-0 orders-1 orders-2 orders-3");
  beat("b");
  beat("a");
  const ConsumerStory::Client before = client("a");
  EXPECT_EQ(beat("a"), "2: orders-2 orders-3");
  client("a") = before;  // At epoch 1 once more: it owns no more than it was given.
  EXPECT_EQ(beat("a"), "2: orders-2 orders-3");
  client("a").epoch = 3;
  EXPECT_EQ(beat("a"), "error 110") << "an epoch that was never given";
  client("a").epoch = 0;
  client("a").owned.clear();
  EXPECT_EQ(beat("a"), "2: orders-2 orders-3") << "joining again is always good";
}

TEST_F(Consumers, AStaleEpochWithMoreThanWasGivenIsFenced) {
  beat("a");
  beat("b");
  settle();
  client("a").epoch = 1;
  client("a").owned.push_back({state.find_topic("orders")->id, 3});
  client("a").owned.push_back({state.find_topic("orders")->id, 9});
  EXPECT_EQ(beat("a"), "error 110");
}

TEST_F(Consumers, NewPartitionsAndTopicsAreNoticed) {
  client("a").topics = {"orders", "later"};
  EXPECT_EQ(beat("a"), "1: orders-0 orders-1 orders-2 orders-3");
  grow("orders", 1);
  EXPECT_EQ(beat("a"), "2: orders-0 orders-1 orders-2 orders-3 orders-4");
  add_topic("later", 1);
  EXPECT_EQ(beat("a"), "3: orders-0 orders-1 orders-2 orders-3 orders-4 later-0");
  add_topic("unread", 1);
  EXPECT_EQ(beat("a"), "3: orders-0 orders-1 orders-2 orders-3 orders-4 later-0");
}

TEST_F(Consumers, ASubscriptionMayChangeAndBeAPattern) {
  add_topic("old", 1);
  beat("a");
  client("a").topics = {"old"};
  client("a").has_news = true;
  EXPECT_EQ(beat("a"), "1:") << "first it gives up what it does not read";
  EXPECT_EQ(beat("a"), "2: old-0");
  client("a").topics = {};
  client("a").regex = "ord.*";
  client("a").has_news = true;
  beat("a");
  EXPECT_EQ(beat("a"), "3: orders-0 orders-1 orders-2 orders-3");
  EXPECT_TRUE(group.is_subscribed("orders"));
  EXPECT_FALSE(group.is_subscribed("old"));
  add_topic("ordinary", 1);
  EXPECT_EQ(beat("a"), "4: orders-0 orders-1 orders-2 orders-3 ordinary-0");
}

TEST_F(Consumers, TheAssignorIsWhatMostAskFor) {
  EXPECT_EQ(group.assignor(), "uniform");
  for (const char* id : {"a", "b"}) client(id).assignor = "range";
  beat("a");
  EXPECT_EQ(group.assignor(), "range");
  beat("b");
  settle();
  EXPECT_EQ(text(client("a")), "2: orders-0 orders-1");
}

TEST_F(Consumers, AStaticMemberComesBackToWhatItHad) {
  client("a").instance_id = "i";
  beat("a");
  client("b").instance_id = "k";
  beat("b");
  settle();
  EXPECT_EQ(text(client("a")), "2: orders-2 orders-3");
  client("x").instance_id = "i";
  EXPECT_EQ(beat("x"), "error 111") << "a has not left";
  EXPECT_EQ(leave("a", epoch_leave_static), "0/-2");
  EXPECT_EQ(beat("b"), "2: orders-0 orders-1") << "nothing moves";
  EXPECT_EQ(beat("x"), "2: orders-2 orders-3");
  EXPECT_EQ(group.epoch(), 2);
  client("a").instance_id = "i";
  client("a").epoch = 2;
  EXPECT_EQ(beat("a"), "error 82");
  clients.erase("a");
  leave("x", epoch_leave_static);
  for (int i = 0; i < 6; ++i) {
    pass(seconds(9));
    beat("b");
  }
  EXPECT_EQ(text(client("b")), "3: orders-0 orders-1 orders-2 orders-3") << "it did not come";
}

TEST_F(Consumers, AFullGroupTakesNobody) {
  for (const char* id : {"a", "b", "c", "d"}) beat(id);
  EXPECT_EQ(beat("e"), "error 81");
}

TEST_F(Consumers, CommitsAreOfTheMembersEpoch) {
  using kafka::ErrorCode;
  EXPECT_EQ(group.check_commit("", -1), ErrorCode::none) << "nobody is in it";
  beat("a");
  EXPECT_EQ(group.check_commit("a", 1), ErrorCode::none);
  EXPECT_EQ(group.check_commit("a", 0), ErrorCode::stale_member_epoch);
  EXPECT_EQ(group.check_commit("b", 1), ErrorCode::unknown_member_id);
  EXPECT_EQ(group.check_commit("", -1), ErrorCode::unknown_member_id);
}

TEST_F(Consumers, ARestartGoesOnWithTheSameEpochs) {
  client("s").instance_id = "i";
  for (const char* id : {"a", "b", "s"}) beat(id);
  beat("a");
  const std::int32_t epoch = group.epoch();
  restart();
  EXPECT_EQ(group.epoch(), epoch);
  settle();
  EXPECT_EQ(group.state(), State::stable);
  const auto before = clients;
  restart();
  for (const auto& [id, one] : before) EXPECT_EQ(beat(id), text(one));
  EXPECT_EQ(group.epoch(), epoch) << "nothing has changed";
  grow("orders", 1);
  restart();
  beat("a");
  EXPECT_EQ(group.epoch(), epoch + 1) << "topics that changed while it was down are noticed";
}

TEST_F(Consumers, ErasedRecordsLeaveNothing) {
  client("s").instance_id = "i";
  for (const char* id : {"a", "s"}) beat(id);
  settle();
  restart();
  EXPECT_FALSE(log.empty());
  group.erase_records();
  for (LogAppender::Record& record : group.take_records()) {
    EXPECT_TRUE(record.is_tombstone);
    log.erase(std::string(as_text(record.key)));
  }
  EXPECT_TRUE(log.empty());
}

// Members come, go, fall silent, come back under their instance, topics grow and the coordinator
// restarts; no partition ever has two owners, and when things are quiet each has one.
TEST(ConsumersAtRandom, APartitionHasOneOwner) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Prng prng(seed, "consumers");
    ConsumerStory story(6);
    story.rules.members_max = 8;
    story.group = ConsumerGroup("g", story.rules);
    story.add_topic("more", 3);
    for (int step = 0; step < 150; ++step) {
      const std::string id(1, static_cast<char>('a' + prng.between(0, 5)));
      const bool is_there = story.clients.contains(id);
      switch (prng.between(0, 11)) {
        case 0:
          if (is_there) story.leave(id);
          break;
        case 1:
          story.pass(seconds(static_cast<std::int64_t>(prng.between(1, 40))));
          break;
        case 2:
          if (prng.between(0, 9) == 0) story.grow("orders", 1);
          break;
        case 3:
          story.restart();
          break;
        case 4:
          if (!is_there) break;
          story.client(id).topics = {"orders", "more"};
          story.client(id).has_news = true;
          if (story.beat(id).starts_with("error")) story.clients.erase(id);
          break;
        default: {
          // Whoever is fenced has nothing any more and comes anew.
          if (story.beat(id).starts_with("error")) story.clients.erase(id);
          break;
        }
      }
      // A member that was put out in silence does not own anything for the group; it learns that
      // from its next heartbeat, and only then another's word counts.
      for (auto at = story.clients.begin(); at != story.clients.end();) {
        at = story.group.members().contains(at->first) ? std::next(at) : story.clients.erase(at);
      }
      story.expect_one_owner();
    }
    story.client("z");
    story.settle();
    std::size_t owned = 0;
    for (const auto& [id, one] : story.clients) owned += one.owned.size();
    bool reads_more = false;
    for (const auto& [id, one] : story.clients) reads_more |= one.topics.size() > 1;
    const std::size_t orders = story.state.find_topic("orders")->partitions.size();
    EXPECT_EQ(owned, orders + (reads_more ? 3 : 0));
    EXPECT_EQ(story.group.state(), ConsumerGroup::State::stable);
  }
}

}  // namespace
}  // namespace tailrace::control
