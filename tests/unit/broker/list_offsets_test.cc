// Stories of ListOffsets.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using test::build_batch;

class LookUps : public LookUpStory {};

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

TEST_F(LookUps, AnAnswerWithAnErrorIsCountedOnce) {
  const auto& errors = node.brokers[0]->counters().error_responses;
  list(-1);
  EXPECT_EQ(errors.load(), 0u);
  list(-1, 5, -1, "nowhere");
  EXPECT_EQ(errors.load(), 1u);
}

TEST_F(LookUps, APartitionNamedTwiceIsAnInvalidRequest) {
  using Request = kafka::ListOffsetsRequest;
  std::vector<Request::ListOffsetsTopic::ListOffsetsPartition> twice(2);
  Request::ListOffsetsTopic asked{.name = "orders", .partitions = twice};
  const auto answer =
      client->call<kafka::ListOffsetsResponse>(Request{.topics = {&asked, 1}}, 5);
  EXPECT_EQ(answer->topics[0].partitions[0].error_code, 42) << "both, as Kafka has it";
  EXPECT_EQ(answer->topics[0].partitions[1].error_code, 42);
}

}  // namespace
}  // namespace tailrace::broker
