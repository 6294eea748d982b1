// Stories of reads: cold ones, and watches that see data, time and epochs.
#include "tests/unit/broker/stories.h"

namespace tailrace::broker {
namespace {

using kafka::FetchResponse;
using test::build_batch;
using Values = std::vector<std::string>;

class Reads : public FetchStory {};

TEST_F(Reads, OldDataComesFromTheDisk) {
  for (int i = 0; i < 120; ++i) put(std::string(20'000, 'x') + std::to_string(i));
  std::int64_t offset = 0;
  for (int round = 0; round < 200 && offset < 120; ++round) {
    const auto answer = fetch({.offset = offset, .partition_max_bytes = 100'000});
    const auto records = test::read_records(only(answer.response).records.value);
    ASSERT_FALSE(records.empty()) << offset << " error " << only(answer.response).error_code;
    for (const auto& record : records) {
      ASSERT_EQ(record.value, std::string(20'000, 'x') + std::to_string(record.offset));
    }
    offset = records.back().offset + 1;
  }
  EXPECT_EQ(offset, 120);
  EXPECT_GT(node.log().counters().cold_reads.load(), 0u);
}

TEST_F(Reads, ADivergingEpochIsTold) {
  put("a");
  put("b");
  const auto agrees = fetch({.offset = 2, .max_wait_ms = 0, .last_fetched_epoch = 3});
  EXPECT_EQ(only(agrees.response).diverging_epoch.epoch, -1);
  // The client has records of an epoch that is not in this log.
  const auto answer = fetch({.offset = 2, .last_fetched_epoch = 5});
  EXPECT_EQ(only(answer.response).error_code, 0);
  EXPECT_EQ(only(answer.response).diverging_epoch.epoch, 3);
  EXPECT_EQ(only(answer.response).diverging_epoch.end_offset, 2);
}

TEST_F(Reads, MinBytesWaitsForMore) {
  const std::size_t batch_bytes = build_batch({{"k", "a"}}).size();
  put("a");
  const auto wanted = static_cast<std::int32_t>(2 * batch_bytes);
  reader().send(make({.max_wait_ms = 1000, .min_bytes = wanted}), 11);
  node.settle();
  EXPECT_FALSE(reader().take_frame());
  put("b");
  auto frame = reader().take_frame();
  ASSERT_TRUE(frame);
  EXPECT_EQ(values_of(test::parse_response<FetchResponse>(*frame, 11).response),
            (Values{"a", "b"}));
}

}  // namespace
}  // namespace tailrace::broker
