// Stories of the look-ups: ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeLogDirs.
#include "kafka/gen/delete_records.h"
#include "kafka/gen/describe_log_dirs.h"
#include "kafka/gen/list_offsets.h"
#include "kafka/gen/offset_for_leader_epoch.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using test::build_batch;

class LookUps : public testing::Test {
 protected:
  LookUps() {
    node.images.add_topic("orders", 1, 1);
    node.publish();
    client = &node.connect();
  }
  void put(std::int64_t timestamp, int count = 1) {
    std::vector<test::TestRecord> records(static_cast<std::size_t>(count), {"k", "v", timestamp});
    ProduceMaker produce;
    client->call<kafka::ProduceResponse>(
        produce({}, build_batch(records, {.base_timestamp = timestamp})), 9);
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
    using Request = kafka::ListOffsetsRequest;
    Request::ListOffsetsTopic::ListOffsetsPartition partition{
        .partition_index = 0, .current_leader_epoch = epoch, .timestamp = timestamp};
    Request::ListOffsetsTopic asked{.name = topic, .partitions = {&partition, 1}};
    const auto answer =
        client->call<kafka::ListOffsetsResponse>(Request{.topics = {&asked, 1}}, version);
    const auto& found = answer->topics[0].partitions[0];
    return {found.error_code, found.offset, found.timestamp, found.leader_epoch};
  }
  struct Deleted {
    std::int16_t error = -1;
    std::int64_t low_watermark = -2;
    friend bool operator==(const Deleted&, const Deleted&) = default;
  };
  Deleted remove(std::int64_t offset) {
    using Request = kafka::DeleteRecordsRequest;
    Request::DeleteRecordsTopic::DeleteRecordsPartition partition{0, offset};
    Request::DeleteRecordsTopic asked{.name = "orders", .partitions = {&partition, 1}};
    const auto answer = client->call<kafka::DeleteRecordsResponse>(
        Request{.topics = {&asked, 1}, .timeout_ms = 1000}, 2);
    const auto& found = answer->topics[0].partitions[0];
    return {found.error_code, found.low_watermark};
  }
  Node node;
  Client* client;
};

TEST_F(LookUps, TheEndsOfALog) {
  put(1000, 3);
  for (std::int16_t version = 1; version <= 11; ++version) {
    const std::int32_t epoch = version >= 4 ? 3 : -1;
    EXPECT_EQ(list(-1, version), (Found{0, 3, -1, epoch})) << version;
    EXPECT_EQ(list(-2, version), (Found{0, 0, -1, epoch})) << version;
  }
  EXPECT_EQ(list(-4), (Found{0, 0, -1, 3}));
  EXPECT_EQ(list(-5), (Found{0, -1, -1, -1}));
  EXPECT_EQ(list(-6), (Found{0, -1, -1, -1}));
}

TEST_F(LookUps, SpecialValuesNeedTheirVersion) {
  EXPECT_EQ(list(-3, 6).error, 35);
  EXPECT_EQ(list(-4, 7).error, 35);
  EXPECT_EQ(list(-5, 8).error, 35);
  EXPECT_EQ(list(-6, 10).error, 35);
  EXPECT_EQ(list(-7, 11).error, 35);
}

TEST_F(LookUps, TheFirstRecordAtOrAfterATime) {
  put(1000);
  put(3000);
  put(2000);
  EXPECT_EQ(list(500), (Found{0, 0, 1000, 3}));
  EXPECT_EQ(list(1001), (Found{0, 1, 3000, 3}));
  EXPECT_EQ(list(3000), (Found{0, 1, 3000, 3}));
  EXPECT_EQ(list(3001), (Found{0, -1, -1, -1}));
  EXPECT_EQ(list(-3), (Found{0, 1, 3000, 3}));
}

TEST_F(LookUps, AnEmptyLogHasNoTimes) {
  EXPECT_EQ(list(-3), (Found{0, -1, -1, -1}));
  EXPECT_EQ(list(0), (Found{0, -1, -1, -1}));
  EXPECT_EQ(list(-1), (Found{0, 0, -1, -1}));
}

TEST_F(LookUps, TheNewestRecordIsToldOnceItIsDurable) {
  put(1000);
  node.disks[0].held = true;
  ProduceMaker produce;
  node.connect().send(produce({}, build_batch({{"k", "v"}}, {.base_timestamp = 5000})), 9);
  node.settle();
  using Request = kafka::ListOffsetsRequest;
  Request::ListOffsetsTopic::ListOffsetsPartition partition{.timestamp = -3};
  Request::ListOffsetsTopic asked{.name = "orders", .partitions = {&partition, 1}};
  client->send(Request{.topics = {&asked, 1}}, 7);
  node.settle();
  EXPECT_FALSE(client->take_frame());
  node.disks[0].held = false;
  node.settle();
  auto frame = client->take_frame();
  ASSERT_TRUE(frame);
  const auto answer = test::parse_response<kafka::ListOffsetsResponse>(*frame, 7);
  EXPECT_EQ(answer->topics[0].partitions[0].offset, 1);
}

TEST_F(LookUps, EpochsAndNamesAreChecked) {
  EXPECT_EQ(list(-1, 5, 2).error, 74);
  EXPECT_EQ(list(-1, 5, 4).error, 75);
  EXPECT_EQ(list(-1, 5, -1, "nowhere").error, 3);
}

TEST_F(LookUps, APartitionNamedTwiceIsAnInvalidRequest) {
  using Request = kafka::ListOffsetsRequest;
  std::vector<Request::ListOffsetsTopic::ListOffsetsPartition> twice(2);
  Request::ListOffsetsTopic asked{.name = "orders", .partitions = twice};
  const auto answer =
      client->call<kafka::ListOffsetsResponse>(Request{.topics = {&asked, 1}}, 5);
  EXPECT_EQ(answer->topics[0].partitions[1].error_code, 42);
}

TEST_F(LookUps, TheEndOfAnEpoch) {
  const auto end_of = [&](std::int32_t epoch, std::int16_t version) {
    using Request = kafka::OffsetForLeaderEpochRequest;
    Request::OffsetForLeaderTopic::OffsetForLeaderPartition partition{.leader_epoch = epoch};
    Request::OffsetForLeaderTopic asked{.topic = "orders", .partitions = {&partition, 1}};
    const auto answer = client->call<kafka::OffsetForLeaderEpochResponse>(
        Request{.topics = {&asked, 1}}, version);
    const auto& found = answer->topics[0].partitions[0];
    return std::pair{found.leader_epoch, found.end_offset};
  };
  using Pair = std::pair<std::int32_t, std::int64_t>;
  EXPECT_EQ(end_of(3, 4), (Pair{-1, -1}));
  put(1000, 2);
  node.images.change_topic("orders").partitions[0].leader_epoch = 5;
  node.publish();
  put(1000, 1);
  for (std::int16_t version = 2; version <= 4; ++version) {
    EXPECT_EQ(end_of(3, version), (Pair{3, 2}));
    EXPECT_EQ(end_of(4, version), (Pair{3, 2}));
    EXPECT_EQ(end_of(5, version), (Pair{5, 3}));
    EXPECT_EQ(end_of(2, version), (Pair{2, 0}));  // As Kafka: nothing of it, up to the start.
  }
}

TEST_F(LookUps, DeletedRecordsAreGoneAndTheLowWatermarkIsTold) {
  put(1000, 1);
  put(1000, 1);
  put(1000, 1);
  EXPECT_EQ(remove(2), (Deleted{0, 2}));
  EXPECT_EQ(list(-2).offset, 2);
  FetchMaker fetch;
  EXPECT_EQ(only(client->call<kafka::FetchResponse>(fetch({.offset = 1}), 11).response).error_code,
            1);
  EXPECT_EQ(remove(1), (Deleted{0, 2}));  // It never goes back.
  EXPECT_EQ(remove(4), (Deleted{1, -1}));
  EXPECT_EQ(remove(-2), (Deleted{1, -1}));
  EXPECT_EQ(remove(-1), (Deleted{0, 3}));
}

TEST_F(LookUps, RecordsOfACompactedTopicAreNotDeleted) {
  put(1000, 1);
  node.images.change_topic("orders").configs = {{"cleanup.policy", "compact"}};
  node.publish();
  EXPECT_EQ(remove(-1), (Deleted{44, -1}));
}

TEST_F(LookUps, LogDirsTellSizes) {
  put(1000, 5);
  node.brokers[0]->set_disk_space(1000, 400);
  for (std::int16_t version = 1; version <= 5; ++version) {
    const auto answer = client->call<kafka::DescribeLogDirsResponse>(
        kafka::DescribeLogDirsRequest{}, version);
    ASSERT_EQ(answer->results.size(), 1u);
    EXPECT_EQ(answer->results[0].log_dir, "/data");
    ASSERT_EQ(answer->results[0].topics.size(), 1u);
    EXPECT_GT(answer->results[0].topics[0].partitions[0].partition_size, 100);
    EXPECT_EQ(answer->results[0].total_bytes, version >= 4 ? 1000 : -1);
    EXPECT_EQ(answer->results[0].usable_bytes, version >= 4 ? 400 : -1);
  }
}

TEST_F(LookUps, LogDirsLeaveOutWhatIsNotHere) {
  std::vector<std::int32_t> indexes = {0, 5};
  std::vector<kafka::DescribeLogDirsRequest::DescribableLogDirTopic> topics = {
      {.topic = "orders", .partitions = indexes}, {.topic = "nowhere", .partitions = indexes}};
  kafka::DescribeLogDirsRequest request;
  request.topics = std::span(topics);
  const auto answer = client->call<kafka::DescribeLogDirsResponse>(request, 4);
  ASSERT_EQ(answer->results[0].topics.size(), 1u);
  EXPECT_EQ(answer->results[0].topics[0].partitions.size(), 1u);
}

}  // namespace
}  // namespace tailrace::broker
