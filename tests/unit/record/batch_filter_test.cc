#include "record/batch_filter.h"

#include <gtest/gtest.h>

#include <string>

#include "record/batch_builder.h"

namespace tailrace::record {
namespace {

constexpr std::int64_t base = 1000;

struct FilterTest : testing::Test {
  BatchChecker checker{1 << 20};
  BatchFilter filter{checker, 1 << 20};

  static std::vector<std::byte> batch_of(int count, Codec codec, std::int16_t attributes = 0) {
    BatchBuilder builder(1 << 20);
    BatchHeader header;
    header.base_offset = base;
    header.leader_epoch = 7;
    header.attributes = attributes;
    header.producer_id = 5;
    header.producer_epoch = 1;
    header.base_sequence = 40;
    builder.start(header);
    for (int i = 0; i < count; ++i) {
      const std::string key = "key" + std::to_string(i);
      const std::string value(static_cast<std::size_t>(10 + i), static_cast<char>('a' + i % 26));
      const NewHeader note{"note", "text"};
      NewRecord record{.timestamp = 5000 + (i * 7) % 10, .key = std::string_view(key),
                       .value = std::string_view(value)};
      if (i % 3 == 0) record.headers = {&note, 1};
      if (i % 4 == 1) record.value = nullptr;
      if (i % 5 == 4) record.key = nullptr;
      EXPECT_TRUE(builder.add(record));
    }
    const Result<Bytes> made = builder.finish(codec);
    return {made->begin(), made->end()};
  }
  static std::vector<std::string> keys_of(BatchChecker& checker, Bytes bytes) {
    std::vector<std::string> keys;
    BatchFilter other(checker, 1 << 20);
    const auto looked = other.look(*parse_batch(bytes), [&](const BatchFilter::Seen& seen) {
      keys.push_back(std::to_string(seen.offset) + (seen.has_value ? "=" : "-") +
                     (seen.has_key ? std::string(reinterpret_cast<const char*>(seen.key.data()),
                                                 seen.key.size())
                                   : "none"));
      return true;
    });
    EXPECT_TRUE(looked);
    return keys;
  }
};

TEST_F(FilterTest, WhatIsKeptIsAsItWas) {
  for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const auto bytes = batch_of(20, codec);
    const BatchView batch = *parse_batch(bytes);
    const auto kept = filter.filter(batch, 0, [](const BatchFilter::Seen& seen) {
      return seen.offset % 7 == 2;
    });
    ASSERT_TRUE(kept);
    const std::vector<std::byte> made(kept->batch.begin(), kept->batch.end());
    const BatchView after = *parse_batch(made);
    EXPECT_EQ(after.bytes.size(), made.size());
    EXPECT_TRUE(crc_matches(made));
    EXPECT_EQ(after.header.codec_bits(), batch.header.codec_bits());
    EXPECT_EQ(after.header.base_offset, base);
    EXPECT_EQ(after.header.last_offset(), base + 19);
    EXPECT_EQ(after.header.base_sequence, 40);
    EXPECT_EQ(after.header.last_sequence(), 59);
    EXPECT_EQ(after.header.leader_epoch, 7);
    EXPECT_EQ(after.header.base_timestamp, batch.header.base_timestamp);
    EXPECT_EQ(after.header.record_count, 3);
    EXPECT_EQ(kept->record_count, 3);
    // Records 3, 10 and 17 (1003 = 7 * 143 + 2); the last two have timestamps 5000 and 5009.
    EXPECT_EQ(keys_of(checker, made),
              (std::vector<std::string>{"1003=key3", "1010=key10", "1017-key17"}));
    EXPECT_EQ(after.header.max_timestamp, 5009);
    EXPECT_EQ(kept->newest.offset, 1017);
    EXPECT_EQ(kept->newest.timestamp, 5009);
    EXPECT_EQ(checker.find_timestamp(after, 5009)->offset, 1017);
  }
}

TEST_F(FilterTest, KeysAndValuesAreSeen) {
  const auto bytes = batch_of(6, Codec::zstd);
  EXPECT_EQ(keys_of(checker, bytes),
            (std::vector<std::string>{"1000=key0", "1001-key1", "1002=key2", "1003=key3",
                                      "1004=none", "1005-key5"}));
}

TEST_F(FilterTest, ABatchThatLosesNothingIsTheSame) {
  const auto bytes = batch_of(5, Codec::gzip);
  const auto kept = filter.filter(*parse_batch(bytes), 0, [](const auto&) { return true; });
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->batch.data(), bytes.data());
  EXPECT_EQ(kept->batch.size(), bytes.size());
  EXPECT_EQ(kept->record_count, 5);
}

TEST_F(FilterTest, NothingLeftIsNoBatch) {
  const auto bytes = batch_of(5, Codec::none);
  const auto kept = filter.filter(*parse_batch(bytes), 0, [](const auto&) { return false; });
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->batch.empty());
  EXPECT_EQ(kept->record_count, 0);
}

TEST_F(FilterTest, ABatchThatWasFilteredCanBeFilteredAgain) {
  const auto bytes = batch_of(20, Codec::lz4);
  const auto once = filter.filter(*parse_batch(bytes), 0, [](const BatchFilter::Seen& seen) {
    return seen.offset % 2 == 0;
  });
  const std::vector<std::byte> half(once->batch.begin(), once->batch.end());
  const auto twice = filter.filter(*parse_batch(half), 0, [](const BatchFilter::Seen& seen) {
    return seen.offset % 4 == 0;
  });
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->record_count, 5);
  EXPECT_EQ(parse_batch(twice->batch)->header.last_offset(), base + 19);
}

TEST_F(FilterTest, WithLogAppendTimeTheTimeOfTheBatchStays) {
  auto bytes = batch_of(20, Codec::none);
  set_log_append_time(bytes, 9999);
  const auto kept = filter.filter(*parse_batch(bytes), 0, [](const BatchFilter::Seen& seen) {
    return seen.offset >= base + 3;
  });
  ASSERT_TRUE(kept);
  EXPECT_EQ(parse_batch(kept->batch)->header.max_timestamp, 9999);
  EXPECT_EQ(kept->newest.timestamp, 9999);
  EXPECT_EQ(kept->newest.offset, base + 3);
}

TEST_F(FilterTest, LookingMayEndEarly) {
  const auto bytes = batch_of(20, Codec::none);
  int count = 0;
  EXPECT_TRUE(filter.look(*parse_batch(bytes), [&](const auto&) { return ++count < 3; }));
  EXPECT_EQ(count, 3);
}

TEST_F(FilterTest, NonsenseIsRefused) {
  // Offsets that go back or beyond the batch's last.
  auto bytes = batch_of(3, Codec::none);
  BatchHeader header = *parse_header(bytes);
  header.last_offset_delta = 1;
  store_header(bytes, header);
  EXPECT_EQ(filter.look(*parse_batch(bytes), [](const auto&) { return true; }).error().code,
            Errc::malformed);
  // More records than there are, and fewer.
  header.last_offset_delta = 5;
  for (const std::int32_t count : {2, 4}) {
    header.record_count = count;
    store_header(bytes, header);
    EXPECT_FALSE(filter.filter(*parse_batch(bytes), 0, [](const auto&) { return true; }));
  }
  // Compressed nonsense.
  header.record_count = 3;
  header.attributes = static_cast<std::int16_t>(Codec::zstd);
  store_header(bytes, header);
  EXPECT_FALSE(filter.filter(*parse_batch(bytes), 0, [](const auto&) { return true; }));
}

TEST_F(FilterTest, WhatBecomesLargerThanABatchMayBeIsNotMade) {
  BatchFilter small(checker, 100);
  const auto bytes = batch_of(20, Codec::none);
  const auto kept = small.filter(*parse_batch(bytes), 0, [](const BatchFilter::Seen& seen) {
    return seen.offset != base;
  });
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, Errc::too_large);
}

TEST_F(FilterTest, AnEmptyBatchKeepsOffsetsAndSequences) {
  const auto bytes = batch_of(20, Codec::zstd, transactional_bit);
  std::vector<std::byte> empty(header_bytes);
  store_empty_batch(empty, *parse_header(bytes));
  const Result<BatchView> view = parse_batch(empty);
  ASSERT_TRUE(view);
  EXPECT_TRUE(crc_matches(empty));
  EXPECT_EQ(view->header.record_count, 0);
  EXPECT_EQ(view->header.base_offset, base);
  EXPECT_EQ(view->header.last_offset(), base + 19);
  EXPECT_EQ(view->header.last_sequence(), 59);
  EXPECT_EQ(view->header.codec_bits(), 0);
  EXPECT_TRUE(view->header.is_transactional());
  EXPECT_TRUE(keys_of(checker, empty).empty());
}

TEST_F(FilterTest, PieceByPieceItIsTheSame) {
  for (const Codec codec : {Codec::none, Codec::lz4}) {
    const auto bytes = batch_of(40, codec);
    const BatchView batch = *parse_batch(bytes);
    const auto keeps = [](const BatchFilter::Seen& seen) { return seen.offset % 3 == 0; };
    const auto whole = filter.filter(batch, 0, keeps);
    ASSERT_TRUE(whole);
    const std::vector<std::byte> expected(whole->batch.begin(), whole->batch.end());
    BatchChecker other_checker(1 << 20);
    BatchFilter other(other_checker, 1 << 20);
    int pieces = 1;
    while (true) {
      const Result<bool> done = other.filter_on(batch, 50, keeps);
      ASSERT_TRUE(done);
      if (*done) break;
      ++pieces;
      // Whoever else uses the checker meanwhile changes nothing.
      ASSERT_TRUE(other_checker.plain_records(*parse_batch(expected)));
    }
    // One that is compressed lies in the checker's memory: it is gone through at once.
    EXPECT_EQ(pieces > 5, codec == Codec::none);
    const auto made = other.remake(batch, 0);
    ASSERT_TRUE(made);
    EXPECT_TRUE(std::equal(made->batch.begin(), made->batch.end(), expected.begin(),
                           expected.end()));
    EXPECT_EQ(made->newest.offset, whole->newest.offset);
  }
}

TEST_F(FilterTest, AfterACancelItBeginsAnew) {
  const auto bytes = batch_of(40, Codec::none);
  int seen = 0;
  const auto count = [&](const BatchFilter::Seen&) { return ++seen > 0; };
  EXPECT_FALSE(*filter.look_on(*parse_batch(bytes), 50, count));
  EXPECT_LT(seen, 40);
  filter.cancel();
  seen = 0;
  EXPECT_TRUE(filter.look(*parse_batch(bytes), count));
  EXPECT_EQ(seen, 40);
}

}  // namespace
}  // namespace tailrace::record
