// Stories of members that speak the classic protocol in a group of the consumer protocol. The
// moves of a whole group are in consumer_group_requests_test.cc.
#include "control/consumer_protocol.h"

#include "consumer_group_story.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;

class Mixed : public testing::Test, protected ConsumerStory {
 protected:
  // What a cooperative consumer says: its topics and what it owns.
  static ByteString subscription(const std::vector<char>& owned) {
    std::string text("\0\1\0\0\0\1\0\6orders\377\377\377\377\0\0\0", 21);
    text += static_cast<char>(owned.empty() ? 0 : 1);
    if (!owned.empty()) {
      text += std::string("\0\6orders\0\0\0", 11) + static_cast<char>(owned.size());
      for (const char partition : owned) text += std::string("\0\0\0", 3) + partition;
    }
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
  }
  JoinAnswer join(const std::string& id, const std::vector<char>& owned = {},
                  std::optional<std::string> instance = {}) {
    JoinAsk ask;
    ask.member_id = id;
    ask.instance_id = std::move(instance);
    ask.session_timeout = seconds(10);
    ask.rebalance_timeout = seconds(60);
    ask.protocol_type = "consumer";
    ask.protocols = {{"cooperative-sticky", subscription(owned)}, {"range", subscription(owned)}};
    ask.needs_known_id = true;
    return group.join_classic(ask, "made", state, now);
  }
  // The partitions of the sync's answer, or its error.
  std::string sync(const std::string& id, std::int32_t generation) {
    SyncAsk ask;
    ask.member_id = id;
    ask.generation = generation;
    const SyncAnswer answer = group.sync_classic(ask, state, now);
    if (answer.error != ErrorCode::none) return "error " + std::to_string(to_wire(answer.error));
    std::string line;
    const auto assignment = parse_client_assignment(answer.assignment);
    if (!assignment) return "malformed";
    for (const auto& [name, partition] : *assignment) {
      line += std::to_string(partition) + " ";
    }
    return line;
  }
};

TEST_F(Mixed, AMemberIsToldItsIdFirst) {
  beat("a");
  const JoinAnswer told = join("");
  EXPECT_EQ(told.error, ErrorCode::member_id_required);
  EXPECT_EQ(told.member_id, "made");
  EXPECT_EQ(group.members().size(), 1U);
  EXPECT_EQ(join("made").error, ErrorCode::none);
  EXPECT_EQ(group.members().size(), 2U);
}

TEST_F(Mixed, ACooperativeMemberGivesUpAndTakesOverStepByStep) {
  beat("a");
  const JoinAnswer joined = join("c");
  EXPECT_EQ(joined.generation, 2);
  EXPECT_EQ(joined.protocol, "cooperative-sticky");
  EXPECT_EQ(sync("c", 2), "");
  EXPECT_EQ(group.heartbeat_classic("c", {}, 2, now), ErrorCode::none) << "nothing is free yet";
  beat("a");
  beat("a");
  EXPECT_EQ(group.heartbeat_classic("c", {}, 2, now), ErrorCode::rebalance_in_progress)
      << "now there is";
  EXPECT_EQ(join("c").generation, 2);
  EXPECT_EQ(sync("c", 2), "0 1 ");
  EXPECT_EQ(group.heartbeat_classic("c", {}, 2, now), ErrorCode::none);
  // Another one comes: what c must give up it hears by its sync, then says that it did.
  client("b");
  beat("b");
  EXPECT_EQ(group.heartbeat_classic("c", {}, 2, now), ErrorCode::rebalance_in_progress);
  EXPECT_EQ(sync("c", 2), "error 27");
  const std::int32_t generation = join("c", {0, 1}).generation;
  EXPECT_EQ(generation, 2) << "it has something to give up first";
  const std::string kept = sync("c", generation);
  EXPECT_EQ(kept.size(), 2U);
  EXPECT_EQ(group.heartbeat_classic("c", {}, generation, now), ErrorCode::rebalance_in_progress);
  EXPECT_EQ(join("c", {static_cast<char>(kept[0] - '0')}).generation, 3);
  EXPECT_EQ(sync("c", 3), kept);
}

TEST_F(Mixed, WhoDoesNotJoinAgainInTimeIsPutOut) {
  join("c");
  EXPECT_EQ(sync("c", 1), "0 1 2 3 ");
  beat("a");
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(group.heartbeat_classic("c", {}, 1, now), ErrorCode::rebalance_in_progress);
    pass(seconds(9));
    beat("a");
  }
  EXPECT_EQ(group.heartbeat_classic("c", {}, 1, now), ErrorCode::unknown_member_id);
}

TEST_F(Mixed, SessionsOfClassicMembersAreTheirOwn) {
  join("c");
  beat("a");
  pass(seconds(10));
  EXPECT_EQ(group.members().size(), 1U);
  EXPECT_EQ(group.members().begin()->first, "a");
}

TEST_F(Mixed, WrongOnesAreRefused) {
  join("c");
  EXPECT_EQ(sync("c", 7), "error 22");
  EXPECT_EQ(sync("x", 1), "error 25");
  beat("a");
  EXPECT_EQ(group.heartbeat_classic("a", {}, 2, now), ErrorCode::unknown_member_id)
      << "a does not speak it";
  EXPECT_EQ(group.check_commit("c", 0), ErrorCode::illegal_generation);
  JoinAsk ask;
  ask.protocol_type = "consumer";
  ask.protocols = {{"range", ByteString(1)}};
  EXPECT_EQ(group.join_classic(ask, "made", state, now).error,
            ErrorCode::inconsistent_group_protocol);
  ask.protocols = {{"another", subscription({})}};
  EXPECT_EQ(group.join_classic(ask, "made", state, now).error,
            ErrorCode::inconsistent_group_protocol)
      << "no protocol that c speaks as well";
}

TEST_F(Mixed, AStaticMemberComesBackWithoutItsId) {
  EXPECT_EQ(join("", {}, "i").member_id, "made");
  EXPECT_EQ(sync("made", 1), "0 1 2 3 ");
  EXPECT_EQ(join("other", {}, "i").error, ErrorCode::fenced_instance_id);
  EXPECT_EQ(join("", {}, "i").generation, 1);
  EXPECT_EQ(group.members().size(), 1U);
}

TEST_F(Mixed, WhenOnlyClassicMembersAreLeftTheGroupWantsBack) {
  join("c");
  EXPECT_TRUE(group.wants_classic());
  beat("a");
  EXPECT_FALSE(group.wants_classic());
  leave("a");
  EXPECT_TRUE(group.wants_classic());
  const GroupRecord record = group.to_classic(state);
  EXPECT_EQ(record.generation, 1) << "c has not heard of what came and went since it joined";
  EXPECT_GT(group.epoch(), record.generation);
  EXPECT_EQ(record.protocol, "cooperative-sticky");
  ASSERT_EQ(record.members.size(), 1U);
  EXPECT_EQ(parse_client_assignment(record.members[0].assignment)->size(), 4U);
}

}  // namespace
}  // namespace tailrace::control
