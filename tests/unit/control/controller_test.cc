#include "control/controller.h"

#include <gtest/gtest.h>

#include "kafka/gen/init_producer_id.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

using Request = kafka::InitProducerIdRequest;
using Response = kafka::InitProducerIdResponse;

Response ask(ControlNode& node, const Request& request = {}, std::int16_t version = 5) {
  return node.ask<Response>(request, version);
}

TEST(InitProducerId, IdsAreDistinctAndOneCommitGivesAThousand) {
  ReadyNode up;
  EXPECT_EQ(ask(up.node).producer_id, 0);
  const std::uint64_t commits = up.node.plane().counters().commits.load();
  for (std::int64_t id = 1; id < 1000; ++id) {
    const Response response = ask(up.node, {}, static_cast<std::int16_t>(id % 6));
    ASSERT_EQ(response.producer_id, id);
    ASSERT_EQ(response.producer_epoch, 0);
    ASSERT_EQ(response.error_code, 0);
  }
  EXPECT_EQ(up.node.plane().counters().commits.load(), commits);
  EXPECT_EQ(ask(up.node).producer_id, 1000);
  EXPECT_EQ(up.node.plane().counters().commits.load(), commits + 1);
}

TEST(InitProducerId, NoIdIsGivenTwiceAfterARestart) {
  test::FakeDisk disk;
  {
    ControlNode node(disk);
    node.run();
    EXPECT_EQ(ask(node).producer_id, 0);
    EXPECT_EQ(ask(node).producer_id, 1);
  }
  disk.kill();
  ControlNode node(disk);
  node.run();
  EXPECT_EQ(ask(node).producer_id, 1000);
}

TEST(InitProducerId, AProducerThatComesWithItsIdGetsTheNextEpoch) {
  ReadyNode up;
  ask(up.node);
  const Response bumped = ask(up.node, {nullptr, 0, 0, 7}, 3);
  EXPECT_EQ(bumped.producer_id, 0);
  EXPECT_EQ(bumped.producer_epoch, 8);
  const Response exhausted = ask(up.node, {nullptr, 0, 0, INT16_MAX - 1}, 3);
  EXPECT_EQ(exhausted.producer_id, 1) << "no epoch is left: a new id";
  EXPECT_EQ(exhausted.producer_epoch, 0);
  const Response unknown = ask(up.node, {nullptr, 0, 77'000, 1}, 3);
  EXPECT_EQ(unknown.producer_id, 2) << "an id nobody gave";
  EXPECT_EQ(ask(up.node, {nullptr, 0, 0, -1}, 3).error_code, 42) << "half of a pair";
}

TEST(InitProducerId, ATransactionalIdIsItsCoordinators) {
  ReadyNode up;
  const Response response = ask(up.node, {"tx", 1000, -1, -1}, 5);
  EXPECT_EQ(response.error_code, 16) << "who asks first where it is, finds it";
  EXPECT_EQ(response.producer_id, -1);
}

TEST(Controller, WhatCannotBeReadClosesTheConnection) {
  ReadyNode up;
  const auto send = [&up](std::int16_t key, std::int16_t version, std::size_t size) {
    auto sent = std::make_shared<Sent>();
    sent->body.assign(size, std::byte{0xff});
    up.node.send_raw(sent, key, version);
    up.node.run();
    EXPECT_TRUE(sent->answered);
    return sent->request.close_connection;
  };
  EXPECT_TRUE(send(19, 7, 20)) << "nonsense";
  EXPECT_TRUE(send(19, 7, 0)) << "no body";
  EXPECT_TRUE(send(19, 99, 20)) << "no such version";
  EXPECT_TRUE(send(0, 9, 20)) << "not control's";
  EXPECT_TRUE(send(999, 0, 20)) << "nobody's";
  EXPECT_TRUE(up.node.plane().ready());
}

TEST(Controller, ARandomBodyNeverHarmsTheNode) {
  ReadyNode up;
  Prng prng(3);
  for (int i = 0; i < 3000; ++i) {
    const std::int16_t keys[] = {19, 20, 22, 33, 37, 43, 44, 45, 46, 48, 49, 55, 57, 64};
    auto sent = std::make_shared<Sent>();
    sent->body.resize(prng.below(60));
    for (std::byte& b : sent->body) b = static_cast<std::byte>(prng.chance(1, 2) ? 0 : prng.next());
    const std::int16_t key = keys[prng.below(std::size(keys))];
    up.node.send_raw(sent, key, static_cast<std::int16_t>(prng.below(8)));
    up.node.run();
    ASSERT_TRUE(sent->answered);
    up.node.release(sent);
  }
  EXPECT_TRUE(up.node.plane().ready());
}

}  // namespace
}  // namespace tailrace::control
