#include "control/consumer_protocol.h"

#include <gtest/gtest.h>

namespace tailrace::control {
namespace {

// As the Java client writes it: two topics, user data, what it owns, generation 7, a rack.
constexpr std::string_view subscription(
    "\0\3\0\0\0\2\0\1a\0\1b\0\0\0\1x\0\0\0\1\0\1a\0\0\0\2\0\0\0\0\0\0\0\4\0\0\0\7\0\2r1", 44);

TEST(ConsumerProtocol, ASubscriptionOfEachVersionIsRead) {
  const auto read = parse_subscription(as_bytes(subscription));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->version, 3);
  EXPECT_EQ(read->topics, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(read->owned, (NamedPartitions{{"a", 0}, {"a", 4}}));
  EXPECT_EQ(read->rack_id, "r1");
  const std::string_view oldest("\0\0\0\0\0\1\0\1a\377\377\377\377", 13);
  const auto old = parse_subscription(as_bytes(oldest));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->topics, std::vector<std::string>{"a"});
  EXPECT_TRUE(old->owned.empty());
}

TEST(ConsumerProtocol, EveryCutIsAnError) {
  for (std::size_t size = 0; size < subscription.size(); ++size) {
    EXPECT_FALSE(parse_subscription(as_bytes(subscription.substr(0, size)))) << size;
  }
}

TEST(ConsumerProtocol, AnAssignmentReadsAsItWasWritten) {
  const NamedPartitions all = {{"a", 0}, {"a", 2}, {"b", 1}};
  EXPECT_EQ(*parse_client_assignment(encode_client_assignment(1, all)), all);
  EXPECT_EQ(*parse_client_assignment(Bytes{}), NamedPartitions{});
  EXPECT_FALSE(parse_client_assignment(as_bytes(std::string_view("\0\0\0\0\0\1", 6))));
}

TEST(ConsumerProtocol, IdsAndNamesOfWhatIsThere) {
  ClusterState state;
  ASSERT_TRUE(state.apply(NodeRecord{.id = 1}));
  TopicRecord topic{.id = Uuid{{7}}, .name = "a"};
  topic.partitions.resize(3, {.leader = 1, .replicas = {1}, .isr = {1}});
  ASSERT_TRUE(state.apply(topic));
  const Assignment ids = to_ids({{"a", 2}, {"gone", 0}, {"a", 1}, {"a", 2}}, state);
  EXPECT_EQ(ids, (Assignment{{Uuid{{7}}, 1}, {Uuid{{7}}, 2}}));
  EXPECT_EQ(to_names({{Uuid{{7}}, 1}, {Uuid{{8}}, 1}}, state), (NamedPartitions{{"a", 1}}));
}

}  // namespace
}  // namespace tailrace::control
