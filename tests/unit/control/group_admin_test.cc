#include "coordinator_rig.h"

namespace tailrace::control {
namespace {

class Admin : public testing::Test, protected ReadyRig {
 protected:
  kafka::DescribeGroupsResponse describe(std::string_view name, std::int16_t version = 6) {
    kafka::DescribeGroupsRequest request;
    request.groups = {&name, 1};
    request.include_authorized_operations = version >= 3;
    return rig.ask<kafka::DescribeGroupsResponse>(request, version);
  }
};

TEST_F(Admin, AGroupIsDescribedWithItsMembers) {
  const std::string id(rig.join("g").member_id);
  auto response = describe("g");
  EXPECT_EQ(response.groups[0].group_state, "CompletingRebalance");
  EXPECT_EQ(response.groups[0].members[0].member_assignment.size(), 0U);
  rig.sync("g", id, 1);
  response = describe("g");
  const auto& told = response.groups[0];
  EXPECT_EQ(told.error_code, 0);
  EXPECT_EQ(told.group_state, "Stable");
  EXPECT_EQ(told.protocol_type, "consumer");
  EXPECT_EQ(told.protocol_data, "range");
  ASSERT_EQ(told.members.size(), 1U);
  EXPECT_EQ(told.members[0].member_id, id);
  EXPECT_EQ(told.members[0].client_id, "client");
  EXPECT_EQ(told.members[0].client_host, "/10.0.0.7");
  EXPECT_EQ(as_text(told.members[0].member_assignment), "plan");
  EXPECT_NE(told.authorized_operations, INT32_MIN);
}

TEST_F(Admin, OneThatIsNotThereIsDeadOrNotFound) {
  EXPECT_EQ(describe("g", 5).groups[0].error_code, 0);
  EXPECT_EQ(describe("g", 5).groups[0].group_state, "Dead");
  EXPECT_EQ(describe("g", 6).groups[0].error_code, 69);
  EXPECT_EQ(describe("g", 6).groups[0].error_message.value, "Group g not found.");
}

TEST_F(Admin, GroupsAreListedByStateAndType) {
  EXPECT_EQ(rig.commit("e", "orders", 0, 5), 0);
  const std::string id(rig.join("g").member_id);
  rig.sync("g", id, 1);
  EXPECT_EQ(rig.groups(), "e/Empty g/Stable");
  std::string_view wanted = "stable";
  kafka::ListGroupsRequest request;
  request.states_filter = {&wanted, 1};
  auto response = rig.ask<kafka::ListGroupsResponse>(request, 5);
  ASSERT_EQ(response.groups.size(), 1U);
  EXPECT_EQ(response.groups[0].group_id, "g");
  EXPECT_EQ(response.groups[0].group_type, "classic");
  request.states_filter = {};
  wanted = "share";
  request.types_filter = {&wanted, 1};
  EXPECT_EQ(rig.ask<kafka::ListGroupsResponse>(request, 5).groups.size(), 0U);
}

TEST_F(Admin, OnlyAnEmptyGroupIsDeleted) {
  const std::string id(rig.join("g").member_id);
  EXPECT_EQ(rig.delete_group("g"), 68);
  rig.leave("g", id);
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  EXPECT_EQ(rig.delete_group("g"), 0);
  EXPECT_EQ(rig.delete_group("g"), 69);
  EXPECT_EQ(rig.committed("g", "orders", 0), "-1");
}

TEST_F(Admin, ADeletionThatFailsLeavesTheGroup) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  rig.log_error = kafka::ErrorCode::kafka_storage_error;
  EXPECT_EQ(rig.delete_group("g"), 16);
  rig.log_error = kafka::ErrorCode::none;
  EXPECT_EQ(rig.committed("g", "orders", 0), "5");
  EXPECT_EQ(rig.delete_group("g"), 0);
}

TEST_F(Admin, ACommitOnItsWayKeepsTheGroup) {
  EXPECT_EQ(rig.commit("g", "orders", 0, 5), 0);
  rig.held = true;
  rig.send_commit("g", "orders", 1, 5);
  std::string_view name = "g";
  kafka::DeleteGroupsRequest request;
  request.groups_names = {&name, 1};
  auto& sent = rig.send(request, 2);
  EXPECT_EQ(rig.read<kafka::DeleteGroupsResponse>(sent).results[0].error_code, 14);
  rig.held = false;
  rig.run();
  EXPECT_EQ(rig.delete_group("g"), 0);
  EXPECT_EQ(rig.groups(), "");
}

}  // namespace
}  // namespace tailrace::control
