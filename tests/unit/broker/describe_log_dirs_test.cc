// Stories of DescribeLogDirs.
#include "kafka/gen/describe_log_dirs.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class LogDirs : public LookUpStory {};

TEST_F(LogDirs, LogDirsTellSizes) {
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

TEST_F(LogDirs, LogDirsLeaveOutWhatIsNotHere) {
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
