#include "record/batch_check.h"

#include <gtest/gtest.h>

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "record/batch_builder.h"

namespace tailrace::record {
namespace {

constexpr std::size_t decompressed_bytes_max = 1 << 20;
constexpr std::int64_t wall_ms = 1'700'000'000'000;
constexpr Codec all_codecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};

class BatchCheck : public ::testing::TestWithParam<Codec> {
 protected:
  // A batch of the records at these timestamps, without keys, as the header says.
  BatchView make(const std::vector<std::int64_t>& timestamps, const BatchHeader& header = {}) {
    builder_.start(header);
    for (const std::int64_t timestamp : timestamps) {
      EXPECT_TRUE(builder_.add({.timestamp = timestamp, .value = "some value"}));
    }
    return copy_of(*builder_.finish(GetParam()));
  }

  // The batch changed in its header and sealed anew.
  BatchView changed(BatchView batch, const std::function<void(BatchHeader&)>& change) {
    change(batch.header);
    std::vector<std::byte>& bytes = kept_.emplace_back(batch.bytes.begin(), batch.bytes.end());
    store_header(bytes, batch.header);
    seal_crc(bytes);
    return {batch.header, bytes};
  }

  // A batch whose records are these bytes.
  BatchView of_records(const std::vector<std::uint8_t>& records, std::int32_t count) {
    const Bytes plain{reinterpret_cast<const std::byte*>(records.data()), records.size()};
    std::vector<std::byte> bytes(header_bytes + Encoder::bound(plain.size()));
    std::size_t size = plain.size();
    if (GetParam() == Codec::none) {
      std::copy(plain.begin(), plain.end(), bytes.begin() + header_bytes);
    } else {
      Encoder encoder;
      size = *encoder.compress(GetParam(), -1, plain, MutableBytes(bytes).subspan(header_bytes));
    }
    bytes.resize(header_bytes + size);
    BatchHeader header;
    header.attributes = static_cast<std::int16_t>(GetParam());
    header.batch_length = static_cast<std::int32_t>(bytes.size() - length_prefix_bytes);
    header.base_timestamp = wall_ms;
    header.record_count = count;
    header.last_offset_delta = count - 1;
    store_header(bytes, header);
    seal_crc(bytes);
    return copy_of(bytes);
  }

  BatchView copy_of(Bytes bytes) {
    kept_.emplace_back(bytes.begin(), bytes.end());
    const Result<BatchView> view = parse_batch(kept_.back());
    EXPECT_TRUE(view);
    return *view;
  }

  Error error_of(const BatchView& batch, const BatchRules& rules = {}) {
    const Result<CheckedBatch> checked = checker_.check(batch, rules, wall_ms);
    EXPECT_FALSE(checked);
    return checked ? Error{} : checked.error();
  }

  BatchChecker checker_{decompressed_bytes_max};
  BatchBuilder builder_{1 << 21};
  std::list<std::vector<std::byte>> kept_;
};

TEST_P(BatchCheck, TellsTheFirstRecordWithTheLargestTimestamp) {
  const BatchView batch = make({wall_ms, wall_ms + 7, wall_ms - 9, wall_ms + 7});
  const Result<CheckedBatch> checked = checker_.check(batch, {}, wall_ms);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->max_timestamp, wall_ms + 7);
  EXPECT_EQ(checked->max_timestamp_delta, 1);
}

TEST_P(BatchCheck, WithTheBrokersClockTheFirstRecordHasIt) {
  // A timestamp no CreateTime topic would take.
  const BatchView batch = make({wall_ms, wall_ms + 999'999'999});
  const Result<CheckedBatch> checked = checker_.check(batch, {.log_append_time = true}, wall_ms);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->max_timestamp, wall_ms);
  EXPECT_EQ(checked->max_timestamp_delta, 0);
}

TEST_P(BatchCheck, TimestampsLieWithinTheWindow) {
  const BatchRules rules{.timestamp_before_ms_max = 100, .timestamp_after_ms_max = 50};
  EXPECT_TRUE(checker_.check(make({wall_ms - 100, wall_ms + 50}), rules, wall_ms));
  EXPECT_EQ(error_of(make({wall_ms, wall_ms, wall_ms - 101}), rules),
            (Error{Errc::invalid_timestamp, 2}));
  EXPECT_EQ(error_of(make({wall_ms, wall_ms + 51}), rules), (Error{Errc::invalid_timestamp, 1}));
  EXPECT_TRUE(checker_.check(make({-1}), rules, wall_ms));  // "No timestamp" is never too old.
}

TEST_P(BatchCheck, ByDefaultAnHourAheadIsTheLimitAndThePastHasNone) {
  EXPECT_TRUE(checker_.check(make({0, wall_ms + 3'600'000}), {}, wall_ms));
  EXPECT_EQ(error_of(make({wall_ms + 3'600'001})), (Error{Errc::invalid_timestamp, 0}));
  EXPECT_EQ(error_of(make({INT64_MAX})).code, Errc::invalid_timestamp);
}

TEST_P(BatchCheck, CompactedTopicsNeedKeys) {
  builder_.start();
  ASSERT_TRUE(builder_.add({.timestamp = wall_ms, .key = "k", .value = "v"}));
  ASSERT_TRUE(builder_.add({.timestamp = wall_ms, .key = "", .value = nullptr}));
  const BatchView good = copy_of(*builder_.finish(GetParam()));
  EXPECT_TRUE(checker_.check(good, {.keys_required = true}, wall_ms));
  ASSERT_TRUE(builder_.add({.timestamp = wall_ms, .value = "v"}));
  const BatchView bad = copy_of(*builder_.finish(GetParam()));
  EXPECT_TRUE(checker_.check(bad, {}, wall_ms));
  EXPECT_EQ(error_of(bad, {.keys_required = true}), (Error{Errc::malformed, 2}));
}

TEST_P(BatchCheck, RefusesWhatOnlyABrokerMayWrite) {
  const BatchView good = make({wall_ms});
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) { h.attributes |= control_bit; })).code,
            Errc::malformed);
  EXPECT_EQ(
      error_of(changed(good, [](BatchHeader& h) { h.attributes |= log_append_time_bit; })).code,
      Errc::invalid_timestamp);
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) { h.attributes |= codec_mask; })).code,
            Errc::unsupported_codec);
}

TEST_P(BatchCheck, CountsAndDeltasAgree) {
  const BatchView good = make({wall_ms, wall_ms});
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) { h.record_count = 1; })).code,
            Errc::malformed);
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) { h.last_offset_delta = 2; })).code,
            Errc::malformed);
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) {
              h.record_count = 0;
              h.last_offset_delta = 0;
            })).code,
            Errc::malformed);
  // Both agree, but with one record too few, or too many.
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) {
              h.record_count = 1;
              h.last_offset_delta = 0;
            })).code,
            Errc::malformed);
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) {
              h.record_count = 3;
              h.last_offset_delta = 2;
            })),
            (Error{Errc::malformed, 2}));
  EXPECT_EQ(error_of(changed(good, [](BatchHeader& h) {
              h.record_count = INT32_MAX;
              h.last_offset_delta = INT32_MAX - 1;
            })),
            (Error{Errc::malformed, 2}));
}

TEST_P(BatchCheck, AProducerHasASequenceAndAnEpoch) {
  const BatchHeader producer{.producer_id = 5, .producer_epoch = 0, .base_sequence = 0};
  EXPECT_TRUE(checker_.check(make({wall_ms}, producer), {}, wall_ms));
  EXPECT_EQ(error_of(make({wall_ms}, {.producer_id = 5, .producer_epoch = 0})).code,
            Errc::malformed);
  EXPECT_EQ(error_of(make({wall_ms}, {.producer_id = 5, .base_sequence = 0})).code,
            Errc::malformed);
}

TEST_P(BatchCheck, ExactlyOneBatch) {
  BatchView batch = make({wall_ms});
  std::vector<std::byte> longer(batch.bytes.begin(), batch.bytes.end());
  longer.push_back(std::byte{0});
  batch.bytes = longer;
  EXPECT_EQ(error_of(batch).code, Errc::malformed);
}

TEST_P(BatchCheck, RecordsAreFramedExactly) {
  // attributes, timestamp delta, offset delta, null key, null value, no headers
  EXPECT_TRUE(checker_.check(of_records({12, 0, 0, 0, 1, 1, 0}, 1), {}, wall_ms));
  EXPECT_EQ(error_of(of_records({12, 0, 0, 2, 1, 1, 0}, 1)), (Error{Errc::malformed, 0}))
      << "offsets begin at 0";
  EXPECT_EQ(error_of(of_records({12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 4, 1, 1, 0}, 2)),
            (Error{Errc::malformed, 1}))
      << "offsets have no gap";
  EXPECT_EQ(error_of(of_records({12, 0, 0, 0, 1, 1, 0, 0}, 1)).code, Errc::malformed)
      << "nothing follows the last record";
  EXPECT_EQ(error_of(of_records({12, 0, 0, 0, 1, 1}, 1)), (Error{Errc::malformed, 0}))
      << "a record ends early";
  EXPECT_EQ(error_of(of_records({14, 0, 0, 0, 1, 1, 2, 1}, 1)), (Error{Errc::malformed, 0}))
      << "a header's key is null";
}

TEST_P(BatchCheck, ABombIsRefused) {
  if (GetParam() == Codec::none) return;
  builder_.start();
  const std::string zeros(decompressed_bytes_max, '\0');
  ASSERT_TRUE(builder_.add({.timestamp = wall_ms, .value = std::string_view(zeros)}));
  const BatchView bomb = copy_of(*builder_.finish(GetParam()));
  EXPECT_EQ(error_of(bomb).code, Errc::too_large);
  EXPECT_EQ(checker_.with_codec(bomb, {.compression = 0}).error().code, Errc::too_large);
  EXPECT_TRUE(checker_.check(make({wall_ms}), {}, wall_ms));
}

TEST_P(BatchCheck, FlippedBitsInCompressedRecordsNeverPassUnnoticedTwice) {
  // Whatever a flip does, the checker answers and the next good batch is still good.
  const BatchView good = make(std::vector<std::int64_t>(50, wall_ms));
  for (std::size_t i = header_bytes; i < good.bytes.size(); ++i) {
    std::vector<std::byte> bytes(good.bytes.begin(), good.bytes.end());
    bytes[i] ^= std::byte{0x10};
    (void)checker_.check({good.header, bytes}, {}, wall_ms);
  }
  EXPECT_TRUE(checker_.check(good, {}, wall_ms));
}

TEST_P(BatchCheck, ComesBackInAnyOtherCodecWithTheSameRecords) {
  const BatchView batch = make({wall_ms, wall_ms + 5, wall_ms},
      {.base_offset = 77, .producer_id = 5, .producer_epoch = 1, .base_sequence = 9});
  for (const Codec codec : all_codecs) {
    const Result<Bytes> made =
        checker_.with_codec(batch, {.compression = static_cast<std::int8_t>(codec)});
    ASSERT_TRUE(made);
    const BatchView again = copy_of(*made);
    EXPECT_TRUE(crc_matches(again.bytes));
    EXPECT_EQ(again.header.codec_bits(), static_cast<std::uint8_t>(codec));
    EXPECT_EQ(again.header.base_offset, 77);
    EXPECT_EQ(again.header.producer_id, 5);
    EXPECT_EQ(again.header.base_sequence, 9);
    EXPECT_TRUE(checker_.check(again, {}, wall_ms));
    const Result<Bytes> back =
        checker_.with_codec(again, {.compression = static_cast<std::int8_t>(GetParam())});
    ASSERT_TRUE(back);
    EXPECT_TRUE(std::equal(back->begin(), back->end(), batch.bytes.begin(), batch.bytes.end()));
  }
}

TEST_P(BatchCheck, ItsOwnCodecAndNoneWantedLeaveItAsItIs) {
  const BatchView batch = make({wall_ms});
  EXPECT_EQ(checker_.with_codec(batch, {})->data(), batch.bytes.data());
  const auto own = static_cast<std::int8_t>(GetParam());
  EXPECT_EQ(checker_.with_codec(batch, {.compression = own})->data(), batch.bytes.data());
}

TEST_P(BatchCheck, FindsTheFirstRecordAtOrAfterATimestamp) {
  const BatchView batch = make({100, 300, 200, 400}, {.base_offset = 1000});
  const Result<FoundRecord> found = checker_.find_timestamp(batch, 150);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->offset, 1001);
  EXPECT_EQ(found->timestamp, 300);
  EXPECT_EQ(checker_.find_timestamp(batch, 100)->offset, 1000);
  EXPECT_EQ(checker_.find_timestamp(batch, 301)->offset, 1003);
  EXPECT_EQ(checker_.find_timestamp(batch, 401).error().code, Errc::not_found);
}

TEST_P(BatchCheck, WithTheBrokersClockEveryRecordHasTheBatchsTimestamp) {
  const BatchView batch = changed(make({100, 300}), [](BatchHeader& h) {
    h.attributes |= log_append_time_bit;
    h.max_timestamp = 5000;
  });
  EXPECT_EQ(checker_.find_timestamp(batch, 4000)->offset, 0);
  EXPECT_EQ(checker_.find_timestamp(batch, 4000)->timestamp, 5000);
  EXPECT_EQ(checker_.find_timestamp(batch, 5001).error().code, Errc::not_found);
}

INSTANTIATE_TEST_SUITE_P(Codecs, BatchCheck, ::testing::ValuesIn(all_codecs));

TEST(BatchChecker, BytesThatAreNoCompressionAreCorrupt) {
  BatchChecker checker(decompressed_bytes_max);
  BatchBuilder builder(4096);
  builder.start();
  ASSERT_TRUE(builder.add({.timestamp = wall_ms, .value = "v"}));
  const Result<Bytes> made = builder.finish();
  for (std::int16_t codec = 1; codec <= 4; ++codec) {
    BatchView batch = *parse_batch(*made);
    batch.header.attributes = codec;
    const Errc told = checker.check(batch, {}, wall_ms).error().code;
    EXPECT_EQ(told, Errc::corrupt) << codec;
    EXPECT_EQ(checker.with_codec(batch, {.compression = 0}).error().code, Errc::corrupt);
    EXPECT_EQ(checker.find_timestamp(batch, 0).error().code, Errc::corrupt);
  }
}

TEST(BatchChecker, ABatchThatJustFitsIsMadeAndNoneThatIsLarger) {
  std::string noise(100'000, 'x');
  std::uint32_t state = 7;
  for (char& c : noise) c = static_cast<char>((state = state * 1'664'525 + 1'013'904'223) >> 24);
  BatchBuilder builder(1 << 20);
  builder.start();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(builder.add({.timestamp = wall_ms, .value = std::string_view(noise)}));
  }
  const BatchView batch = *parse_batch(*builder.finish());
  BatchView packed = batch;
  BatchChecker any(1 << 20);
  std::vector<std::byte> kept;
  for (const Codec codec : all_codecs) {
    if (codec == Codec::none) {  // To which something has to become none.
      const Result<Bytes> made = any.with_codec(batch, {.compression = 4});
      kept.assign(made->begin(), made->end());
      packed = *parse_batch(kept);
    }
    const BatchRules rules{.compression = static_cast<std::int8_t>(codec)};
    const BatchView& from = codec == Codec::none ? packed : batch;
    const std::size_t size = any.with_codec(from, rules)->size();
    BatchChecker fits(1 << 20, size);
    ASSERT_TRUE(fits.with_codec(from, rules)) << static_cast<int>(codec);
    EXPECT_EQ(fits.with_codec(from, rules)->size(), size);
    BatchChecker fits_not(1 << 20, size - 1);
    EXPECT_EQ(fits_not.with_codec(from, rules).error().code, Errc::too_large);
  }
}

TEST(BatchChecker, ManySmallRecordsInWindowsOfAllCodecs) {
  BatchChecker checker(8 << 20);
  BatchBuilder builder(8 << 20);
  builder.start();
  for (int i = 0; i < 100'000; ++i) {
    const std::string value = "value " + std::to_string(i * 7919);
    ASSERT_TRUE(builder.add({.timestamp = wall_ms + i, .value = std::string_view(value)}));
  }
  for (const Codec codec : all_codecs) {
    const BatchView batch = *parse_batch(*builder.finish(codec));
    const Result<CheckedBatch> checked = checker.check(batch, {}, wall_ms);
    ASSERT_TRUE(checked) << static_cast<int>(codec);
    EXPECT_EQ(checked->max_timestamp_delta, 99'999);
    EXPECT_EQ(checker.find_timestamp(batch, wall_ms + 70'000)->offset, 70'000);
  }
}

}  // namespace
}  // namespace tailrace::record
