#include "control/describe_quorum.h"

#include <gtest/gtest.h>

#include "kafka/gen/describe_quorum.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Request = kafka::DescribeQuorumRequest;
using Response = kafka::DescribeQuorumResponse;

Response ask(ControlNode& node, std::string_view topic, std::int32_t partition,
             std::int16_t version = 2) {
  Request::TopicData::PartitionData asked{partition};
  Request::TopicData data{topic, {&asked, 1}};
  Request request;
  request.topics = {&data, 1};
  return node.ask<Response>(request, version);
}

TEST(DescribeQuorum, OneVoterThatLeads) {
  ReadyNode up;
  for (std::int16_t version = 0; version <= 2; ++version) {
    const Response response = ask(up.node, "__cluster_metadata", 0, version);
    EXPECT_EQ(response.error_code, 0);
    const auto& partition = response.topics[0].partitions[0];
    EXPECT_EQ(partition.error_code, 0);
    EXPECT_EQ(partition.leader_id, 1);
    EXPECT_GT(partition.leader_epoch, 0);
    EXPECT_GT(partition.high_watermark, 0);
    ASSERT_EQ(partition.current_voters.size(), 1U);
    EXPECT_EQ(partition.current_voters[0].replica_id, 1);
    EXPECT_EQ(partition.current_voters[0].log_end_offset, partition.high_watermark);
    EXPECT_TRUE(partition.observers.empty());
    ASSERT_EQ(response.nodes.size(), version >= 2 ? 1U : 0U);
    if (version >= 2) {
      EXPECT_EQ(response.nodes[0].listeners[0].host, "localhost");
    }
  }
}

TEST(DescribeQuorum, GrowsWithTheLog) {
  ReadyNode up;
  const auto before = ask(up.node, "__cluster_metadata", 0).topics[0].partitions[0].high_watermark;
  create(up.node, {topic("a")});
  EXPECT_EQ(ask(up.node, "__cluster_metadata", 0).topics[0].partitions[0].high_watermark,
            before + 1);
}

TEST(DescribeQuorum, OtherPartitionsHaveNone) {
  ReadyNode up;
  EXPECT_EQ(ask(up.node, "orders", 0).topics[0].partitions[0].error_code, 3);
  EXPECT_EQ(ask(up.node, "__cluster_metadata", 1).topics[0].partitions[0].error_code, 3);
}

TEST(DescribeQuorum, BeforeTheLogIsReadNobodyLeads) {
  test::FakeDisk disk;
  ControlNode node(disk);
  Request::TopicData::PartitionData asked{0};
  Request::TopicData data{"__cluster_metadata", {&asked, 1}};
  Request request;
  request.topics = {&data, 1};
  const auto sent = node.send(request, 2);
  node.turn();
  EXPECT_EQ(node.response<Response>(*sent).topics[0].partitions[0].error_code, 6);
}

}  // namespace
}  // namespace tailrace::control
