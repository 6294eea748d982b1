// Stories of requests that are control work.
#include "base/log.h"
#include "kafka/gen/delete_topics.h"
#include "kafka/gen/init_producer_id.h"
#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using kafka::InitProducerIdRequest;
using kafka::InitProducerIdResponse;

class Control : public testing::Test {
 protected:
  Control() {
    node.images.add_topic("orders", 1, 1);
    node.publish();
    client = &node.connect();
  }
  static test::Buffer reply(std::int64_t producer_id, std::int16_t version) {
    const InitProducerIdResponse response{.producer_id = producer_id};
    kafka::Writer size = kafka::Writer::counter();
    response.encode(size, version);
    test::Buffer bytes(size.size());
    kafka::Writer out(bytes);
    response.encode(out, version);
    return bytes;
  }
  Node node;
  Client* client;
};

TEST_F(Control, IsLentTheRequestAndItsReplyIsSent) {
  for (std::int16_t version = 0; version <= 5; ++version) {
    client->send(InitProducerIdRequest{.transaction_timeout_ms = 1234}, version);
    node.settle();
    ASSERT_EQ(node.control_inbox.size(), 1u);
    const bus::ControlRequest& asked = *node.control_inbox.front();
    EXPECT_EQ(asked.api_key, 22);
    EXPECT_EQ(asked.api_version, version);
    EXPECT_EQ(asked.client_id, "test");
    EXPECT_EQ(asked.client_host.text(), "10.0.0.7");
    EXPECT_FALSE(asked.on_behalf);
    Arena arena(1024);
    kafka::Reader body(asked.body);
    EXPECT_EQ(InitProducerIdRequest::decode(body, version, arena)->transaction_timeout_ms, 1234);
    const test::Buffer bytes = reply(42, version);
    node.reply_to_control(bytes);
    node.settle();
    auto frame = client->take_frame();
    ASSERT_TRUE(frame);
    const auto answer = test::parse_response<InitProducerIdResponse>(*frame, version);
    EXPECT_TRUE(answer.ok);
    EXPECT_EQ(answer->producer_id, 42);
  }
  EXPECT_EQ(node.replies_released, 6u);
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Control, MemoryOfTheReplyIsGivenBackOnlyAfterItWasSent) {
  client->holds_sends = true;
  client->send(InitProducerIdRequest{}, 3);
  node.settle();
  const test::Buffer bytes = reply(1, 3);
  node.reply_to_control(bytes);
  node.settle();
  EXPECT_EQ(node.replies_released, 0u);
  node.finish_sends(*client);
  EXPECT_EQ(node.replies_released, 1u);
}

TEST_F(Control, MayCloseTheConnection) {
  client->send(InitProducerIdRequest{}, 3);
  node.settle();
  static std::string said;
  set_log_sink([](LogLevel, std::string_view, std::string_view line) { said = line; });
  node.reply_to_control({}, true);
  node.settle();
  set_log_sink(nullptr);
  EXPECT_TRUE(client->is_closed);
  EXPECT_EQ(node.replies_released, 1u);
  EXPECT_EQ(node.brokers[0]->counters().protocol_errors.load(), 1u);
  EXPECT_EQ(said, "client 10.0.0.7: unreadable request (api 22, version 3)");
}

TEST_F(Control, AClientThatLeavesGetsNoReplyButTheMemoryGoesBack) {
  client->send(InitProducerIdRequest{}, 3);
  node.settle();
  node.hang_up(*client);
  const test::Buffer bytes = reply(1, 3);
  node.reply_to_control(bytes);
  node.settle();
  EXPECT_EQ(node.replies_released, 1u);
}

TEST_F(Control, OnlySoManyRequestsAreLentAtATime) {
  std::vector<Client*> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(&node.connect());
    clients.back()->send(InitProducerIdRequest{}, 3);
  }
  node.settle();
  EXPECT_EQ(node.control_inbox.size(), 4u);  // control_requests_max
  EXPECT_TRUE(clients[5]->is_paused);
  const test::Buffer bytes = reply(1, 3);
  for (int i = 0; i < 6; ++i) {
    ASSERT_FALSE(node.control_inbox.empty());
    node.reply_to_control(bytes);
    node.settle();
  }
  for (Client* each : clients) EXPECT_TRUE(each->take_frame());
  EXPECT_FALSE(clients[5]->is_paused);
}

TEST_F(Control, WhatFollowsOnTheConnectionWaits) {
  client->send(InitProducerIdRequest{}, 3);
  FetchMaker fetch;
  client->send(fetch({.max_wait_ms = 0}), 11);
  node.settle();
  EXPECT_FALSE(client->take_frame());
  const test::Buffer bytes = reply(1, 3);
  node.reply_to_control(bytes);
  node.settle();
  EXPECT_TRUE(client->take_frame());
  EXPECT_TRUE(client->take_frame());
}

TEST_F(Control, AReplyWithAnErrorIsCounted) {
  const auto& errors = node.brokers[0]->counters().error_responses;
  for (const bool has_error : {false, true}) {
    client->send(InitProducerIdRequest{}, 3);
    node.settle();
    const test::Buffer bytes = reply(1, 3);
    node.control_inbox.front()->has_error = has_error;
    node.reply_to_control(bytes);
    node.settle();
    EXPECT_TRUE(client->take_frame());
    EXPECT_EQ(errors.load(), has_error ? 1u : 0u);
  }
}

}  // namespace
}  // namespace tailrace::broker
