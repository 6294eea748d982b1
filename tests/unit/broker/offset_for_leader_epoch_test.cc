// Stories of OffsetForLeaderEpoch.
#include "kafka/gen/offset_for_leader_epoch.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Epochs : public LookUpStory {};

TEST_F(Epochs, TheEndOfAnEpoch) {
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

}  // namespace
}  // namespace tailrace::broker
