#include "kafka/gen/find_coordinator.h"

#include "kafka/gen/init_producer_id.h"
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

TEST(FindCoordinator, TransactionalIdsHaveATopicOfTheirOwn) {
  ReadyNode ready;
  Request request;
  request.key = "tx";
  request.key_type = 1;
  EXPECT_EQ(ready.node.ask<Response>(request, 1).error_code, 0);
  EXPECT_EQ(topics(ready.node), "__transaction_state/50");
  EXPECT_TRUE(ready.node.image_at_reply->find_topic("__transaction_state")->is_internal);
  std::string_view keys[] = {"tx", "other"};
  request.coordinator_keys = keys;
  EXPECT_EQ(ready.node.ask<Response>(request, 6).coordinators[1].node_id, 1);
  request.key_type = 0;
  EXPECT_EQ(ready.node.ask<Response>(request, 2).error_code, 0) << "groups do not live there";
  EXPECT_EQ(topics(ready.node), "__consumer_offsets/50 __transaction_state/50");
}

TEST(FindCoordinator, OthersHaveNone) {
  ReadyNode ready;
  Request request;
  request.key = "t";
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

// The cores' part: reads end at once, appends are durable.
void serve_log(ControlNode& node) {
  while (!node.log_tasks.empty()) {
    auto [core, task] = node.log_tasks.front();
    node.log_tasks.pop_front();
    task->end_offset = 0;
    node.plane().on_message({.kind = bus::MessageKind::log_task_done, .from = core,
                             .object = task}, node.now);
    node.run();
  }
}

TEST(ControlPlaneTransactions, ProducerIdsComeFromTheMetadataLog) {
  ReadyNode ready;
  Request find;
  find.key = "tx";
  find.key_type = 1;
  ready.node.ask<Response>(find, 1);
  serve_log(ready.node);
  kafka::InitProducerIdRequest request;
  request.transactional_id = "tx";
  request.transaction_timeout_ms = 1000;
  const auto sent = ready.node.send(request, 4);
  ready.node.run();
  serve_log(ready.node);
  const auto response = ready.node.response<kafka::InitProducerIdResponse>(*sent);
  EXPECT_EQ(response.error_code, 0);
  EXPECT_EQ(response.producer_id, 0);
  EXPECT_EQ(response.producer_epoch, 0);
  EXPECT_EQ(ready.node.plane().transaction_counters().transactional_ids.load(), 1);
}

}  // namespace
}  // namespace tailrace::control
