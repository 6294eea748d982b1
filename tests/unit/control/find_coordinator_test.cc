#include "kafka/gen/find_coordinator.h"

#include "kafka/gen/offset_fetch.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Request = kafka::FindCoordinatorRequest;
using Response = kafka::FindCoordinatorResponse;

TEST(FindCoordinator, TheFirstQuestionMakesTheTopicAndIsAnsweredWhenItIsThere) {
  ReadyNode ready;
  Request request;
  request.key = "g";
  const auto response = ready.node.ask<Response>(request, 2);
  EXPECT_EQ(response.error_code, 0);
  EXPECT_EQ(response.node_id, 1);
  EXPECT_EQ(response.host, "localhost");
  EXPECT_EQ(response.port, 9092);
  const bus::TopicImage* topic = ready.node.image_at_reply->find_topic("__consumer_offsets");
  ASSERT_NE(topic, nullptr) << "no core hears of the answer before it knows the topic";
  EXPECT_TRUE(topic->is_internal);
  EXPECT_EQ(topic->partitions.size(), 50U);
  EXPECT_EQ(topic->configs.at(0).value, "compact");
  ready.node.ask<Response>(request, 3);
  EXPECT_EQ(topics(ready.node), "__consumer_offsets/50") << "made once";
}

TEST(FindCoordinator, ManyAtOnceFromVersionFour) {
  ReadyNode ready;
  std::string_view keys[] = {"a", "b"};
  Request request;
  request.coordinator_keys = keys;
  const auto response = ready.node.ask<Response>(request, 6);
  ASSERT_EQ(response.coordinators.size(), 2U);
  EXPECT_EQ(response.coordinators[1].key, "b");
  EXPECT_EQ(response.coordinators[1].error_code, 0);
  EXPECT_EQ(response.coordinators[1].port, 9092);
}

TEST(FindCoordinator, OthersThanGroupsHaveNone) {
  ReadyNode ready;
  Request request;
  request.key = "t";
  request.key_type = 1;
  EXPECT_EQ(ready.node.ask<Response>(request, 1).error_code, 53);
  request.key_type = 2;
  EXPECT_EQ(ready.node.ask<Response>(request, 1).error_code, 42);
  EXPECT_EQ(topics(ready.node), "");
}

TEST(FindCoordinator, WithoutRoomForTheTopicItSaysSo) {
  Limits limits;
  limits.partitions_max = 49;
  ReadyNode ready(limits);
  const auto response = ready.node.ask<Response>(Request{}, 2);
  EXPECT_EQ(response.error_code, 15);
  EXPECT_EQ(response.node_id, -1);
}

TEST(ControlPlaneGroups, PartitionsAreReadOverTheBusBeforeTheyAnswer) {
  ReadyNode ready;
  Limits limits;
  ready.node.ask<Response>(Request{}, 2);
  ASSERT_EQ(ready.node.log_tasks.size(), limits.group_loads_max) << "a few at a time";
  while (!ready.node.log_tasks.empty()) {
    auto [core, task] = ready.node.log_tasks.front();
    ready.node.log_tasks.pop_front();
    EXPECT_EQ(core, task->owner);
    EXPECT_EQ(task->kind, bus::LogTask::Kind::read);
    task->end_offset = 0;
    ready.node.plane().on_message({.kind = bus::MessageKind::log_task_done, .from = core,
                                   .object = task}, ready.node.now);
    ready.node.turn();
  }
  EXPECT_EQ(ready.node.plane().group_counters().partitions_loading.load(), 0);
  kafka::OffsetFetchRequest::OffsetFetchRequestGroup group;
  group.group_id = "g";
  kafka::OffsetFetchRequest fetch;
  fetch.groups = {&group, 1};
  EXPECT_EQ(ready.node.ask<kafka::OffsetFetchResponse>(fetch, 9).groups[0].error_code, 0);
}

}  // namespace
}  // namespace tailrace::control
