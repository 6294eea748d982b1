// Stories of quotas: clients that are over theirs are told to wait, and are not read meanwhile.
#include "broker/quotas.h"

#include "kafka/gen/list_offsets.h"
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using bus::QuotaKind;
using bus::QuotaPart;

std::shared_ptr<const bus::ClientQuotas> quotas(QuotaKind kind, double limit,
                                                const std::string& client = "test") {
  auto made = std::make_shared<bus::ClientQuotas>();
  bus::ClientQuota quota{.client_part = QuotaPart::named, .client = client};
  quota.limits[static_cast<std::size_t>(kind)] = limit;
  made->all = {quota};
  made->has_kind[static_cast<std::size_t>(kind)] = true;
  return made;
}

class Quota : public testing::Test {
 protected:
  explicit Quota(std::uint16_t cores = 1) : node(small_limits(cores)) {
    node.images.add_topic("orders", 1, 2, cores);
    node.publish();
    client = &node.connect();
  }
  void set(QuotaKind kind, double limit, const std::string& name = "test") {
    node.images.base().quotas = quotas(kind, limit, name);
    node.publish();
  }
  // A produce request of about so many bytes; the time to wait in its answer.
  std::int32_t produce(std::size_t bytes, Client* from = nullptr) {
    const auto batch = test::build_batch({{"k", std::string(bytes, 'x')}});
    const auto answer = (from == nullptr ? client : from)
                            ->call<kafka::ProduceResponse>(make_produce({}, batch), 9);
    EXPECT_EQ(only(answer.response).error_code, 0);
    return answer->throttle_time_ms;
  }
  struct Fetched {
    std::int32_t throttle_ms;
    std::size_t records;
    std::size_t topics;
  };
  Fetched fetch(std::int64_t offset = 0) {
    const auto answer =
        client->call<kafka::FetchResponse>(make_fetch({.offset = offset, .max_wait_ms = 0}), 12);
    EXPECT_EQ(answer->error_code, 0);
    return {answer->throttle_time_ms, values_of(answer.response).size(),
            answer->responses.size()};
  }
  bool answers_now(Client& from) {
    from.send(hello, 3);
    node.settle();
    return from.take_frame().has_value();
  }
  Node node;
  ProduceMaker make_produce;
  FetchMaker make_fetch;
  Client* client;
};

TEST_F(Quota, AProducerIsToldToWaitAndNotReadMeanwhile) {
  set(QuotaKind::produce, 10'000);
  EXPECT_EQ(produce(9'000), 0) << "a second's worth at once";
  const std::int32_t wait_ms = produce(9'000);
  EXPECT_GT(wait_ms, 780);
  EXPECT_LT(wait_ms, 880);
  client->send(hello, 3);
  node.advance(milliseconds(wait_ms - 2));
  EXPECT_FALSE(client->take_frame()) << "muted";
  EXPECT_TRUE(client->is_paused);
  node.advance(milliseconds(2));
  EXPECT_TRUE(client->take_frame()) << "read again";
  EXPECT_FALSE(client->is_paused);
}

TEST_F(Quota, TheRateHoldsOverTime) {
  set(QuotaKind::produce, 10'000);
  std::size_t sent = 0;
  const Instant begun = node.now.instant;
  while (node.now.instant < begun + seconds(60)) {
    const std::int32_t wait_ms = produce(3'000);
    sent += 3'000;
    node.advance(milliseconds(std::max(wait_ms, 1)));
  }
  EXPECT_GT(sent, 570'000u) << "records without what is around them";
  EXPECT_LT(sent, 615'000u);
}

TEST_F(Quota, OthersAreNotConcerned) {
  set(QuotaKind::produce, 100, "somebody else");
  EXPECT_EQ(produce(9'000), 0);
  EXPECT_EQ(produce(9'000), 0);
}

TEST_F(Quota, AllConnectionsOfAClientAreCountedTogether) {
  set(QuotaKind::produce, 10'000);
  Client& other = node.connect();
  EXPECT_EQ(produce(9'000), 0);
  EXPECT_GT(produce(9'000, &other), 700);
  EXPECT_TRUE(answers_now(*client)) << "only the one that was told";
  EXPECT_FALSE(answers_now(other));
}

TEST_F(Quota, AFetchOverItsQuotaIsAnsweredEmpty) {
  for (int i = 0; i < 5; ++i) produce(5'000);
  set(QuotaKind::fetch, 4'000);
  EXPECT_EQ(fetch(0).records, 1u) << "one batch always, and no more than a second's worth";
  const Fetched over = fetch(1);
  EXPECT_EQ(over.records, 0u);
  EXPECT_EQ(over.topics, 0u);
  EXPECT_GT(over.throttle_ms, 200);
  EXPECT_FALSE(answers_now(*client));
  node.advance(milliseconds(over.throttle_ms));
  EXPECT_TRUE(client->take_frame());
  EXPECT_EQ(fetch(1).records, 1u);
}

TEST_F(Quota, AThrottledFetchKeepsItsSession) {
  produce(5'000);
  set(QuotaKind::fetch, 1'000);
  auto& request = make_fetch({.max_wait_ms = 0});
  request.session_epoch = 0;
  const auto first = client->call<kafka::FetchResponse>(request, 12);
  const std::int32_t session = first->session_id;
  ASSERT_GT(session, 0);
  request.session_id = session;
  request.session_epoch = 1;
  request.topics = {};
  const auto throttled = client->call<kafka::FetchResponse>(request, 12);
  EXPECT_EQ(throttled->error_code, 0);
  EXPECT_EQ(throttled->session_id, session);
  EXPECT_GT(throttled->throttle_time_ms, 3'000);
  node.advance(milliseconds(throttled->throttle_time_ms));
  request.session_epoch = 2;
  EXPECT_EQ(client->call<kafka::FetchResponse>(request, 12)->error_code, 0);
  // A full fetch makes none while it is throttled.
  request.session_id = 0;
  request.session_epoch = 0;
  auto& full = make_fetch({.max_wait_ms = 0});
  full.session_epoch = 0;
  client = &node.connect();
  const auto none = client->call<kafka::FetchResponse>(full, 12);
  EXPECT_GT(none->throttle_time_ms, 0);
  EXPECT_EQ(none->session_id, 0);
}

TEST_F(Quota, TimeOnTheCoreIsSharedByWhoUsedIt) {
  set(QuotaKind::request, 10);  // Of a core: 100 ms a second.
  Client& other = node.connect();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(answers_now(*client));
    node.advance(milliseconds(60));  // So long the turn with the request took.
  }
  node.advance(milliseconds(100));  // It had been told to wait for less.
  const auto answer = client->call<kafka::ApiVersionsResponse>(hello, 3);
  EXPECT_GT(answer->throttle_time_ms, 300);
  EXPECT_LE(answer->throttle_time_ms, 1000);
  EXPECT_TRUE(answers_now(other)) << "at once, and told the same";
  EXPECT_FALSE(answers_now(other));
}

TEST_F(Quota, AChangeOfQuotasEndsTheWait) {
  set(QuotaKind::produce, 10);
  EXPECT_GT(produce(9'000), 100'000);
  EXPECT_FALSE(answers_now(*client));
  node.images.base().quotas = nullptr;
  node.publish();
  EXPECT_TRUE(client->take_frame());
  EXPECT_EQ(produce(9'000), 0);
}

TEST_F(Quota, AMutedConnectionMayClose) {
  set(QuotaKind::produce, 10);
  EXPECT_GT(produce(9'000), 100'000);
  client->send(hello, 3);
  node.settle();
  node.hang_up(*client);
  node.advance(seconds(1'000));
  client = &node.connect();
  EXPECT_TRUE(answers_now(*client));
  EXPECT_EQ(node.brokers[0]->counters().throttled.load(), 1u);
}

TEST_F(Quota, AMutedConnectionIsNotIdle) {
  set(QuotaKind::produce, 1);
  EXPECT_GT(produce(9'000), 1'000'000);
  node.advance(seconds(601));
  EXPECT_FALSE(client->is_closed);
}

TEST_F(Quota, WhatControlFindsIsToldAndMutesAsWell) {
  client->send(kafka::ListOffsetsRequest{}, 5);  // Something that is not for control goes first.
  node.settle();
  ASSERT_TRUE(client->take_frame());
  client->send_bytes(test::build_raw_request(20, 1, client->next_correlation(), Bytes{}));
  node.settle();
  ASSERT_EQ(node.control_inbox.size(), 1u);
  node.control_inbox.front()->throttle_ms = 700;
  node.reply_to_control({});
  node.settle();
  EXPECT_TRUE(client->received.take()) << "answered at once";
  client->send(hello, 3);
  node.settle();
  EXPECT_FALSE(client->received.take());
  node.advance(milliseconds(700));
  EXPECT_TRUE(client->received.take());
}

class TwoCoreQuota : public Quota {
 protected:
  TwoCoreQuota() : Quota(2) {}
};

TEST_F(TwoCoreQuota, WhatOneCoreUsedTheOtherKnowsSoon) {
  set(QuotaKind::produce, 10'000);
  Client& other = node.connect(1);
  EXPECT_EQ(produce(9'000), 0);
  node.advance(milliseconds(100));
  const std::int32_t wait_ms = produce(9'000, &other);
  EXPECT_GT(wait_ms, 650) << "a second's worth for both";
  EXPECT_LT(wait_ms, 850);
}

TEST_F(TwoCoreQuota, TheRateHoldsForBothTogether) {
  set(QuotaKind::produce, 10'000);
  std::array<Client*, 2> clients = {client, &node.connect(1)};
  std::array<Instant, 2> free_at = {node.now.instant, node.now.instant};
  std::size_t sent = 0;
  const Instant begun = node.now.instant;
  while (node.now.instant < begun + seconds(60)) {
    for (std::size_t i = 0; i < 2; ++i) {
      if (node.now.instant < free_at[i]) continue;
      free_at[i] = node.now.instant + milliseconds(produce(1'000, clients[i]));
      sent += 1'000;
    }
    node.advance(milliseconds(20));
  }
  EXPECT_GT(sent, 500'000u);
  EXPECT_LT(sent, 615'000u);
}

// Twice as many clients as there is room for: none waits for ever, the table stays as it is.
TEST(QuotaTable, ForgetsWhoWasCountedLongestAgo) {
  Limits limits = small_limits();
  limits.quota_accounts_max = 4;
  Quotas table(limits, 0);
  bus::MetadataImage image;
  image.quotas = quotas(QuotaKind::produce, 10);
  EXPECT_TRUE(table.adopt(image));
  EXPECT_FALSE(table.adopt(image));
  const Instant now{1'000'000'000};
  for (std::uint64_t account = 0; account < 8; ++account) {
    table.take({10, account}, 100, now);
  }
  EXPECT_EQ(table.wait_ms({10, 7}, 0, now), 9000u);
  EXPECT_EQ(table.wait_ms({10, 0}, 0, now), 0u);
}

TEST(QuotaReports, GoToOthersOnceAndComeBack) {
  Quotas table(small_limits(3), 0);
  const Instant now{1'000'000'000};
  EXPECT_EQ(table.take_report(now), nullptr);
  EXPECT_EQ(table.next_deadline(), never());
  table.take({10, 1}, 5, now);
  table.take({10, 1}, 6, now);
  const bus::QuotaReport* report = table.take_report(now);
  ASSERT_NE(report, nullptr);
  ASSERT_EQ(report->uses.size(), 1u);
  EXPECT_EQ(report->uses[0].used, 11);
  table.take({10, 1}, 1, now);
  EXPECT_EQ(table.take_report(now + seconds(1)), nullptr) << "the last is not home";
  EXPECT_EQ(table.next_deadline(), never());
  table.report_back();
  table.report_back();
  EXPECT_EQ(table.next_deadline(), now + milliseconds(100));
  EXPECT_EQ(table.take_report(now + milliseconds(50)), nullptr) << "ten times a second";
  EXPECT_NE(table.take_report(now + milliseconds(100)), nullptr);
}

}  // namespace
}  // namespace tailrace::broker
