// Stories of readers of committed records.
#include "kafka/gen/list_offsets.h"
#include "tests/unit/broker/transaction_story.h"

namespace tailrace::broker {
namespace {

using kafka::ErrorCode;
using kafka::FetchResponse;
using Values = std::vector<std::string>;

class Committed : public TransactionStory {
 protected:
  explicit Committed(std::uint16_t core_count = 1)
      : TransactionStory(core_count), writer(node.connect()), reader(node.connect()) {}

  // One batch of a transaction, which is opened if need be.
  void put(std::int64_t producer, const std::string& value, std::int32_t partition = 0) {
    const std::int32_t sequence = next_sequence_[{producer, partition}]++;
    send(writer, {.producer = producer, .sequence = sequence, .partition = partition,
                  .value = value});
    if (!node.control_inbox.empty()) answer(ErrorCode::none);
    ASSERT_EQ(take_error(writer), 0);
  }
  struct Fetched {
    Values values;            // with those of aborted transactions and markers
    std::vector<std::pair<std::int64_t, std::int64_t>> aborted;
    bool has_list = false;
    std::int64_t stable_end = -1;
    std::int64_t high_watermark = -1;
    int error = -1;
  };
  Fetched read(const FetchResponse& response) {
    Fetched found;
    const auto& partition = only(response);
    found.values = values_of(response);
    found.has_list = !partition.aborted_transactions.is_null();
    for (const auto& one : partition.aborted_transactions.items) {
      found.aborted.emplace_back(one.producer_id, one.first_offset);
    }
    found.stable_end = partition.last_stable_offset;
    found.high_watermark = partition.high_watermark;
    found.error = partition.error_code;
    return found;
  }
  Fetched fetch(FetchOne ask = {}) {
    const auto answer = reader.call<FetchResponse>(make_(ask), 12);
    return read(answer.response);
  }
  Fetched fetch_committed(std::int64_t offset = 0, std::int32_t partition = 0,
                          std::int32_t max_bytes = 1 << 20) {
    return fetch({.partition = partition, .offset = offset, .max_wait_ms = 0,
                  .max_bytes = max_bytes, .isolation_level = 1});
  }

  Client& writer;
  Client& reader;
  FetchMaker make_;

 private:
  std::map<std::pair<std::int64_t, std::int32_t>, std::int32_t> next_sequence_;
};

TEST_F(Committed, NothingOfAnOpenTransactionIsRead) {
  put(alice, "a");
  const Fetched committed = fetch_committed();
  EXPECT_EQ(committed.values, Values{});
  EXPECT_EQ(committed.stable_end, 0);
  EXPECT_EQ(committed.high_watermark, 1);
  EXPECT_EQ(committed.error, 0);
  EXPECT_TRUE(committed.has_list);
  const Fetched all = fetch({.max_wait_ms = 0});
  EXPECT_EQ(all.values, Values{"a"});
  EXPECT_EQ(all.stable_end, 0);
  EXPECT_FALSE(all.has_list);
}

TEST_F(Committed, ACommittedOneIsReadWithoutAList) {
  put(alice, "a");
  put(alice, "b");
  end(alice, true);
  const Fetched committed = fetch_committed();
  EXPECT_EQ(Values(committed.values.begin(), committed.values.begin() + 2), (Values{"a", "b"}));
  EXPECT_TRUE(committed.has_list);
  EXPECT_TRUE(committed.aborted.empty());
  EXPECT_EQ(committed.stable_end, 3);
}

TEST_F(Committed, WhatWasAbortedIsToldForWhatIsRead) {
  put(alice, "a");       // 0
  put(bob, "b");         // 1
  end(bob, false);       // 2
  put(bob, "c");         // 3
  end(alice, false);     // 4
  end(bob, true);        // 5
  put(bob, "d");         // 6
  end(bob, false);       // 7
  using Told = std::vector<std::pair<std::int64_t, std::int64_t>>;
  EXPECT_EQ(fetch_committed().aborted, (Told{{alice, 0}, {bob, 1}, {bob, 6}}));
  EXPECT_EQ(fetch_committed(3).aborted, (Told{{alice, 0}, {bob, 6}}));
  EXPECT_EQ(fetch_committed(5).aborted, (Told{{bob, 6}}));
  // A small fetch is told of what it got alone.
  EXPECT_EQ(fetch_committed(0, 0, 10).aborted, (Told{{alice, 0}}));
  EXPECT_EQ(fetch_committed(8).aborted, Told{});
}

TEST_F(Committed, ReadersBetweenTheStableEndAndTheDurableOneWait) {
  put(alice, "a");
  put(alice, "b");
  EXPECT_EQ(fetch_committed(1).error, 0);
  EXPECT_EQ(fetch_committed(2).error, 0);
  EXPECT_EQ(fetch_committed(3).error, 1);
}

TEST_F(Committed, ALongFetchEndsWithTheMarkerAndNotWithTheRecords) {
  reader.send(make_({.max_wait_ms = 10'000, .isolation_level = 1}), 12);
  node.settle();
  put(alice, "a");
  EXPECT_FALSE(reader.take_frame());
  end(alice, true);
  auto frame = reader.take_frame();
  ASSERT_TRUE(frame);
  const auto answer = test::parse_response<FetchResponse>(*frame, 12);
  EXPECT_EQ(values_of(answer.response)[0], "a");
}

TEST_F(Committed, ASessionTellsWhenTheStableEndMoves) {
  put(alice, "a");
  kafka::FetchRequest request = make_({.offset = 1, .max_wait_ms = 0, .isolation_level = 1});
  request.session_epoch = 0;
  const auto first = reader.call<FetchResponse>(request, 12);
  const std::int32_t session = first->session_id;
  ASSERT_NE(session, 0);
  kafka::FetchRequest next{.max_wait_ms = 0, .min_bytes = 1, .max_bytes = 1 << 20,
                           .isolation_level = 1, .session_id = session, .session_epoch = 1};
  EXPECT_TRUE(reader.call<FetchResponse>(next, 12)->responses.empty());
  end(alice, true);
  next.session_epoch = 2;
  const auto told = reader.call<FetchResponse>(next, 12);
  ASSERT_EQ(told->responses.size(), 1u);
  EXPECT_EQ(only(told.response).last_stable_offset, 2);
}

TEST_F(Committed, TheNewestOffsetIsTheStableEnd) {
  put(alice, "a");
  end(alice, true);
  put(alice, "b");
  const auto list = [&](std::int64_t timestamp, std::int8_t isolation_level) {
    using Asked = kafka::ListOffsetsRequest;
    Asked::ListOffsetsTopic::ListOffsetsPartition partition{.timestamp = timestamp};
    Asked::ListOffsetsTopic topic{.name = "orders", .partitions = {&partition, 1}};
    const auto answer = reader.call<kafka::ListOffsetsResponse>(
        Asked{.isolation_level = isolation_level, .topics = {&topic, 1}}, 7);
    return answer->topics[0].partitions[0].offset;
  };
  EXPECT_EQ(list(-1, 0), 3);
  EXPECT_EQ(list(-1, 1), 2);
  EXPECT_EQ(list(-2, 1), 0);
  EXPECT_EQ(list(0, 1), 0);
  node.advance(seconds(1));
  put(alice, "c");
  EXPECT_EQ(list(node.now.wall_ms, 0), 3);
  EXPECT_EQ(list(node.now.wall_ms, 1), -1);
  EXPECT_EQ(list(-3, 0), 3);
  EXPECT_EQ(list(-3, 1), -1);
}

class CommittedCores : public Committed {
 protected:
  CommittedCores() : Committed(3) {}
};

TEST_F(CommittedCores, AnotherCoreTellsWhatWasAborted) {
  for (const std::int32_t partition : {1, 2}) {
    put(alice, "a", partition);
    put(bob, "b", partition);
    end(alice, false, partition);
    end(bob, true, partition);
    const Fetched found = fetch_committed(0, partition);
    ASSERT_EQ(found.aborted.size(), 1u);
    EXPECT_EQ(found.aborted[0].first, alice);
    EXPECT_EQ(found.stable_end, 4);
  }
}

// From the disk as from memory.
TEST_F(Committed, WhatIsReadFromTheDiskHasItsListToo) {
  put(alice, "a");
  end(alice, false);
  const std::string large(20'000, 'x');
  for (int i = 0; i < 100; ++i) {
    put(bob, large);
    node.advance(seconds(1));
  }
  end(bob, true);
  const std::uint64_t cold_before = node.log().counters().cold_reads.load();
  const Fetched found = fetch_committed();
  EXPECT_GT(node.log().counters().cold_reads.load(), cold_before);
  EXPECT_EQ(found.values[0], "a");
  ASSERT_FALSE(found.aborted.empty());
  EXPECT_EQ(found.aborted[0].first, alice);
}

}  // namespace
}  // namespace tailrace::broker
