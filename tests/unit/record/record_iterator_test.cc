#include "record/record_iterator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/varint.h"
#include "record/batch_builder.h"

namespace tailrace::record {
namespace {

using Raw = std::vector<std::uint8_t>;

Bytes bytes_of(const Raw& raw) {
  return {reinterpret_cast<const std::byte*>(raw.data()), raw.size()};
}

// Body of a good record: attributes, timestamp 0, offset 0, null key, value "ab", no headers.
const Raw good_body = {0, 0, 0, 1, 4, 'a', 'b', 0};

Raw framed(const Raw& body) {
  Raw raw(1 + body.size(), static_cast<std::uint8_t>(body.size() * 2));
  std::copy(body.begin(), body.end(), raw.begin() + 1);
  return raw;
}

// The error of the one record, or Errc(0) when it is good, read in place and in pieces alike.
Errc verdict(const Raw& raw) {
  RecordIterator flat(bytes_of(raw));
  const Result<RecordFields> record = flat.next();
  const Errc told = record ? Errc{} : record.error().code;

  std::vector<std::byte> packed(Encoder::bound(raw.size()));
  Encoder encoder;
  const Result<std::size_t> size = encoder.compress(Codec::gzip, -1, bytes_of(raw), packed);
  Decoder decoder(4096);
  EXPECT_TRUE(decoder.start(1, Bytes(packed).first(*size)));
  RecordIterator streamed(decoder);
  const Result<RecordFields> again = streamed.next();
  EXPECT_EQ(told, again ? Errc{} : again.error().code);
  return told;
}

TEST(RecordIterator, TakesAGoodRecord) {
  EXPECT_EQ(verdict(framed(good_body)), Errc{});
  EXPECT_EQ(verdict(framed({0, 0, 0, 1, 1, 0})), Errc{});             // Null key, null value.
  EXPECT_EQ(verdict(framed({0xff, 0, 0, 1, 1, 0})), Errc{});          // Unknown attributes.
  EXPECT_EQ(verdict(framed({0, 0, 0, 1, 1, 2, 0, 1})), Errc{});       // Header "" -> null.
  EXPECT_EQ(verdict(framed({0, 0, 0x80, 0, 1, 1, 0})), Errc{});       // A longer varint.
}

TEST(RecordIterator, RefusesEveryWrongLength) {
  const struct {
    const char* what;
    Raw raw;
  } cases[] = {
      {"nothing at all", {}},
      {"negative length", {0x01}},
      {"a length beyond the bytes", {0x12, 0, 0, 0, 1, 4, 'a', 'b', 0}},
      {"a length that is too short", {0x0e, 0, 0, 0, 1, 4, 'a', 'b', 0}},
      {"a length of zero", {0}},
      {"a byte left over in the record", framed({0, 0, 0, 1, 4, 'a', 'b', 0, 0})},
      {"a key length below -1", framed({0, 0, 0, 3, 4, 'a', 'b', 0})},
      {"a value length below -1", framed({0, 0, 0, 1, 3, 0})},
      {"a key beyond the record", framed({0, 0, 0, 8, 'a', 'b', 0})},
      {"a value beyond the record", framed({0, 0, 0, 1, 8, 'a', 'b', 0})},
      {"negative header count", framed({0, 0, 0, 1, 1, 1})},
      {"more headers than bytes", framed({0, 0, 0, 1, 1, 4, 0, 1})},
      {"a null header key", framed({0, 0, 0, 1, 1, 2, 1, 1})},
      {"a header value below -1", framed({0, 0, 0, 1, 1, 2, 0, 3})},
      {"no header count", framed({0, 0, 0, 1, 1})},
      {"a length of six bytes", {0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 0, 0}},
      {"a length over 32 bits", {0x90, 0x80, 0x80, 0x80, 0x10, 0, 0, 0, 0}},
      {"an offset delta over 32 bits",
       framed({0, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 1, 0})},
      {"a timestamp of eleven bytes",
       framed({0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 1, 1, 0})},
      {"a timestamp over 64 bits",
       framed({0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0, 1, 1, 0})},
  };
  for (const auto& c : cases) EXPECT_EQ(verdict(c.raw), Errc::malformed) << c.what;
}

TEST(RecordIterator, EveryTruncationIsRefused) {
  const Raw whole = framed({0, 0x80, 0x02, 0, 6, 'k', 'e', 'y', 4, 'a', 'b', 2, 2, 'h', 2, 'v'});
  ASSERT_EQ(verdict(whole), Errc{});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(verdict(Raw(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))),
              Errc::malformed) << size;
  }
}

TEST(RecordIterator, LargestNumbersAreRead) {
  const Raw raw = framed({0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
                          0xfe, 0xff, 0xff, 0xff, 0x0f, 1, 1, 0});
  RecordIterator records(bytes_of(raw));
  const Result<RecordFields> record = records.next();
  ASSERT_TRUE(record);
  EXPECT_EQ(record->timestamp_delta, INT64_MAX);
  EXPECT_EQ(record->offset_delta, INT32_MAX);
}

TEST(RecordIterator, NothingMayFollowTheLastRecord) {
  Raw raw = framed(good_body);
  raw.push_back(0);
  RecordIterator records(bytes_of(raw));
  ASSERT_TRUE(records.next());
  EXPECT_EQ(records.finish().error().code, Errc::malformed);
}

TEST(RecordIterator, RecordsLargerThanTheWindowAreSkippedThrough) {
  BatchBuilder builder(2'000'000);
  builder.start();
  const std::string large(300'000, 'x');
  const NewHeader headers[] = {{std::string_view(large).substr(0, 100'000), "v"}};
  ASSERT_TRUE(builder.add({.timestamp = 5, .key = "small", .value = "small"}));
  ASSERT_TRUE(builder.add({.timestamp = 6, .key = std::string_view(large), .value = "s"}));
  ASSERT_TRUE(builder.add({.timestamp = 7, .value = std::string_view(large), .headers = headers}));
  ASSERT_TRUE(builder.add({.timestamp = 8, .key = "last"}));
  for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
    const Result<BatchView> batch = parse_batch(*builder.finish(codec));
    Decoder decoder(2'000'000);
    ASSERT_TRUE(decoder.start(batch->header.codec_bits(), batch->records()));
    RecordIterator records(decoder);
    std::int32_t keys[] = {5, 300'000, -1, 4};
    for (std::int32_t i = 0; i < 4; ++i) {
      const Result<RecordFields> record = records.next();
      ASSERT_TRUE(record) << i;
      EXPECT_EQ(record->offset_delta, i);
      EXPECT_EQ(record->timestamp_delta, i);
      EXPECT_EQ(record->key_size, keys[i]);
      EXPECT_EQ(record->header_count, i == 2 ? 1 : 0);
    }
    EXPECT_TRUE(records.finish());
  }
}

}  // namespace
}  // namespace tailrace::record
