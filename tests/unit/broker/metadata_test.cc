// Stories of what a client learns about the cluster: ApiVersions, Metadata, DescribeCluster.
#include "kafka/gen/api_versions.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/describe_cluster.h"
#include "kafka/gen/metadata.h"
#include "kafka/apis.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using kafka::ApiVersionsRequest;
using kafka::ApiVersionsResponse;
using kafka::MetadataRequest;
using kafka::MetadataResponse;
using AskedTopic = MetadataRequest::MetadataRequestTopic;

class Cluster : public testing::Test {
 protected:
  Cluster() {
    node.images.base().broker_configs = {{"auto.create.topics.enable", "true"}};
    node.images.add_topic("orders", 1, 2);
    node.images.add_topic("payments", 2, 1);
    node.publish();
    client = &node.connect();
  }
  MetadataRequest ask(std::vector<AskedTopic>& topics, bool create = false) {
    MetadataRequest request;
    request.topics = std::span<AskedTopic>(topics);
    request.allow_auto_topic_creation = create;
    return request;
  }
  test::Parsed<MetadataResponse> all(std::int16_t version) {
    MetadataRequest request;  // Null: all.
    std::vector<AskedTopic> none;
    if (version == 0) request.topics = std::span<AskedTopic>(none);
    return client->call<MetadataResponse>(request, version);
  }
  Node node;
  Client* client;
};

// --- ApiVersions

TEST_F(Cluster, ApiVersionsTellsEveryRange) {
  const ApiVersionsRequest request{.client_software_name = "librdkafka",
                                   .client_software_version = "2.15.0"};
  for (std::int16_t version = 0; version <= 4; ++version) {
    const auto answer = client->call<ApiVersionsResponse>(request, version);
    EXPECT_EQ(answer->error_code, 0);
    ASSERT_EQ(answer->api_keys.size(), kafka::apis().size());
    for (const auto& api : answer->api_keys) EXPECT_LE(api.min_version, api.max_version);
    EXPECT_EQ(answer->api_keys[0].api_key, 0);
    EXPECT_EQ(answer->api_keys[0].min_version, 0);  // librdkafka < 2.11.1 wants it.
  }
}

TEST_F(Cluster, AnApiVersionsFromTheFutureIsAnsweredAtVersionZero) {
  for (const std::int16_t version : std::array<std::int16_t, 3>{5, 99, 32767}) {
    // The body must not be read: here it is none at all.
    client->send_bytes(test::build_raw_request(18, version, 0));
    node.settle();
    auto frame = client->received.take();
    ASSERT_TRUE(frame);
    const auto answer = test::parse_response<ApiVersionsResponse>(*frame, 0);
    ASSERT_TRUE(answer.ok);
    EXPECT_EQ(answer->error_code, 35);
    ASSERT_EQ(answer->api_keys.size(), 1u);
    EXPECT_EQ(answer->api_keys[0].api_key, 18);
    EXPECT_EQ(answer->api_keys[0].max_version, 4);
  }
  EXPECT_FALSE(client->is_closed);
}

TEST_F(Cluster, ABadClientNameIsAnInvalidRequest) {
  for (const char* name : {"", "-a", "a-", "a b", "\xc3\xa4"}) {
    const ApiVersionsRequest request{.client_software_name = name,
                                     .client_software_version = "1"};
    EXPECT_EQ(client->call<ApiVersionsResponse>(request, 3)->error_code, 42) << name;
  }
  EXPECT_EQ(client->call<ApiVersionsResponse>(ApiVersionsRequest{}, 2)->error_code, 0);
}

// --- Metadata

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
  EXPECT_TRUE(asked.is_auto_create);
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

// --- DescribeCluster

TEST_F(Cluster, DescribeClusterTellsNodesAndController) {
  for (std::int16_t version = 0; version <= 2; ++version) {
    const auto answer = client->call<kafka::DescribeClusterResponse>(
        kafka::DescribeClusterRequest{.include_cluster_authorized_operations = true}, version);
    EXPECT_EQ(answer->error_code, 0);
    EXPECT_EQ(answer->cluster_id, "abcdefghijklmnopqrstuv");
    EXPECT_EQ(answer->controller_id, 1);
    ASSERT_EQ(answer->brokers.size(), 1u);
    EXPECT_EQ(answer->brokers[0].host, "broker.test");
    EXPECT_EQ(answer->cluster_authorized_operations, 8096);
  }
}

TEST_F(Cluster, DescribeClusterKnowsItsEndpointTypes) {
  const auto describe = [&](std::int8_t type) {
    return client->call<kafka::DescribeClusterResponse>(
        kafka::DescribeClusterRequest{.endpoint_type = type}, 1)->error_code;
  };
  EXPECT_EQ(describe(1), 0);
  EXPECT_EQ(describe(2), 42);
  EXPECT_EQ(describe(3), 115);
}

}  // namespace
}  // namespace tailrace::broker
