// Stories of a node: what a client was told survives whatever happens to the disk.
#include "control/control_plane.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "kafka/gen/describe_quorum.h"
#include "topic_requests.h"

namespace tailrace::control {
namespace {

TEST(ControlPlane, ComesUpEmptyAndAgainWithWhatItHad) {
  test::FakeDisk disk;
  std::string cluster;
  Uuid orders;
  {
    ControlNode node(disk);
    EXPECT_FALSE(node.plane().ready());
    node.run();
    ASSERT_TRUE(node.plane().ready()) << node.plane().why();
    cluster = node.plane().cluster_id();
    EXPECT_EQ(cluster.size(), 22U);
    EXPECT_EQ(node.image().cluster_id, cluster);
    ASSERT_EQ(node.image().nodes.size(), 1U);
    EXPECT_EQ(node.image().nodes[0].endpoints[0].host, "localhost");
    create(node, {topic("orders", 4)});
    orders = node.image().find_topic("orders")->id;
  }
  disk.kill();
  NodeSetup setup = ControlNode::default_setup();
  setup.core_count = 3;
  setup.endpoints = {{"elsewhere", 1}};
  ControlNode node(disk, {}, setup, 2);
  node.run();
  ASSERT_TRUE(node.plane().ready()) << node.plane().why();
  EXPECT_EQ(node.plane().cluster_id(), cluster);
  EXPECT_EQ(node.image().nodes[0].endpoints[0].host, "elsewhere") << "registered anew";
  const bus::TopicImage* image = node.image().find_topic("orders");
  ASSERT_NE(image, nullptr);
  EXPECT_EQ(image->id, orders);
  for (const auto& partition : image->partitions) {
    EXPECT_EQ(partition.owner, bus::owner_core(orders, partition.index, 3));
  }
  EXPECT_EQ(node.plane().counters().partitions.load(), 4);
}

TEST(ControlPlane, AnotherNodesOrClustersLogIsRefused) {
  test::FakeDisk disk;
  NodeSetup setup = ControlNode::default_setup();
  setup.cluster_id = "AAAAAAAAAAAAAAAAAAAAAA";
  {
    ControlNode node(disk, {}, setup);
    node.run();
    EXPECT_EQ(node.plane().cluster_id(), setup.cluster_id);
  }
  disk.kill();
  setup.node_id = 2;
  {
    ControlNode node(disk, {}, setup);
    node.run();
    EXPECT_EQ(node.plane().why(), "metadata: this is node 2, but the log belongs to node 1");
  }
  disk.kill();
  setup = ControlNode::default_setup();
  setup.cluster_id = "BAAAAAAAAAAAAAAAAAAAAA";
  ControlNode node(disk, {}, setup);
  node.run();
  EXPECT_TRUE(node.plane().failed());
  EXPECT_EQ(node.plane().why(), "metadata: the log belongs to cluster AAAAAAAAAAAAAAAAAAAAAA, not "
                                "to BAAAAAAAAAAAAAAAAAAAAA");
}

// Journals of 22 blocks, so that a few changes fill one and cuts also hit compaction.
Limits small_limits() {
  Limits limits;
  limits.entry_bytes_max = 4096;
  limits.config_bytes_max = 2048;
  limits.journal_bytes = 22 * disk_block_bytes;
  return limits;
}

// The promise itself: a power cut after any number of disk operations, of which each unsynced
// sector is kept or lost by chance, loses no change a client was told of.
class PowerCuts {
 public:
  explicit PowerCuts(std::uint64_t seed) : seed_(seed), prng_(seed, "crash") {}

  // Up to a few hundred operations and topics, then the power goes; or, the last time, a look.
  void live(int life, bool is_last) {
    ControlNode node(disk_, small_limits(), ControlNode::default_setup(), seed_ * 100 + life);
    const bool up = node.run_ops(is_last ? 100'000 : prng_.below(80));
    ASSERT_FALSE(node.plane().failed()) << "seed " << seed_ << ": " << node.plane().why();
    if (up) {
      ASSERT_TRUE(node.plane().ready());
      look(node);
      if (!is_last) ask(node, life);
      snapshots += node.plane().counters().snapshots.load();
    }
    disk_.crash(prng_);
  }

  std::uint64_t snapshots = 0;

 private:
  void look(const ControlNode& node) {
    for (const std::string& name : acknowledged_) {
      ASSERT_NE(node.image().find_topic(name), nullptr) << "seed " << seed_ << " lost " << name;
    }
    for (const auto& topic : node.image().topics) {
      ASSERT_TRUE(asked_.contains(topic->name)) << "seed " << seed_ << " made " << topic->name;
    }
  }
  void ask(ControlNode& node, int life) {
    for (std::uint64_t i = prng_.below(30); i > 0; --i) {
      const std::string name = "t" + std::to_string(life) + "-" + std::to_string(i);
      asked_.insert(name);
      kafka::CreateTopicsRequest request;
      std::vector<CreateTopic> topics = {topic(name, 5)};
      request.topics = topics;
      const auto sent = node.send(request, 7);
      // Two operations make a change durable, compaction takes a few more.
      const bool done = node.run_ops(prng_.chance(1, 20) ? prng_.below(8) : 100);
      if (sent->answered) acknowledged_.insert(name);
      if (!done) return;
      ASSERT_TRUE(sent->answered);
    }
  }

  std::uint64_t seed_;
  Prng prng_;
  test::FakeDisk disk_;
  std::set<std::string> acknowledged_;
  std::set<std::string> asked_;
};

TEST(ControlPlane, WhatWasAcknowledgedSurvivesPowerCutsAnywhere) {
  constexpr int lives = 8;
  std::uint64_t snapshots = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    PowerCuts story(seed);
    for (int life = 0; life < lives && !testing::Test::HasFatalFailure(); ++life) {
      story.live(life, life + 1 == lives);
    }
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed;
    snapshots += story.snapshots;
  }
  EXPECT_GT(snapshots, 100U) << "compaction is part of the story";
}

TEST(ControlPlane, TheLogIsCompactedAgainAndAgainAndNeverGrows) {
  test::FakeDisk disk;
  {
    ControlNode node(disk);
    node.run();
    for (int i = 0; i < 1200; ++i) {
      ASSERT_EQ(create_one(node, topic("t")), "ok");
      ASSERT_EQ(remove(node, {"t"}), std::vector<std::string>{"t ok"});
    }
    create(node, {topic("kept", 2)});
    EXPECT_GE(node.plane().counters().snapshots.load(), 4U);
  }
  EXPECT_EQ(disk.bytes("metadata/journal-0").size(), Limits{}.journal_bytes);
  disk.kill();
  ControlNode again(disk);
  again.run();
  EXPECT_EQ(topics(again), "kept/2");
}

TEST(ControlPlane, OnAFullDiskTopicsCanBeDeletedForEverAndThenMadeAgain) {
  test::FakeDisk disk;
  disk.fault = [](const DiskOp& op) {
    return op.kind == DiskOpKind::write && op.file_pos >= Limits{}.journal_bytes ? ENOSPC : 0;
  };
  ControlNode node(disk);
  node.run();
  const std::string big(20'000, '1');
  const std::string_view value = big;
  std::vector<CreateConfig> configs = {{"leader.replication.throttled.replicas", value}};
  std::vector<std::string> made;
  std::string answer;
  for (int i = 0; i < 200; ++i) {
    const std::string name = "t" + std::to_string(i);
    CreateTopic wanted = topic(name);
    wanted.configs = configs;
    answer = create_one(node, wanted);
    if (answer != "ok") break;
    made.push_back(name);
  }
  EXPECT_EQ(answer, "56: The metadata log cannot grow: the disk is full. Topics can still be "
                    "deleted.");
  ASSERT_GT(made.size(), 20U);
  // Nothing the disk holds was written beyond what was there from the start, many times over.
  for (int i = 0; i < 1500; ++i) {
    if (made.size() > 10) {
      ASSERT_EQ(remove(node, {made.back()}), std::vector<std::string>{made.back() + " ok"});
      made.pop_back();
    } else {
      ASSERT_EQ(create_one(node, topic("small")), "ok");
      ASSERT_EQ(remove(node, {"small"}), std::vector<std::string>{"small ok"});
    }
  }
  EXPECT_FALSE(node.plane().failed());
  EXPECT_GE(node.plane().counters().snapshots.load(), 3U);
}

TEST(ControlPlane, ADamagedLogStopsTheNodeWithLinesForTheOperator) {
  test::FakeDisk disk;
  {
    ControlNode node(disk);
    node.run();
    create(node, {topic("a")});
    create(node, {topic("b")});
  }
  disk.kill();
  disk.flip_bit("metadata/journal-0", 3 * disk_block_bytes + 70);
  ControlNode node(disk);
  node.run();
  EXPECT_TRUE(node.plane().failed());
  EXPECT_FALSE(node.plane().ready());
  EXPECT_NE(node.plane().why().find("damaged at byte 12288"), std::string::npos)
      << node.plane().why();
  EXPECT_NE(node.plane().why().find("tailrace dump"), std::string::npos);
}

TEST(ControlPlane, AFailedSyncFailsTheRequestAndAllThatFollow) {
  ReadyNode up;
  up.disk.fail_next(DiskOpKind::sync, EIO);
  EXPECT_EQ(create_one(up.node, topic("a")), "56: The metadata log has failed.");
  EXPECT_TRUE(up.node.plane().failed());
  EXPECT_EQ(create_one(up.node, topic("b")), "56: The metadata log has failed.");
  EXPECT_EQ(topics(up.node), "") << "nothing is shown that may not be durable";
}

TEST(ControlPlane, RequestsTimeOutInTheQueueAndInTheCommit) {
  ReadyNode up;
  up.node.held = true;
  const auto ask = [&up](std::string_view name, std::int32_t timeout_ms) {
    kafka::CreateTopicsRequest request;
    std::vector<CreateTopic> topics = {topic(name)};
    request.topics = topics;
    request.timeout_ms = timeout_ms;
    const auto sent = up.node.send(request, 7);
    up.node.run();
    return sent;
  };
  const auto code = [&up](const std::shared_ptr<Sent>& sent) {
    return up.node.response<kafka::CreateTopicsResponse>(*sent).topics[0].error_code;
  };
  const Instant start = up.node.now.instant;
  const auto first = ask("a", 500);
  const auto second = ask("b", 300);
  const auto third = ask("c", 60'000);
  EXPECT_EQ(up.node.plane().next_deadline(), start + milliseconds(300));
  up.node.now.instant = start + milliseconds(500);
  up.node.run();
  EXPECT_EQ(code(first), 7);
  EXPECT_EQ(code(second), 7);
  EXPECT_FALSE(third->answered);
  up.node.held = false;
  up.node.run();
  EXPECT_EQ(code(third), 0);
  EXPECT_EQ(topics(up.node), "a/1 c/1") << "what was on its way to the disk is carried out";
}

TEST(ControlPlane, NoWaitingTimeMeansAnAnswerWhenItIsDone) {
  ReadyNode up;
  kafka::CreateTopicsRequest request;
  std::vector<CreateTopic> topics = {topic("a")};
  request.topics = topics;
  request.timeout_ms = 0;
  const auto response = up.node.ask<kafka::CreateTopicsResponse>(request, 7);
  EXPECT_EQ(response.topics[0].error_code, 0);
}

TEST(ControlPlane, TooManyWaitingRequestsAreRefusedWithAnErrorClientsRetry) {
  Limits limits;
  limits.requests_waiting_max = 2;
  ReadyNode up(limits);
  up.node.held = true;
  std::vector<std::shared_ptr<Sent>> sent;
  for (const char* name : {"a", "b", "c", "d"}) {
    kafka::CreateTopicsRequest request;
    std::vector<CreateTopic> topics = {topic(name)};
    request.topics = topics;
    sent.push_back(up.node.send(request, 7));
    up.node.run();
  }
  EXPECT_EQ(up.node.response<kafka::CreateTopicsResponse>(*sent[3]).topics[0].error_code, 7);
  up.node.held = false;
  up.node.run();
  EXPECT_EQ(topics(up.node), "a/1 b/1 c/1");
}

TEST(ControlPlane, AnswersWaitWhileTooManyImagesAreInUse) {
  Limits limits;
  limits.images_max = 2;
  ReadyNode up(limits);
  up.node.adopts = false;
  EXPECT_EQ(create_one(up.node, topic("a")), "ok") << "the second image";
  kafka::CreateTopicsRequest request;
  std::vector<CreateTopic> topics = {topic("b")};
  request.topics = topics;
  const auto sent = up.node.send(request, 7);
  up.node.run();
  EXPECT_FALSE(sent->answered) << "committed, but it cannot be shown";
  for (bus::CoreId core = 0; core < 2; ++core) up.node.adopt(core, 2);
  up.node.run();
  EXPECT_TRUE(sent->answered);
  EXPECT_NE(up.node.image_at_reply->find_topic("b"), nullptr);
}

TEST(ControlPlane, AReplyIsKeptUntilTheCoreHasSentIt) {
  ReadyNode up;
  kafka::CreateTopicsRequest request;
  std::vector<CreateTopic> topics = {topic("a")};
  request.topics = topics;
  const auto sent = up.node.send(request, 7, 1);
  up.node.run();
  ASSERT_TRUE(sent->answered);
  EXPECT_FALSE(sent->request.reply.empty());
  EXPECT_EQ(up.node.gone_count, 0U);
  up.node.release(sent);
  EXPECT_EQ(up.node.gone_count, 1U);
  EXPECT_TRUE(sent->request.reply.empty());
}

TEST(ControlPlane, RequestsBeforeItIsReadyWaitForIt) {
  test::FakeDisk disk;
  ControlNode node(disk);
  EXPECT_EQ(create_one(node, topic("early")), "ok");
}

TEST(ControlPlane, TellsWhetherAnErrorIsInAReply) {
  ReadyNode up;
  const auto has_error = [&up](const auto& request, std::int16_t version) {
    const auto sent = up.node.send(request, version);
    up.node.run();
    EXPECT_TRUE(sent->answered);
    return sent->request.has_error;
  };
  CreateTopic one = topic("a");
  kafka::CreateTopicsRequest create;
  create.topics = {&one, 1};
  EXPECT_FALSE(has_error(create, 7)) << "after a commit";
  EXPECT_TRUE(has_error(create, 7)) << "it is there already";
  kafka::DescribeQuorumRequest quorum;
  kafka::DescribeQuorumRequest::TopicData::PartitionData partition{.partition_index = 0};
  kafka::DescribeQuorumRequest::TopicData asked{.topic_name = "no.such",
                                                .partitions = {&partition, 1}};
  EXPECT_FALSE(has_error(quorum, 1));
  quorum.topics = {&asked, 1};
  EXPECT_TRUE(has_error(quorum, 1));
}

}  // namespace
}  // namespace tailrace::control
