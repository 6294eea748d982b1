// Stories of DescribeTopicPartitions.
#include "kafka/gen/describe_topic_partitions.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using Asked = kafka::DescribeTopicPartitionsRequest;
using Answer = kafka::DescribeTopicPartitionsResponse;

// orders/2 and payments/1 of the story, and zones/5.
class Pages : public ClusterStory {
 protected:
  Pages() {
    node.images.add_topic("zones", 3, 5).is_internal = true;
    node.publish();
  }
  using Cursor = std::optional<Asked::Cursor>;

  // "orders:0,1 payments:0 > zones:3": what is told, and where the next page begins.
  std::string page(std::vector<std::string_view> names, std::int32_t limit = 2000,
                   const Cursor& cursor = {}) {
    std::vector<Asked::TopicRequest> topics;
    for (const std::string_view name : names) topics.push_back({name});
    const auto answer =
        client->call<Answer>(Asked{.topics = topics, .response_partition_limit = limit,
                                   .cursor = cursor}, 0);
    std::string text;
    for (const auto& topic : answer->topics) {
      text += (text.empty() ? "" : " ") + std::string(topic.name.value);
      if (topic.error_code != 0) text += "!" + std::to_string(topic.error_code);
      for (const auto& partition : topic.partitions) {
        text += (&partition == topic.partitions.data() ? ":" : ",") +
                std::to_string(partition.partition_index);
      }
    }
    if (!answer->next_cursor) return text;
    return text + " > " + std::string(answer->next_cursor->topic_name) + ":" +
           std::to_string(answer->next_cursor->partition_index);
  }
  static Cursor at(std::string_view topic, std::int32_t partition) {
    return Asked::Cursor{topic, partition};
  }
};

TEST_F(Pages, AllTopicsOrThoseThatAreNamed) {
  EXPECT_EQ(page({}), "orders:0,1 payments:0 zones:0,1,2,3,4");
  EXPECT_EQ(page({"zones", "orders", "zones"}), "orders:0,1 zones:0,1,2,3,4")
      << "in order, each once";
}

TEST_F(Pages, APageEndsAtItsLimitAndTheNextGoesOn) {
  EXPECT_EQ(page({}, 4), "orders:0,1 payments:0 zones:0 > zones:1");
  EXPECT_EQ(page({}, 3, at("zones", 1)), "zones:1,2,3 > zones:4");
  EXPECT_EQ(page({}, 3, at("zones", 4)), "zones:4");
  EXPECT_EQ(page({}, 3), "orders:0,1 payments:0 > zones:0") << "a whole topic is left over";
  EXPECT_EQ(page({}, 0), "orders:0 > orders:1") << "one at least";
  EXPECT_EQ(page({"orders", "zones"}, 2), "orders:0,1 > zones:0");
  EXPECT_EQ(page({"orders", "zones"}, 2, at("zones", 0)), "zones:0,1 > zones:2");
}

TEST_F(Pages, ACursorMayNameWhatIsGone) {
  EXPECT_EQ(page({}, 10, at("p", 7)), "payments:0 zones:0,1,2,3,4") << "goes on behind it";
  EXPECT_EQ(page({}, 10, at("zones", 9)), "zones");
  EXPECT_EQ(page({}, 10, at("zzz", 0)), "");
  EXPECT_EQ(page({"gone", "zones"}, 10, at("gone", 3)), "gone!3 zones:0,1,2,3,4");
}

TEST_F(Pages, ACursorThatMakesNoSenseIsAnInvalidRequest) {
  EXPECT_EQ(page({"orders", "zones"}, 10, at("payments", 0)), "orders!42 zones!42");
  EXPECT_EQ(page({"zones"}, 10, at("zones", -1)), "zones!42");
  EXPECT_EQ(page({}, 10, at("zones", -1)), "");
}

TEST_F(Pages, UnknownTopicsAndBadNames) {
  EXPECT_EQ(page({"orders", "nowhere", "a/b", ""}), "!17 a/b!17 nowhere!3 orders:0,1");
}

TEST_F(Pages, AllThatMetadataTellsAndNoEligibleLeaders) {
  node.images.change_topic("payments").partitions[0].leader = -1;
  node.publish();
  const auto answer = client->call<Answer>(Asked{}, 0);
  ASSERT_EQ(answer->topics.size(), 3u);
  const auto& orders = answer->topics[0];
  EXPECT_EQ(orders.topic_id, topic_id(1));
  EXPECT_FALSE(orders.is_internal);
  EXPECT_EQ(orders.topic_authorized_operations, 3576);
  EXPECT_EQ(orders.partitions[1].leader_id, 1);
  EXPECT_EQ(orders.partitions[1].leader_epoch, 3);
  ASSERT_EQ(orders.partitions[1].replica_nodes.size(), 1u);
  ASSERT_EQ(orders.partitions[1].isr_nodes.size(), 1u);
  EXPECT_FALSE(orders.partitions[1].eligible_leader_replicas.null);
  EXPECT_TRUE(orders.partitions[1].eligible_leader_replicas.items.empty());
  EXPECT_FALSE(orders.partitions[1].last_known_elr.null);
  EXPECT_EQ(answer->topics[1].partitions[0].error_code, 5) << "no leader";
  EXPECT_TRUE(answer->topics[2].is_internal);
}

// A topic of very many partitions comes in pages, whatever limit the client names.
TEST(LargeTopic, IsToldInPagesOfTwoThousand) {
  Node node;
  bus::TopicImage& topic = node.images.add_topic("large", 1, 1);
  for (std::int32_t i = 1; i < 4100; ++i) {
    topic.partitions.push_back(topic.partitions[0]);
    topic.partitions.back().index = i;
    topic.partitions.back().replicas = {2};  // Of another node: no log is made here.
    topic.partitions.back().leader = 2;
  }
  node.publish();
  Client& client = node.connect();
  std::vector<std::size_t> sizes;
  Asked ask{.response_partition_limit = INT32_MAX};
  std::int32_t next = 0;
  do {
    const auto answer = client.call<Answer>(ask, 0);
    ASSERT_EQ(answer->topics.size(), 1u);
    const auto partitions = answer->topics[0].partitions;
    sizes.push_back(partitions.size());
    EXPECT_EQ(partitions[0].partition_index, next);
    next = !answer->next_cursor ? -1 : answer->next_cursor->partition_index;
    ask.cursor = Asked::Cursor{"large", next};
  } while (next >= 0);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2000, 2000, 100}));
}

}  // namespace
}  // namespace tailrace::broker
