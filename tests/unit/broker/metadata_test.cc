// Stories of Metadata and of the topics it makes.
#include "kafka/gen/create_topics.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using kafka::MetadataRequest;
using kafka::MetadataResponse;
using AskedTopic = MetadataRequest::MetadataRequestTopic;

class Cluster : public ClusterStory {};

TEST_F(Cluster, EveryVersionTellsNodesTopicsAndLeaders) {
  for (std::int16_t version = 0; version <= 13; ++version) {
    const auto answer = all(version);
    ASSERT_TRUE(answer.ok) << version;
    ASSERT_EQ(answer->brokers.size(), 1u);
    EXPECT_EQ(answer->brokers[0].host, "broker.test");
    EXPECT_EQ(answer->brokers[0].port, 9092);
    ASSERT_EQ(answer->topics.size(), 2u) << version;
    EXPECT_EQ(answer->topics[0].name.value, "orders");
    ASSERT_EQ(answer->topics[0].partitions.size(), 2u);
    EXPECT_EQ(answer->topics[0].partitions[1].partition_index, 1);
    EXPECT_EQ(answer->topics[0].partitions[1].leader_id, 1);
    EXPECT_EQ(answer->controller_id, version >= 1 ? 1 : -1);
    EXPECT_EQ(answer->cluster_id.value, version >= 2 ? "abcdefghijklmnopqrstuv" : "");
    EXPECT_EQ(answer->topics[0].partitions[0].leader_epoch, version >= 7 ? 3 : -1);
    EXPECT_EQ(answer->topics[0].topic_id, version >= 10 ? topic_id(1) : Uuid{});
  }
}

TEST_F(Cluster, AnEmptyListMeansNoneFromVersionOne) {
  std::vector<AskedTopic> none;
  const auto answer = client->call<MetadataResponse>(ask(none), 1);
  EXPECT_TRUE(answer->topics.empty());
  EXPECT_EQ(answer->brokers.size(), 1u);
}

TEST_F(Cluster, EachListenerHasItsEndpoint) {
  client = &node.connect(0, 1);
  EXPECT_EQ(all(9)->brokers[0].host, "inside.test");
  client = &node.connect(0, 7);
  EXPECT_EQ(all(9)->brokers[0].host, "broker.test");
}

TEST_F(Cluster, UnknownTopicsAndBadNames) {
  std::vector<AskedTopic> topics = {{.name = "nowhere"}, {.name = "orders"}, {.name = "a/b"},
                                    {.name = ".."}, {.name = ""}};
  const auto answer = client->call<MetadataResponse>(ask(topics), 9);
  ASSERT_EQ(answer->topics.size(), 5u);
  EXPECT_EQ(answer->topics[0].error_code, 3);
  EXPECT_EQ(answer->topics[0].name.value, "nowhere");
  EXPECT_EQ(answer->topics[1].error_code, 0);
  EXPECT_EQ(answer->topics[2].error_code, 17);
  EXPECT_EQ(answer->topics[3].error_code, 17);
  EXPECT_EQ(answer->topics[4].error_code, 17);
}

TEST_F(Cluster, TopicsByIdFromVersionTwelve) {
  std::vector<AskedTopic> topics = {{.topic_id = topic_id(2), .name = nullptr},
                                    {.topic_id = topic_id(9), .name = nullptr}};
  const auto answer = client->call<MetadataResponse>(ask(topics), 12);
  EXPECT_EQ(answer->topics[0].name.value, "payments");
  EXPECT_EQ(answer->topics[1].error_code, 100);
  EXPECT_TRUE(answer->topics[1].name.is_null());
  EXPECT_EQ(answer->topics[1].topic_id, topic_id(9));
}

TEST_F(Cluster, OperationsAreToldOnlyWhenAsked) {
  MetadataRequest request;
  EXPECT_EQ(client->call<MetadataResponse>(request, 8)->topics[0].topic_authorized_operations,
            INT32_MIN);
  request.include_topic_authorized_operations = true;
  request.include_cluster_authorized_operations = true;
  const auto answer = client->call<MetadataResponse>(request, 8);
  EXPECT_EQ(answer->topics[0].topic_authorized_operations, 3576);
  EXPECT_EQ(answer->cluster_authorized_operations, 8096);
}

TEST_F(Cluster, APartitionWithoutLeaderIsToldSo) {
  node.images.change_topic("payments").partitions[0].leader = -1;
  node.publish();
  EXPECT_EQ(all(9)->topics[1].partitions[0].error_code, 5);
}

// --- auto-create

TEST_F(Cluster, AMissingTopicIsMadeAndThenTold) {
  std::vector<AskedTopic> topics = {{.name = "orders"}, {.name = "fresh"}, {.name = "a/b"}};
  client->send(ask(topics, true), 9);
  node.settle();
  ASSERT_EQ(node.control_inbox.size(), 1u);
  const bus::ControlRequest& asked = *node.control_inbox.front();
  EXPECT_TRUE(asked.on_behalf);
  EXPECT_EQ(asked.api_key, 19);
  Arena arena(4096);
  kafka::Reader body(asked.body);
  const auto create = kafka::CreateTopicsRequest::decode(body, asked.api_version, arena);
  ASSERT_TRUE(create);
  ASSERT_EQ(create->topics.size(), 1u);
  EXPECT_EQ(create->topics[0].name, "fresh");
  EXPECT_EQ(create->topics[0].num_partitions, -1);

  node.images.add_topic("fresh", 3, 4);
  node.publish();
  node.reply_to_control({});
  node.settle();
  auto frame = client->take_frame();
  ASSERT_TRUE(frame);
  const auto answer = test::parse_response<MetadataResponse>(*frame, 9);
  EXPECT_EQ(answer->topics[1].error_code, 0);
  EXPECT_EQ(answer->topics[1].partitions.size(), 4u);
  EXPECT_EQ(answer->topics[2].error_code, 17);
  EXPECT_EQ(node.replies_released, 1u);
}

TEST_F(Cluster, ATopicThatCouldNotBeMadeYetHasNoLeader) {
  std::vector<AskedTopic> topics = {{.name = "fresh"}};
  client->send(ask(topics, true), 9);
  node.settle();
  node.reply_to_control({});
  node.settle();
  const auto answer = test::parse_response<MetadataResponse>(*client->take_frame(), 9);
  EXPECT_EQ(answer->topics[0].error_code, 5);
}

// Waiting for a leader would never end.
TEST_F(Cluster, WhatControlSaysAgainstATopicIsTold) {
  std::vector<AskedTopic> topics = {
      {.name = "second"}, {.name = "first"}, {.name = "second"}, {.name = "soon"}};
  client->send(ask(topics, true), 9);
  node.settle();
  ASSERT_EQ(node.control_inbox.size(), 1u);
  Arena arena(4096);
  kafka::Reader in(node.control_inbox.front()->body);
  const auto create = kafka::CreateTopicsRequest::decode(in, 7, arena);
  ASSERT_TRUE(create);
  EXPECT_EQ(create->topics.size(), 3u) << "each once";

  std::vector<kafka::CreateTopicsResponse::CreatableTopicResult> results = {
      {.name = "second", .error_code = 44},
      {.name = "soon", .error_code = 36},
      {.name = "first", .error_code = 37}};
  test::Buffer room(4096);
  kafka::Writer out(room);
  kafka::CreateTopicsResponse{.topics = results}.encode(out, 7);
  node.reply_to_control(out.written());
  node.settle();
  const auto answer = test::parse_response<MetadataResponse>(*client->take_frame(), 9);
  ASSERT_EQ(answer->topics.size(), 4u);
  EXPECT_EQ(answer->topics[0].error_code, 44);
  EXPECT_EQ(answer->topics[1].error_code, 37);
  EXPECT_EQ(answer->topics[2].error_code, 44);
  EXPECT_EQ(answer->topics[3].error_code, 5);
}

// It will never fit, so it must not wait for memory: others would wait behind it.
TEST(ManyMissingTopics, ThatNoMemoryCanHoldCloseTheConnection) {
  Limits limits = small_limits();
  limits.answer_memory_bytes = 128U << 10;
  Node node(limits);
  node.images.base().broker_configs = {{"auto.create.topics.enable", "true"}};
  node.publish();
  std::vector<std::string> names;
  std::vector<AskedTopic> topics;
  for (int i = 0; i < 1000; ++i) names.push_back(std::to_string(i) + std::string(200, 'x'));
  for (const std::string& name : names) topics.push_back({.name = std::string_view(name)});
  MetadataRequest request;
  request.topics = std::span(topics);
  request.allow_auto_topic_creation = true;
  Client& client = node.connect();
  client.send(request, 9);
  node.settle();
  EXPECT_TRUE(client.is_closed);
  EXPECT_TRUE(node.control_inbox.empty());
}

TEST_F(Cluster, TheNameOfTheMetadataLogIsInvalid) {
  std::vector<AskedTopic> topics = {{.name = "__cluster_metadata"}};
  EXPECT_EQ(client->call<MetadataResponse>(ask(topics, true), 9)->topics[0].error_code, 17);
  EXPECT_TRUE(node.control_inbox.empty());
}

// The frame came in two pieces, and there is no slot to ask control with: it must not be lost.
TEST_F(Cluster, AnAutoCreateThatFindsNoSlotIsTriedAgain) {
  std::vector<AskedTopic> topics = {{.name = "fresh"}};
  std::vector<Client*> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(&node.connect());
    const auto frame = test::build_request(ask(topics, true), 9, 1);
    clients.back()->send_bytes(Bytes(frame).first(12));
    clients.back()->send_bytes(Bytes(frame).subspan(12));
    node.settle();
  }
  EXPECT_EQ(node.control_inbox.size(), 4u);
  for (int i = 0; i < 5; ++i) {
    ASSERT_FALSE(node.control_inbox.empty());
    node.reply_to_control({});
    node.settle();
  }
  for (Client* each : clients) EXPECT_TRUE(each->take_frame());
}

TEST_F(Cluster, NothingIsMadeWhenTheClientOrTheBrokerForbidsIt) {
  std::vector<AskedTopic> topics = {{.name = "fresh"}};
  EXPECT_EQ(client->call<MetadataResponse>(ask(topics, false), 9)->topics[0].error_code, 3);
  node.images.base().broker_configs = {{"auto.create.topics.enable", "false"}};
  node.publish();
  EXPECT_EQ(client->call<MetadataResponse>(ask(topics, true), 9)->topics[0].error_code, 3);
  EXPECT_EQ(client->call<MetadataResponse>(ask(topics), 1)->topics[0].error_code, 3);
  EXPECT_TRUE(node.control_inbox.empty());
}

}  // namespace
}  // namespace tailrace::broker
