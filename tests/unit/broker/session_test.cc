// Stories of a connection: frames however they are cut, order, limits, and who gets closed.
#include "broker/session.h"

#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using kafka::ApiVersionsResponse;
using test::build_batch;
using test::build_request;

class Connection : public ConnectionStory {};

TEST_F(Connection, BytesMayComeOneByOne) {
  Client& client = node.connect();
  for (const std::byte byte : build_request(hello, 3, 1)) {
    client.send_bytes({&byte, 1});
    node.settle();
  }
  EXPECT_TRUE(client.take_frame());
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Connection, EveryCutOfTwoRequestsGivesTwoAnswers) {
  test::Buffer both = build_request(hello, 3, 1);
  const test::Buffer second = build_request(hello, 0, 2);
  both.insert(both.end(), second.begin(), second.end());
  for (std::size_t cut = 1; cut < both.size(); ++cut) {
    Client& client = node.connect();
    client.send_bytes(Bytes(both).first(cut));
    if (cut % 2 == 0) node.settle();
    client.send_bytes(Bytes(both).subspan(cut));
    node.settle();
    ASSERT_EQ(count_frames(client), 2u) << cut;
    node.hang_up(client);
  }
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Connection, ManyRequestsInOneEventAreAnsweredInOrder) {
  Client& client = node.connect();
  test::Buffer bytes;
  for (std::int32_t i = 1; i <= 50; ++i) {
    const test::Buffer frame = build_request(hello, 3, i);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  client.send_bytes(bytes);
  node.settle();
  EXPECT_EQ(count_frames(client), 50u);
  EXPECT_FALSE(client.is_paused);
  EXPECT_EQ(node.unreleased_count(), 0u);
}

TEST_F(Connection, ALengthBeyondTheLimitOrBelowZeroCloses) {
  for (const std::int32_t length : {-1, 0, 7, (256 << 10) + 1, INT32_MAX}) {
    Client& client = node.connect();
    test::Buffer bytes(4);
    store_be(bytes.data(), length);
    client.send_bytes(bytes);
    node.settle();
    EXPECT_TRUE(client.is_closed) << length;
  }
}

TEST_F(Connection, RequestsInFlightAreBounded) {
  Client& client = node.connect();
  client.holds_sends = true;
  for (int i = 0; i < 8; ++i) client.send(hello, 3);
  node.settle();
  EXPECT_EQ(count_frames(client), 4u);  // requests_in_flight_max, until they are sent.
  EXPECT_TRUE(client.is_paused);
  node.finish_sends(client);
  EXPECT_EQ(count_frames(client), 4u);
  EXPECT_FALSE(client.is_paused);
}

TEST_F(Connection, ARefusedSendIsOfferedAgain) {
  Client& client = node.connect();
  client.refuses_sends = true;
  client.send(hello, 3);
  node.settle();
  EXPECT_FALSE(client.take_frame());
  client.refuses_sends = false;
  node.settle();
  EXPECT_TRUE(client.take_frame());
}

TEST_F(Connection, ARefusedSendDiesWithItsConnection) {
  Client& client = node.connect();
  client.refuses_sends = true;
  client.send(hello, 3);
  node.settle();
  node.hang_up(client);
  Client& other = node.connect();
  other.send(hello, 3);
  node.settle();
  EXPECT_TRUE(other.take_frame());
}

TEST_F(Connection, WhatFollowsAProduceWaitsForIt) {
  node.disks[0].held = true;
  Client& client = node.connect();
  ProduceMaker produce;
  client.send(produce({}, build_batch({{"k", "v"}})), 9);
  client.send(hello, 3);
  node.settle();
  EXPECT_EQ(count_frames(client), 0u);
  node.disks[0].held = false;
  node.settle();
  EXPECT_EQ(count_frames(client), 2u);
}

TEST_F(Connection, TooManyConnectionsAreRefused) {
  for (int i = 0; i < 8; ++i) node.connect();
  Client& ninth = node.connect();
  EXPECT_TRUE(ninth.is_aborted);
  EXPECT_EQ(node.brokers[0]->counters().connections_refused.load(), 1u);
  node.hang_up(*node.clients[0]);
  EXPECT_FALSE(node.connect().is_aborted);
}

TEST_F(Connection, IdleAndHalfSentConnectionsAreClosed) {
  Client& silent = node.connect();
  Client& half = node.connect();
  Client& alive = node.connect();
  half.send_bytes(Bytes(build_request(hello, 3, 1)).first(9));
  node.advance(seconds(599));
  alive.send(hello, 3);
  half.send_bytes(Bytes(build_request(hello, 3, 1)).subspan(9, 1));  // Drip by drip.
  node.advance(seconds(1));
  EXPECT_TRUE(silent.is_closed);
  EXPECT_TRUE(half.is_closed);
  EXPECT_FALSE(alive.is_closed);
  EXPECT_EQ(node.brokers[0]->counters().connections_idle.load(), 2u);
}

TEST_F(Connection, AWaitingFetchIsNotIdle) {
  Client& client = node.connect();
  FetchMaker fetch;
  client.send(fetch({.max_wait_ms = 10'000'000}), 11);
  node.advance(seconds(601));
  EXPECT_FALSE(client.is_closed);
}

TEST_F(Connection, APeerThatTakesNothingIsAborted) {
  Client& client = node.connect();
  client.holds_sends = true;
  client.send(hello, 3);
  node.settle();
  node.advance(seconds(601));
  EXPECT_TRUE(client.is_aborted);
}

// request_memory_bytes is 512 KiB; a frame of 200 KiB takes 256 KiB of it.
TEST_F(Connection, WithoutMemoryForAFrameReadingPausesAndGoesOnLater) {
  std::vector<Client*> clients;
  const std::string big(90'000, 'x');
  ProduceMaker produce;
  const auto frame = build_request(produce({}, build_batch({{"k", big}, {"k", big}})), 9, 1);
  for (int i = 0; i < 3; ++i) {
    clients.push_back(&node.connect());
    clients.back()->send_bytes(Bytes(frame).first(1000));
    node.settle();
  }
  EXPECT_FALSE(clients[0]->is_paused);
  EXPECT_FALSE(clients[1]->is_paused);
  EXPECT_TRUE(clients[2]->is_paused);
  clients[0]->send_bytes(Bytes(frame).subspan(1000));
  node.settle();
  EXPECT_TRUE(clients[0]->take_frame());
  EXPECT_FALSE(clients[2]->is_paused);
  clients[2]->send_bytes(Bytes(frame).subspan(1000));
  node.settle();
  EXPECT_TRUE(clients[2]->take_frame());
  EXPECT_EQ(node.unreleased_count(), 0u);
}

// A smaller frame waits behind a large one, and goes on when that one's client gives up.
TEST_F(Connection, WhoWaitsBehindAnotherGoesOnWhenThatOneLeaves) {
  const test::Buffer large = {std::byte{0}, std::byte{3}, std::byte{0}, std::byte{0}};
  const test::Buffer half_as_large = {std::byte{0}, std::byte{2}, std::byte{0}, std::byte{0}};
  Client& one = node.connect();
  Client& two = node.connect();
  Client& three = node.connect();
  const test::Buffer smaller = {std::byte{0}, std::byte{1}, std::byte{0}, std::byte{0}};
  one.send_bytes(large);
  two.send_bytes(half_as_large);
  three.send_bytes(large);
  node.settle();
  EXPECT_TRUE(three.is_paused);
  Client& four = node.connect();
  four.send_bytes(smaller);
  node.settle();
  EXPECT_TRUE(four.is_paused);
  node.hang_up(three);
  EXPECT_FALSE(four.is_paused);
}

TEST_F(Connection, LargeFramesThatNeverComeStopNobodyElse) {
  const test::Buffer large = {std::byte{0}, std::byte{3}, std::byte{0}, std::byte{0}};
  std::vector<Client*> stalled;
  for (int i = 0; i < 6; ++i) {
    stalled.push_back(&node.connect());
    stalled.back()->send_bytes(large);
  }
  node.settle();
  EXPECT_TRUE(stalled.back()->is_paused);
  Client& small = node.connect();
  const test::Buffer frame = build_request(hello, 3, 1);
  small.send_bytes(Bytes(frame).first(10));
  small.send_bytes(Bytes(frame).subspan(10));
  node.settle();
  EXPECT_TRUE(small.take_frame());
  for (int i = 0; i < 25; ++i) node.advance(seconds(1));  // Two at a time.
  EXPECT_TRUE(stalled[0]->is_closed) << "it holds memory that another waits for";
  EXPECT_FALSE(stalled[5]->is_paused);
  EXPECT_FALSE(small.is_closed);
}

TEST_F(Connection, MemoryOfAClientThatLeavesIsFreeAgain) {
  const test::Buffer length = {std::byte{0}, std::byte{3}, std::byte{0}, std::byte{0}};
  for (int i = 0; i < 20; ++i) {
    Client& client = node.connect();
    client.send_bytes(length);
    node.settle();
    EXPECT_FALSE(client.is_paused);
    node.hang_up(client);
  }
}

}  // namespace
}  // namespace tailrace::broker
