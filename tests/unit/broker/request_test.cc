// Stories of requests whose client has gone, and of those that ask for too much.
#include "base/log.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

class Orphans : public FetchStory {};

class Writers : public ProduceStory {};

// Keeps the last line of the operator's log.
class Refusals : public LookUpStory {
 protected:
  Refusals() {
    line.clear();
    set_log_sink([](LogLevel, std::string_view, std::string_view text) { line = text; });
  }
  ~Refusals() override { set_log_sink(nullptr); }
  bool is_said(std::string_view text) { return line.find(text) != std::string::npos; }

  static inline std::string line;
};

TEST_F(Orphans, AClientThatLeavesWhileItWaitsIsForgotten) {
  reader().send(make({.max_wait_ms = 10'000}), 11);
  node.settle();
  node.hang_up(reader());
  put("a");
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Writers, AClientThatLeavesTakesNothingWithIt) {
  node.disks[0].held = true;
  client().send(make({}, test::build_batch({{"k", "v"}})), 9);
  node.settle();
  node.hang_up(client());
  node.disks[0].held = false;
  node.settle();
  EXPECT_EQ(node.partition(1, 0)->durable_end(), 1);
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Refusals, ATooLongRequestIsToldWithItsLimit) {
  test::Buffer length(4);
  store_be(length.data(), (256 << 10) + 1);
  client->send_bytes(length);
  node.settle();
  EXPECT_TRUE(client->is_closed);
  EXPECT_TRUE(is_said("client 10.0.0.7: ")) << line;
  EXPECT_TRUE(is_said("262144")) << line;
}

TEST_F(Refusals, ARequestAboutTooManyPartitionsIsToldWithItsLimit) {
  using Request = kafka::ListOffsetsRequest;
  std::vector<Request::ListOffsetsTopic::ListOffsetsPartition> many(5000);
  Request::ListOffsetsTopic asked{.name = "orders", .partitions = many};
  client->send(Request{.topics = {&asked, 1}}, 5);
  node.settle();
  EXPECT_TRUE(client->is_closed);
  EXPECT_TRUE(is_said("client 10.0.0.7: ")) << line;
  EXPECT_TRUE(is_said("5001")) << line;
  EXPECT_TRUE(is_said("4096")) << line;
}

}  // namespace
}  // namespace tailrace::broker
