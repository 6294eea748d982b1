// Stories of DescribeCluster.
#include "kafka/gen/describe_cluster.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Describe : public ClusterStory {};

TEST_F(Describe, DescribeClusterTellsNodesAndController) {
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

TEST_F(Describe, DescribeClusterKnowsItsEndpointTypes) {
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
