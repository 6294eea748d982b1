// Stories of several cores: the connection is on one, the partitions are on others.
#include "broker/scatter.h"

#include "kafka/gen/describe_log_dirs.h"
#include "kafka/gen/list_offsets.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using kafka::FetchRequest;
using kafka::FetchResponse;
using test::build_batch;
using Values = std::vector<std::string>;

class Cores : public testing::Test {
 protected:
  Cores() : node(small_limits(3)) {
    node.images.add_topic("orders", 1, 6, 3);
    node.publish();
    client = &node.connect(0);
  }
  void put(std::int32_t partition, const std::string& value, std::size_t core = 1) {
    ProduceMaker produce;
    Client& writer = node.connect(core);
    const auto answer = writer.call<kafka::ProduceResponse>(
        produce({.partition = partition}, build_batch({{"k", value}})), 9);
    ASSERT_EQ(only(answer.response).error_code, 0);
    node.hang_up(writer);
  }
  FetchRequest& fetch_all(std::vector<std::int64_t> offsets, std::int32_t max_wait_ms,
                          std::int32_t min_bytes = 1, std::int32_t max_bytes = 1 << 20) {
    partitions.clear();
    for (std::size_t p = 0; p < offsets.size(); ++p) {
      partitions.push_back({.partition = static_cast<std::int32_t>(p),
                            .fetch_offset = offsets[p],
                            .partition_max_bytes = 1 << 20});
    }
    topic = {.topic = "orders", .partitions = partitions};
    request = {.max_wait_ms = max_wait_ms, .min_bytes = min_bytes, .max_bytes = max_bytes,
               .topics = {&topic, 1}};
    return request;
  }
  std::optional<test::Parsed<FetchResponse>> answer() {
    auto frame = client->take_frame();
    if (!frame) return std::nullopt;
    return test::parse_response<FetchResponse>(*frame, 11);
  }
  Node node;
  Client* client;
  std::vector<FetchRequest::FetchTopic::FetchPartition> partitions;
  FetchRequest::FetchTopic topic;
  FetchRequest request;
};

TEST_F(Cores, EachPartitionIsOnItsOwnersDisk) {
  for (int p = 0; p < 6; ++p) put(p, std::to_string(p));
  for (int p = 0; p < 6; ++p) {
    for (std::size_t core = 0; core < 3; ++core) {
      log::PartitionLog* log = node.partition(1, p, core);
      ASSERT_EQ(log != nullptr, core == static_cast<std::size_t>(p % 3));
      EXPECT_EQ(log == nullptr ? 1 : log->durable_end(), 1);
    }
  }
}

TEST_F(Cores, OneProduceWaitsForAllDisks) {
  using Topic = kafka::ProduceRequest::TopicProduceData;
  const auto batch = build_batch({{"k", "v"}});
  std::vector<Topic::PartitionProduceData> data;
  for (int p = 0; p < 6; ++p) data.push_back({p, Bytes(batch)});
  Topic produced{.name = "orders", .partition_data = data};
  node.disks[2].held = true;
  client->send(kafka::ProduceRequest{.acks = -1, .timeout_ms = 1000, .topic_data = {&produced, 1}},
               9);
  node.settle();
  EXPECT_FALSE(client->take_frame());
  node.disks[2].held = false;
  node.settle();
  auto frame = client->take_frame();
  ASSERT_TRUE(frame);
  const auto done = test::parse_response<kafka::ProduceResponse>(*frame, 9);
  for (const auto& partition : done->responses[0].partition_responses) {
    EXPECT_EQ(partition.error_code, 0);
    EXPECT_EQ(partition.base_offset, 0);
  }
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Cores, ATimeOutNamesOnlyWhatIsNotDurable) {
  using Topic = kafka::ProduceRequest::TopicProduceData;
  const auto batch = build_batch({{"k", "v"}});
  std::vector<Topic::PartitionProduceData> data;
  for (int p = 0; p < 3; ++p) data.push_back({p, Bytes(batch)});
  Topic produced{.name = "orders", .partition_data = data};
  node.disks[1].held = true;
  client->send(kafka::ProduceRequest{.acks = -1, .timeout_ms = 100, .topic_data = {&produced, 1}},
               9);
  node.settle();
  node.advance(durability_wait(100));
  auto frame = client->take_frame();
  ASSERT_TRUE(frame);
  const auto done = test::parse_response<kafka::ProduceResponse>(*frame, 9);
  EXPECT_EQ(done->responses[0].partition_responses[0].error_code, 0);
  EXPECT_EQ(done->responses[0].partition_responses[1].error_code, 7);
  EXPECT_EQ(done->responses[0].partition_responses[2].error_code, 0);
}

TEST_F(Cores, PipelinedProducesToARemotePartitionKeepTheirOrder) {
  ProduceMaker produce;
  test::Buffer bytes;
  for (std::int32_t i = 1; i <= 30; ++i) {
    const test::BatchOptions options{
        .producer_id = 5, .producer_epoch = 0, .base_sequence = i - 1};
    const auto batch = build_batch({{"k", std::to_string(i)}}, options);
    const auto frame = test::build_request(produce({.partition = 1}, batch), 9, i);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  client->send_bytes(bytes);
  node.settle();
  for (int i = 0; i < 30; ++i) {
    auto frame = client->take_frame();
    ASSERT_TRUE(frame);
    const auto done = test::parse_response<kafka::ProduceResponse>(*frame, 9);
    EXPECT_EQ(only(done.response).error_code, 0) << i;
    EXPECT_EQ(only(done.response).base_offset, i);
  }
}

TEST_F(Cores, AFetchGathersFromAllCoresInTheOrderOfTheRequest) {
  Values expected;
  for (int p = 0; p < 6; ++p) {
    put(p, std::string(700, static_cast<char>('a' + p)));
    expected.push_back(std::string(700, static_cast<char>('a' + p)));
  }
  client->send(fetch_all({0, 0, 0, 0, 0, 0}, 1000), 11);
  node.settle();
  const auto got = answer();
  ASSERT_TRUE(got);
  EXPECT_EQ(values_of(got->response), expected);
}

TEST_F(Cores, DataOnAnyCoreEndsTheWait) {
  client->send(fetch_all({0, 0, 0}, 10'000), 11);
  node.settle();
  EXPECT_FALSE(answer());
  put(2, "news", 2);
  const auto got = answer();
  ASSERT_TRUE(got);
  EXPECT_EQ(values_of(got->response), Values{"news"});
}

TEST_F(Cores, MinBytesCountsOverAllCores) {
  const auto batch_bytes = static_cast<std::int32_t>(build_batch({{"k", "a"}}).size());
  client->send(fetch_all({0, 0, 0}, 10'000, 3 * batch_bytes), 11);
  node.settle();
  put(0, "a");
  put(1, "b");
  EXPECT_FALSE(answer());
  put(1, "c");
  const auto got = answer();
  ASSERT_TRUE(got);
  EXPECT_EQ(values_of(got->response), (Values{"a", "b", "c"}));
}

TEST_F(Cores, AWaitOverSeveralCoresEndsInTime) {
  client->send(fetch_all({0, 0, 0}, 250), 11);
  node.settle();
  node.advance(milliseconds(249));
  EXPECT_FALSE(answer());
  node.advance(milliseconds(1));
  const auto got = answer();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->response.responses[0].partitions.size(), 3u);
}

TEST_F(Cores, MaxBytesIsSharedInTheOrderOfTheRequest) {
  for (int p = 0; p < 3; ++p) put(p, std::string(1000, 'x'));
  client->send(fetch_all({0, 0, 0}, 1000, 1, 100), 11);
  node.settle();
  const auto got = answer();
  ASSERT_TRUE(got);
  const auto& told = got->response.responses[0].partitions;
  EXPECT_FALSE(told[0].records.value.empty());
  EXPECT_TRUE(told[1].records.value.empty());
  EXPECT_TRUE(told[2].records.value.empty());
}

TEST_F(Cores, ARemoteErrorEndsTheWaitOfAll) {
  put(1, "a");
  client->send(fetch_all({0, 99, 0}, 10'000), 11);
  node.settle();
  const auto got = answer();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->response.responses[0].partitions[1].error_code, 1);
}

// The answer of a watch and its cancel cross when both cores act at the same moment.
TEST_F(Cores, ACancelMayCrossTheAnswer) {
  client->send(fetch_all({0, 0, 0}, 100), 11);
  node.settle();
  node.messages_held = true;
  ProduceMaker produce;
  Client& writer = node.connect(1);
  writer.send(produce({.partition = 1}, build_batch({{"k", "late"}})), 9);
  node.settle();
  node.advance(milliseconds(100));  // Core 0 cancels; core 1 has answered already.
  node.messages_held = false;
  node.settle();
  const auto got = answer();
  ASSERT_TRUE(got);
  EXPECT_EQ(values_of(got->response), Values{"late"});
  client->send(fetch_all({0, 0, 0}, 100), 11);  // Nothing is left in a wrong state.
  node.settle();
  EXPECT_TRUE(answer());
}

TEST_F(Cores, AClientThatLeavesWhileItsBytesArePinned) {
  for (int p = 0; p < 3; ++p) put(p, std::string(2000, 'x'));
  client->holds_sends = true;
  client->send(fetch_all({0, 0, 0}, 1000), 11);
  node.settle();
  node.hang_up(*client);
  client = &node.connect(0);
  client->send(fetch_all({0, 0, 0}, 1000), 11);
  node.settle();
  EXPECT_TRUE(answer());
}

TEST_F(Cores, ATaskWaitsForTheImageItWasMadeUnder) {
  node.images.add_topic("fresh", 2, 3, 3);
  const auto image = node.images.make();
  // Only core 0 has it yet.
  node.post(0, {.kind = bus::MessageKind::image_published, .from = bus::control_core,
                .object = image.get()});
  node.settle();
  ProduceMaker produce;
  client->send(produce({.topic = "fresh", .partition = 1}, build_batch({{"k", "v"}})), 9);
  node.settle();
  EXPECT_FALSE(client->take_frame());
  for (std::size_t core : {1, 2}) {
    node.post(core, {.kind = bus::MessageKind::image_published, .from = bus::control_core,
                     .object = image.get()});
  }
  node.settle();
  auto frame = client->take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(only(test::parse_response<kafka::ProduceResponse>(*frame, 9).response).error_code, 0);
  node.publish();  // The test's image may go now.
}

TEST_F(Cores, AParkedTaskCanTimeOut) {
  node.images.add_topic("fresh", 2, 3, 3);
  const auto image = node.images.make();
  node.post(0, {.kind = bus::MessageKind::image_published, .from = bus::control_core,
                .object = image.get()});
  node.settle();
  ProduceMaker produce;
  client->send(produce({.topic = "fresh", .partition = 1, .timeout_ms = 50},
                       build_batch({{"k", "v"}})), 9);
  node.settle();
  node.advance(durability_wait(50));
  auto frame = client->take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(only(test::parse_response<kafka::ProduceResponse>(*frame, 9).response).error_code, 6);
  node.publish();
}

TEST_F(Cores, MessagesThatFindNoRoomAreKept) {
  node.messages_held = true;
  put(0, "here", 0);  // Work on the own core needs none.
  ProduceMaker produce;
  client->send(produce({.partition = 1}, build_batch({{"k", "v"}})), 9);
  node.settle();
  EXPECT_FALSE(client->take_frame());
  EXPECT_FALSE(node.brokers[0]->messages().empty());
  node.messages_held = false;
  node.settle();
  EXPECT_TRUE(client->take_frame());
}

TEST_F(Cores, SizesAreGatheredFromAllCores) {
  for (int p = 0; p < 6; ++p) put(p, std::string(100, 'x'));
  const auto dirs = client->call<kafka::DescribeLogDirsResponse>(
      kafka::DescribeLogDirsRequest{}, 4);
  ASSERT_EQ(dirs->results[0].topics[0].partitions.size(), 6u);
  for (const auto& partition : dirs->results[0].topics[0].partitions) {
    EXPECT_GT(partition.partition_size, 100);
  }
}

// Many clients on all cores at once, with disks that answer now and then.
TEST_F(Cores, EverythingThatIsAcknowledgedCanBeRead) {
  Prng prng(5, "cores");
  std::vector<Client*> writers;
  std::vector<int> waiting(5, 0);
  for (std::size_t i = 0; i < 5; ++i) writers.push_back(&node.connect(i % 3));
  ProduceMaker produce;
  std::size_t acknowledged = 0;
  for (int step = 0; step < 3000; ++step) {
    for (auto& disk : node.disks) disk.held = prng.chance(2, 3);
    const std::size_t w = prng.below(writers.size());
    if (!writers[w]->is_paused && waiting[w] < 6) {
      const auto partition = static_cast<std::int32_t>(prng.below(6));
      const auto batch = build_batch({{"k", std::string(prng.between(1, 3000), 'x')}});
      writers[w]->send(produce({.partition = partition, .timeout_ms = 1'000'000}, batch), 9);
      ++waiting[w];
    }
    node.turn();
    for (std::size_t i = 0; i < writers.size(); ++i) {
      for (; auto frame = writers[i]->take_frame(); --waiting[i]) {
        const auto done = test::parse_response<kafka::ProduceResponse>(*frame, 9);
        ASSERT_EQ(only(done.response).error_code, 0);
        ++acknowledged;
      }
    }
  }
  EXPECT_GT(acknowledged, 300u);
  for (auto& disk : node.disks) disk.held = false;
  node.settle();
  std::size_t durable = 0;
  for (int p = 0; p < 6; ++p) {
    durable += static_cast<std::size_t>(
        node.partition(1, p, static_cast<std::size_t>(p % 3))->durable_end());
  }
  EXPECT_GE(durable, acknowledged);
  std::vector<std::int64_t> offsets(6, 0);
  std::size_t read = 0;
  for (int round = 0; round < 500 && read < durable; ++round) {
    client->send(fetch_all(offsets, 0), 11);
    node.settle();
    const auto got = answer();
    ASSERT_TRUE(got);
    for (const auto& partition : got->response.responses[0].partitions) {
      for (const auto& record : test::read_records(partition.records.value)) {
        ASSERT_EQ(record.offset, offsets[static_cast<std::size_t>(partition.partition_index)]++);
        ++read;
      }
    }
  }
  EXPECT_EQ(read, durable);
  EXPECT_EQ(node.unreleased_count(), 0u);
}

}  // namespace
}  // namespace tailrace::broker
