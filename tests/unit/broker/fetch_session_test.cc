// Stories of fetch sessions (KIP-227).
#include "broker/fetch_session.h"

#include "tests/unit/broker/rig.h"

namespace tailrace::broker {
namespace {

using kafka::FetchRequest;
using kafka::FetchResponse;
using test::build_batch;

class Sessions : public testing::Test {
 protected:
  Sessions() {
    node.images.add_topic("orders", 1, 3);
    node.publish();
    client_ = &node.connect();
  }
  // Fetches partitions (index -> offset) of "orders" in a session.
  test::Parsed<FetchResponse> fetch(std::int32_t id, std::int32_t epoch,
                                    std::vector<std::pair<std::int32_t, std::int64_t>> asked,
                                    std::vector<std::int32_t> forgotten = {},
                                    std::int16_t version = 12) {
    std::vector<FetchRequest::FetchTopic::FetchPartition> partitions;
    for (const auto& [index, offset] : asked) {
      partitions.push_back(
          {.partition = index, .fetch_offset = offset, .partition_max_bytes = 1 << 20});
    }
    FetchRequest::FetchTopic topic{
        .topic = "orders", .topic_id = topic_id(1), .partitions = partitions};
    FetchRequest::ForgottenTopic gone{
        .topic = "orders", .topic_id = topic_id(1), .partitions = forgotten};
    FetchRequest request{.max_wait_ms = 0, .min_bytes = 1, .session_id = id,
                         .session_epoch = epoch};
    if (!asked.empty()) request.topics = {&topic, 1};
    if (!forgotten.empty()) request.forgotten_topics_data = {&gone, 1};
    return client_->call<FetchResponse>(request, version);
  }
  void put(const std::string& value, std::int32_t partition) {
    ProduceMaker produce;
    node.connect().call<kafka::ProduceResponse>(
        produce({.partition = partition}, build_batch({{"k", value}})), 9);
  }
  static std::vector<std::int32_t> told(const FetchResponse& response) {
    std::vector<std::int32_t> indexes;
    for (const auto& topic : response.responses) {
      for (const auto& partition : topic.partitions) indexes.push_back(partition.partition_index);
    }
    return indexes;
  }
  Node node;
  Client* client_ = nullptr;
};

TEST_F(Sessions, OnlyWhatChangedIsToldInASession) {
  const auto first = fetch(0, 0, {{0, 0}, {1, 0}, {2, 0}});
  const std::int32_t id = first->session_id;
  EXPECT_GT(id, 0);
  EXPECT_EQ(told(first.response), (std::vector<std::int32_t>{0, 1, 2}));

  EXPECT_TRUE(told(fetch(id, 1, {}).response).empty());
  put("a", 1);
  const auto news = fetch(id, 2, {});
  EXPECT_EQ(told(news.response), std::vector<std::int32_t>{1});
  EXPECT_EQ(values_of(news.response), std::vector<std::string>{"a"});
  EXPECT_EQ(news->session_id, id);
  // The client went on behind the record; nothing is new.
  EXPECT_TRUE(told(fetch(id, 3, {{1, 1}}).response).empty());
}

TEST_F(Sessions, PartitionsCanBeForgottenAndAdded) {
  const std::int32_t id = fetch(0, 0, {{0, 0}, {1, 0}})->session_id;
  put("a", 0);
  put("b", 2);
  const auto answer = fetch(id, 1, {{2, 0}}, {0});
  EXPECT_EQ(told(answer.response), std::vector<std::int32_t>{2});
}

TEST_F(Sessions, AWrongNumberOrEpochIsRefused) {
  EXPECT_EQ(fetch(77, 5, {})->error_code, 70);
  const std::int32_t id = fetch(0, 0, {{0, 0}})->session_id;
  EXPECT_EQ(fetch(id, 2, {})->error_code, 71);
  EXPECT_EQ(fetch(id, 1, {})->error_code, 0);
}

TEST_F(Sessions, NamesAndIdsDoNotMix) {
  const std::int32_t id = fetch(0, 0, {{0, 0}}, {}, 12)->session_id;
  EXPECT_EQ(fetch(id, 1, {}, {}, 13)->error_code, 106);
  const std::int32_t by_id = fetch(0, 0, {{0, 0}}, {}, 13)->session_id;
  put("a", 0);
  const auto answer = fetch(by_id, 1, {}, {}, 13);
  EXPECT_EQ(values_of(answer.response), std::vector<std::string>{"a"});
  EXPECT_EQ(answer->responses[0].topic_id, topic_id(1));
}

TEST_F(Sessions, EpochMinusOneEndsTheSession) {
  const std::int32_t id = fetch(0, 0, {{0, 0}})->session_id;
  const auto last = fetch(id, -1, {{0, 0}});
  EXPECT_EQ(last->session_id, 0);
  EXPECT_EQ(told(last.response), std::vector<std::int32_t>{0});
  EXPECT_EQ(fetch(id, 1, {})->error_code, 70);
}

TEST_F(Sessions, WithoutASessionAllPartitionsAreTold) {
  for (int i = 0; i < 2; ++i) {
    const auto answer = fetch(0, -1, {{0, 0}, {1, 0}});
    EXPECT_EQ(answer->session_id, 0);
    EXPECT_EQ(told(answer.response).size(), 2u);
  }
}

TEST_F(Sessions, AnErrorIsToldAgainUntilItIsOver) {
  const std::int32_t id = fetch(0, 0, {{0, 5}, {1, 0}})->session_id;
  const auto again = fetch(id, 1, {});
  EXPECT_EQ(told(again.response), std::vector<std::int32_t>{0});
  EXPECT_EQ(only(again.response).error_code, 1);
  EXPECT_EQ(told(fetch(id, 2, {{0, 0}}).response), std::vector<std::int32_t>{0});
  EXPECT_TRUE(told(fetch(id, 3, {}).response).empty());
}

TEST_F(Sessions, ThePartitionThatWasServedComesLastNextTime) {
  const std::int32_t id = fetch(0, 0, {{0, 0}, {1, 0}, {2, 0}})->session_id;
  put("a", 0);
  EXPECT_EQ(told(fetch(id, 1, {}).response), std::vector<std::int32_t>{0});
  put("b", 0);
  put("c", 1);
  EXPECT_EQ(told(fetch(id, 2, {}).response), (std::vector<std::int32_t>{1, 0}));
}

TEST_F(Sessions, WhenAllSlotsAreBusyAClientGoesOnWithoutASession) {
  const std::int32_t oldest = fetch(0, 0, {{0, 0}})->session_id;
  EXPECT_GT(fetch(0, 0, {{0, 0}})->session_id, 0);
  EXPECT_EQ(fetch(0, 0, {{0, 0}})->session_id, 0);  // fetch_sessions_max is 2.
  node.advance(seconds(121));
  EXPECT_GT(fetch(0, 0, {{0, 0}})->session_id, 0);
  EXPECT_EQ(fetch(oldest, 1, {})->error_code, 70);
}

// Such a request can never succeed, so it must not wait for memory: others would wait behind it.
TEST_F(Sessions, ANameThatNoTopicCanHaveEndsTheSessionAndStopsNobody) {
  const std::int32_t id = fetch(0, 0, {{0, 0}})->session_id;
  const std::string name(300, 'x');
  FetchRequest::FetchTopic::FetchPartition partition{.partition = 0};
  FetchRequest::FetchTopic topic{.topic = name, .partitions = {&partition, 1}};
  const auto ended = client_->call<FetchResponse>(
      FetchRequest{.session_id = id, .session_epoch = 1, .topics = {&topic, 1}}, 12);
  EXPECT_EQ(ended->error_code, 70);

  // The client begins anew, and is told about the partition; without a session.
  const auto anew = client_->call<FetchResponse>(
      FetchRequest{.session_epoch = 0, .topics = {&topic, 1}}, 12);
  EXPECT_EQ(anew->session_id, 0);
  EXPECT_EQ(only(anew.response).error_code, 3);

  // Another client's frame, in two parts, needs memory of the queue that must not stand still.
  const std::string big(100 << 10, 'x');
  ProduceMaker produce;
  Client& other = node.connect();
  const auto frame = test::build_request(produce({}, build_batch({{"k", big}})), 9, 1);
  other.send_bytes(Bytes(frame).first(1000));
  other.send_bytes(Bytes(frame).subspan(1000));
  node.settle();
  EXPECT_TRUE(other.take_frame());
}

TEST_F(Sessions, AClientThatFetchesTooManyPartitionsGoesOnWithoutASession) {
  Limits limits = small_limits();
  limits.fetch_session_partitions_max = 2;
  Node small(limits);
  small.images.add_topic("orders", 1, 3);
  small.publish();
  client_ = &small.connect();
  const auto three = fetch(0, 0, {{0, 0}, {1, 0}, {2, 0}});
  EXPECT_EQ(three->session_id, 0);
  EXPECT_EQ(told(three.response).size(), 3u);

  const std::int32_t id = fetch(0, 0, {{0, 0}, {1, 0}})->session_id;
  EXPECT_GT(id, 0);
  EXPECT_EQ(fetch(id, 1, {{2, 0}}, {0})->error_code, 0) << "one for another";
  EXPECT_EQ(fetch(id, 2, {{0, 0}})->error_code, 70) << "it begins anew, without a session";
}

// A consumer that wanders over many topics for months.
TEST_F(Sessions, TopicsThatAreForgottenTakeNoRoom) {
  const std::int32_t id = fetch(0, 0, {{0, 0}})->session_id;
  std::vector<std::string> names(500);
  std::vector<FetchRequest::ForgottenTopic> forgotten;
  std::vector<std::int32_t> zero = {0};
  for (std::int32_t round = 0; round < 16; ++round) {
    std::vector<FetchRequest::FetchTopic> topics;
    FetchRequest::FetchTopic::FetchPartition partition{.partition = 0};
    for (std::size_t i = 0; i < names.size(); ++i) {
      names[i] = "t" + std::to_string(round) + "-" + std::to_string(i);
      topics.push_back({.topic = names[i], .partitions = {&partition, 1}});
    }
    const auto added = client_->call<FetchResponse>(
        FetchRequest{.session_id = id, .session_epoch = 2 * round + 1, .topics = topics}, 12);
    ASSERT_EQ(added->error_code, 0) << round;
    forgotten.clear();
    for (const std::string& name : names) forgotten.push_back({.topic = name, .partitions = zero});
    const auto dropped = client_->call<FetchResponse>(
        FetchRequest{.session_id = id, .session_epoch = 2 * round + 2,
                     .forgotten_topics_data = forgotten}, 12);
    ASSERT_EQ(dropped->error_code, 0) << round;
    ASSERT_TRUE(told(dropped.response).empty());
  }
}

TEST(FetchSessionTable, EpochsWrapToOne) {
  EXPECT_EQ(FetchSessions::next_epoch(1), 2);
  EXPECT_EQ(FetchSessions::next_epoch(INT32_MAX), 1);
}

TEST(FetchSessionTable, ManyPartitionsAndNamesKeepTheirPlaces) {
  MemoryPool memory(4U << 20);
  FetchSessions sessions(small_limits(), 0, memory);
  FetchSession* session = sessions.create({});
  ASSERT_NE(session, nullptr);
  for (int t = 0; t < 40; ++t) {
    const std::uint32_t topic = sessions.add_topic(*session, "topic" + std::to_string(t), {});
    EXPECT_EQ(topic, static_cast<std::uint32_t>(t));
    for (int p = 0; p < 10; ++p) {
      ASSERT_TRUE(sessions.put(*session, {.topic = topic, .partition = p}));
    }
  }
  sessions.forget(*session, "topic7", {}, 3);
  sessions.drop_forgotten(*session);
  EXPECT_EQ(session->partition_count, 399u);
  EXPECT_EQ(sessions.find(*session, 7, 3), nullptr);
  EXPECT_EQ(sessions.find(*session, 7, 4)->partition, 4);
  sessions.remove(*session);
  EXPECT_EQ(memory.used_bytes(), 0u);
}

// As hostile as can be: in each request the last comes first. Without an index this takes minutes.
TEST(FetchSessionTable, TheOrderOfARequestDoesNotMatter) {
  Limits limits = small_limits();
  limits.decode_bytes_max = 64U << 20;
  limits.answer_memory_bytes = 64U << 20;
  limits.fetch_session_partitions_max = 100'000;
  MemoryPool memory(limits.answer_memory_bytes);
  FetchSessions sessions(limits, 0, memory);
  FetchSession* session = sessions.create({});
  ASSERT_NE(session, nullptr);
  const std::uint32_t topic = sessions.add_topic(*session, "orders", {});
  for (int p = 100'000; p > 0; --p) {
    ASSERT_TRUE(sessions.put(*session, {.topic = topic, .partition = p}));
  }
  EXPECT_FALSE(sessions.put(*session, {.topic = topic, .partition = 0}));
  for (int p = 1; p < 100'000; ++p) sessions.forget(*session, "orders", {}, p);
  sessions.drop_forgotten(*session);
  ASSERT_EQ(session->partition_count, 1u);
  EXPECT_EQ(session->partitions()[0].partition, 100'000);
}

TEST(FetchSessionTable, AllSessionsTogetherLeaveMemoryForAnswers) {
  Limits limits = small_limits();
  limits.fetch_sessions_max = 1000;
  MemoryPool memory(limits.answer_memory_bytes);
  FetchSessions sessions(limits, 0, memory);
  std::size_t refused = 0;
  for (int i = 0; i < 1000; ++i) {
    FetchSession* session = sessions.create({});
    ASSERT_NE(session, nullptr);
    const std::uint32_t topic = sessions.add_topic(*session, "orders", {});
    bool is_whole = topic != UINT32_MAX;
    for (int p = 0; is_whole && p < 100; ++p) {
      is_whole = sessions.put(*session, {.topic = topic, .partition = p});
    }
    if (is_whole) continue;
    sessions.remove(*session);
    ++refused;
  }
  EXPECT_GT(refused, 0u);
  EXPECT_LE(memory.used_bytes(), limits.answer_memory_bytes / 4);

  // Who comes later gets the room of those that have been idle for long.
  const Now later{.instant = {seconds(121).ns}, .wall_ms = 0};
  FetchSession* session = sessions.create(later);
  ASSERT_NE(session, nullptr);
  EXPECT_NE(sessions.add_topic(*session, "orders", {}), UINT32_MAX);
}

}  // namespace
}  // namespace tailrace::broker
