// Stories of members, as they ask on the wire.
#include "coordinator_rig.h"

namespace tailrace::control {
namespace {

class Members : public testing::Test, protected ReadyRig {};

TEST_F(Members, OneJoinsSyncsBeatsAndLeaves) {
  const auto joined = rig.join("g");
  EXPECT_EQ(joined.error_code, 0);
  EXPECT_EQ(joined.generation_id, 1);
  EXPECT_EQ(joined.protocol_name.value, "range");
  EXPECT_EQ(joined.leader, joined.member_id);
  EXPECT_EQ(joined.members.size(), 1U);
  EXPECT_EQ(joined.member_id.substr(0, 7), "client-");
  EXPECT_EQ(joined.member_id.size(), 7U + 36U);
  const auto synced = rig.sync("g", joined.member_id, 1);
  EXPECT_EQ(synced.error_code, 0);
  EXPECT_EQ(as_text(synced.assignment), "plan");
  EXPECT_EQ(rig.beat("g", joined.member_id, 1), 0);
  EXPECT_EQ(rig.beat("g", joined.member_id, 2), 22);
  EXPECT_EQ(rig.beat("g", "who", 1), 25);
  EXPECT_EQ(rig.beat("h", joined.member_id, 1), 25);
  EXPECT_EQ(rig.leave("g", joined.member_id), 0);
  EXPECT_EQ(rig.leave("h", joined.member_id), 25);
  EXPECT_EQ(rig.groups(), "g/Empty");
}

TEST_F(Members, EveryVersionOfJoinIsAnswered) {
  for (std::int16_t version = 0; version <= 9; ++version) {
    const std::string group = "g" + std::to_string(version % 5);
    auto joined = rig.join(group, {}, version);
    if (version >= 4) {
      EXPECT_EQ(joined.error_code, 79) << "told its id first";
      joined = rig.join(group, joined.member_id, version);
    }
    EXPECT_EQ(joined.error_code, 0) << version;
    const std::string id(joined.member_id);
    EXPECT_EQ(rig.leave(group, id), 0);
  }
}

TEST_F(Members, WhoOnlyAsksForAnIdHoldsNothingForEver) {
  EXPECT_EQ(rig.join("g", {}, 5).error_code, 79);
  EXPECT_EQ(rig.groups(), "g/Empty");
  rig.pass(seconds(11));
  EXPECT_EQ(rig.groups(), "");
}

TEST_F(Members, ARequestThatCannotBeIsRefused) {
  EXPECT_EQ(rig.join("").error_code, 24);
  EXPECT_EQ(rig.join("g", "unknown").error_code, 25);
  kafka::JoinGroupRequest request;
  request.group_id = "g";
  request.session_timeout_ms = 10;
  request.protocol_type = "consumer";
  EXPECT_EQ(rig.ask<kafka::JoinGroupResponse>(request, 3).error_code, 26);
  request.session_timeout_ms = 10'000;
  EXPECT_EQ(rig.ask<kafka::JoinGroupResponse>(request, 3).error_code, 23) << "no protocol";
  const std::string longest(9000, 'n');
  EXPECT_EQ(rig.join(std::string(40'000, 'g'), {}, 6).error_code, 24);
  request.protocol_type = longest;
  EXPECT_EQ(rig.ask<kafka::JoinGroupResponse>(request, 6).error_code, 42);
  EXPECT_EQ(rig.groups(), "") << "nothing of it stays";
}

TEST_F(Members, WithoutTheTopicThereIsNoCoordinator) {
  Logs none;
  ClusterState empty;
  Rig alone(none, empty);
  alone.start();
  EXPECT_EQ(alone.join("g").error_code, 16);
  EXPECT_EQ(alone.beat("g", "m", 1), 16);
  EXPECT_EQ(alone.groups(), "");
}

TEST_F(Members, OldLeaveGroupNamesOneMember) {
  const std::string id(rig.join("g").member_id);
  kafka::LeaveGroupRequest request;
  request.group_id = "g";
  request.member_id = id;
  EXPECT_EQ(rig.ask<kafka::LeaveGroupResponse>(request, 2).error_code, 0);
  EXPECT_EQ(rig.ask<kafka::LeaveGroupResponse>(request, 2).error_code, 25);
}

}  // namespace
}  // namespace tailrace::control
