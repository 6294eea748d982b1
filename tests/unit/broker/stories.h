// The settings of the broker's stories: a node with topics, and the requests they repeat.
#pragma once

#include "kafka/gen/api_versions.h"
#include "kafka/gen/delete_records.h"
#include "kafka/gen/list_offsets.h"
#include "kafka/gen/metadata.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {

inline const kafka::ApiVersionsRequest hello{.client_software_name = "test",
                                             .client_software_version = "1.0"};

class ProduceStory : public testing::Test {
 protected:
  ProduceStory() {
    node.images.add_topic("orders", 1, 2);
    node.publish();
  }
  test::Parsed<kafka::ProduceResponse> produce(Bytes batch, std::int16_t version = 9,
                                               const ProduceOne& ask = {}) {
    return client().call<kafka::ProduceResponse>(make(ask, batch), version);
  }
  Client& client() {
    if (client_ == nullptr) client_ = &node.connect();
    return *client_;
  }
  Node node;
  ProduceMaker make;

 private:
  Client* client_ = nullptr;
};

class FetchStory : public testing::Test {
 protected:
  FetchStory() {
    node.images.add_topic("orders", 1, 3);
    node.publish();
  }
  void put(const std::string& value, std::int32_t partition = 0) {
    const auto batch = test::build_batch({{"k", value}});
    ProduceMaker produce;
    const auto answer =
        writer().call<kafka::ProduceResponse>(produce({.partition = partition}, batch), 9);
    ASSERT_EQ(only(answer.response).error_code, 0);
  }
  test::Parsed<kafka::FetchResponse> fetch(const FetchOne& ask, std::int16_t version = 12) {
    return reader().call<kafka::FetchResponse>(make(ask), version);
  }
  Client& writer() {
    if (writer_ == nullptr) writer_ = &node.connect();
    return *writer_;
  }
  Client& reader() {
    if (reader_ == nullptr) reader_ = &node.connect();
    return *reader_;
  }
  Node node;
  FetchMaker make;

 private:
  Client* writer_ = nullptr;
  Client* reader_ = nullptr;
};

class LookUpStory : public testing::Test {
 protected:
  LookUpStory() {
    node.images.add_topic("orders", 1, 1);
    node.publish();
    client = &node.connect();
  }
  void put(std::int64_t timestamp, int count = 1) {
    std::vector<test::TestRecord> records(static_cast<std::size_t>(count), {"k", "v", timestamp});
    ProduceMaker produce;
    client->call<kafka::ProduceResponse>(
        produce({}, test::build_batch(records, {.base_timestamp = timestamp})), 9);
  }
  struct Found {
    std::int16_t error = -1;
    std::int64_t offset = -2;
    std::int64_t timestamp = -2;
    std::int32_t epoch = -2;
    friend bool operator==(const Found&, const Found&) = default;
  };
  Found list(std::int64_t timestamp, std::int16_t version = 11, std::int32_t epoch = -1,
             std::string_view topic = "orders") {
    using Asked = kafka::ListOffsetsRequest;
    Asked::ListOffsetsTopic::ListOffsetsPartition partition{
        .partition_index = 0, .current_leader_epoch = epoch, .timestamp = timestamp};
    Asked::ListOffsetsTopic asked{.name = topic, .partitions = {&partition, 1}};
    const auto answer =
        client->call<kafka::ListOffsetsResponse>(Asked{.topics = {&asked, 1}}, version);
    const auto& found = answer->topics[0].partitions[0];
    return {found.error_code, found.offset, found.timestamp, found.leader_epoch};
  }
  struct Deleted {
    std::int16_t error = -1;
    std::int64_t low_watermark = -2;
    friend bool operator==(const Deleted&, const Deleted&) = default;
  };
  Deleted remove(std::int64_t offset) {
    using Asked = kafka::DeleteRecordsRequest;
    Asked::DeleteRecordsTopic::DeleteRecordsPartition partition{0, offset};
    Asked::DeleteRecordsTopic asked{.name = "orders", .partitions = {&partition, 1}};
    const auto answer = client->call<kafka::DeleteRecordsResponse>(
        Asked{.topics = {&asked, 1}, .timeout_ms = 1000}, 2);
    const auto& found = answer->topics[0].partitions[0];
    return {found.error_code, found.low_watermark};
  }
  Node node;
  Client* client;
};

class ClusterStory : public testing::Test {
 protected:
  ClusterStory() {
    node.images.base().broker_configs = {{"auto.create.topics.enable", "true"}};
    node.images.add_topic("orders", 1, 2);
    node.images.add_topic("payments", 2, 1);
    node.publish();
    client = &node.connect();
  }
  using Topics = std::vector<kafka::MetadataRequest::MetadataRequestTopic>;
  kafka::MetadataRequest ask(Topics& topics, bool create = false) {
    kafka::MetadataRequest request;
    request.topics = std::span(topics);
    request.allow_auto_topic_creation = create;
    return request;
  }
  test::Parsed<kafka::MetadataResponse> all(std::int16_t version) {
    kafka::MetadataRequest request;  // Null: all.
    Topics none;
    if (version == 0) request.topics = std::span(none);
    return client->call<kafka::MetadataResponse>(request, version);
  }
  Node node;
  Client* client;
};

class ConnectionStory : public testing::Test {
 protected:
  explicit ConnectionStory(Limits limits = small_limits()) : node(limits) {
    node.images.add_topic("orders", 1, 1);
    node.publish();
  }
  std::size_t count_frames(Client& client) {
    std::size_t count = 0;
    while (client.take_frame()) ++count;
    return count;
  }
  Node node;
};

}  // namespace tailrace::broker
