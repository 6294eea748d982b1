#include "record/control_record.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "record/batch_builder.h"
#include "record/record_iterator.h"

namespace tailrace::record {
namespace {

constexpr NewMarker commit{.producer_id = 4000,
                           .producer_epoch = 3,
                           .timestamp_ms = 1'700'000'000'000,
                           .marker = {.is_commit = true, .coordinator_epoch = 7}};

using Stored = std::array<std::byte, marker_batch_bytes>;

Stored stored(const NewMarker& marker) {
  Stored bytes;
  store_marker_batch(bytes, marker);
  return bytes;
}

TEST(ControlRecord, AMarkerComesBackAsItWasWritten) {
  for (const bool is_commit : {true, false}) {
    NewMarker marker = commit;
    marker.marker.is_commit = is_commit;
    const Stored bytes = stored(marker);
    const Result<BatchView> batch = parse_batch(bytes);
    ASSERT_TRUE(batch);
    EXPECT_TRUE(crc_matches(batch->bytes));
    EXPECT_TRUE(batch->header.is_control());
    EXPECT_TRUE(batch->header.is_transactional());
    EXPECT_EQ(batch->header.producer_id, 4000);
    EXPECT_EQ(batch->header.producer_epoch, 3);
    EXPECT_EQ(batch->header.base_sequence, -1);
    EXPECT_EQ(batch->header.record_count, 1);
    EXPECT_EQ(batch->header.max_timestamp, 1'700'000'000'000);
    const Result<TransactionMarker> found = marker_of(*batch);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, marker.marker);
  }
}

TEST(ControlRecord, AMarkerWithADeleteHorizonIsTheSameMarker) {
  for (const std::int64_t horizon : {std::int64_t{0}, commit.timestamp_ms + 1, INT64_MAX}) {
    const Stored bytes = stored(commit);
    std::array<std::byte, marker_batch_bytes + horizon_growth_max> room;
    const Result<Bytes> made = with_delete_horizon(room, *parse_batch(bytes), horizon);
    ASSERT_TRUE(made);
    const BatchView batch = *parse_batch(*made);
    EXPECT_EQ(batch.bytes.size(), made->size());
    EXPECT_TRUE(crc_matches(batch.bytes));
    EXPECT_TRUE(batch.header.has_delete_horizon());
    EXPECT_EQ(batch.header.base_timestamp, horizon);
    EXPECT_EQ(batch.header.max_timestamp, commit.timestamp_ms);
    EXPECT_EQ(*marker_of(batch), commit.marker);
    RecordIterator records(batch.records());
    EXPECT_EQ(static_cast<std::int64_t>(static_cast<std::uint64_t>(horizon) +
                                        static_cast<std::uint64_t>(
                                            records.next()->timestamp_delta)),
              commit.timestamp_ms);
    const Result<Bytes> again = with_delete_horizon(room, *parse_batch(bytes), horizon);
    EXPECT_EQ(again->size(), made->size());
  }
}

TEST(ControlRecord, WhatIsNoSingleRecordGetsNoDeleteHorizon) {
  const Stored bytes = stored(commit);
  std::array<std::byte, marker_batch_bytes + horizon_growth_max> room;
  BatchView batch = *parse_batch(bytes);
  for (std::size_t size = header_bytes; size < bytes.size(); ++size) {
    batch.bytes = Bytes(bytes).first(size);
    EXPECT_FALSE(with_delete_horizon(room, batch, 5)) << size;
  }
  batch = *parse_batch(bytes);
  batch.header.record_count = 2;
  EXPECT_FALSE(with_delete_horizon(room, batch, 5));
}

TEST(ControlRecord, IsByteForByteWhatTheGeneralBuilderMakes) {
  const std::array<std::uint8_t, 4> key{0, 0, 0, 1};
  const std::array<std::uint8_t, 6> value{0, 0, 0, 0, 0, 7};
  BatchBuilder builder(1024);
  builder.start({.attributes = transactional_bit | control_bit,
                 .producer_id = 4000,
                 .producer_epoch = 3});
  ASSERT_TRUE(builder.add({.timestamp = 1'700'000'000'000,
                           .key = Bytes(std::as_bytes(std::span(key))),
                           .value = Bytes(std::as_bytes(std::span(value)))}));
  const Bytes made = *builder.finish();
  const Stored bytes = stored(commit);
  EXPECT_TRUE(std::equal(made.begin(), made.end(), bytes.begin(), bytes.end()));
}

TEST(ControlRecord, ANewerVersionMayBeLonger) {
  const std::array<std::uint8_t, 5> key{0, 1, 0, 0, 9};
  const std::array<std::uint8_t, 7> value{0, 1, 0, 0, 0, 5, 9};
  const auto found =
      parse_marker(std::as_bytes(std::span(key)), std::as_bytes(std::span(value)));
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (TransactionMarker{false, 5}));
}

TEST(ControlRecord, RefusesWhatEndsNoTransaction) {
  const std::array<std::uint8_t, 4> leader_change{0, 0, 0, 2};
  const std::array<std::uint8_t, 4> negative{0xff, 0xff, 0, 1};
  const std::array<std::uint8_t, 4> key{0, 0, 0, 1};
  const std::array<std::uint8_t, 6> value{0, 0, 0, 0, 0, 5};
  const Bytes good_key = std::as_bytes(std::span(key));
  const Bytes good_value = std::as_bytes(std::span(value));
  const auto code_of = [](Bytes k, Bytes v) { return parse_marker(k, v).error().code; };
  EXPECT_EQ(code_of(std::as_bytes(std::span(leader_change)), good_value), Errc::unsupported);
  EXPECT_EQ(code_of(std::as_bytes(std::span(negative)), good_value), Errc::malformed);
  EXPECT_EQ(code_of(good_key, std::as_bytes(std::span(negative))), Errc::truncated);
  EXPECT_EQ(code_of(good_key.first(3), good_value), Errc::truncated);
  EXPECT_EQ(code_of(good_key, good_value.first(5)), Errc::truncated);
  EXPECT_EQ(code_of({}, {}), Errc::truncated);
}

TEST(ControlRecord, RefusesBatchesThatAreNoMarkers) {
  BatchBuilder builder(1024);
  const auto code_of = [&](const BatchHeader& header, int count) {
    builder.start(header);
    for (int i = 0; i < count; ++i) EXPECT_TRUE(builder.add({.key = "k", .value = "v"}));
    return marker_of(*parse_batch(*builder.finish())).error().code;
  };
  const std::int16_t both = transactional_bit | control_bit;
  EXPECT_EQ(code_of({.producer_id = 1, .producer_epoch = 0}, 1), Errc::malformed);
  EXPECT_EQ(code_of({.attributes = control_bit, .producer_id = 1, .producer_epoch = 0}, 1),
            Errc::malformed);
  EXPECT_EQ(code_of({.attributes = both}, 1), Errc::malformed);
  EXPECT_EQ(code_of({.attributes = both, .producer_id = 1, .producer_epoch = 0}, 2),
            Errc::malformed);
  EXPECT_EQ(code_of({.attributes = both, .producer_id = 1, .producer_epoch = 0}, 1),
            Errc::truncated);  // The key is too short.
}

}  // namespace
}  // namespace tailrace::record
