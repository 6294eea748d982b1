#include "kafka/wire.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tailrace::kafka {
namespace {

std::string text_of(const Writer& out) { return std::string(as_text(out.written())); }

TEST(Wire, StringsInBothForms) {
  std::byte room[100];
  Writer out(room);
  out.string("ab", false);
  out.string("ab", true);
  out.nullable_string(nullptr, false);
  out.nullable_string(nullptr, true);
  out.string("", true);
  EXPECT_EQ(text_of(out), std::string("\x00\x02" "ab" "\x03" "ab" "\xff\xff" "\x00" "\x01", 11));
  Reader in(out.written());
  EXPECT_EQ(in.string(false), "ab");
  EXPECT_EQ(in.string(true), "ab");
  EXPECT_TRUE(in.nullable_string(false).is_null());
  EXPECT_TRUE(in.nullable_string(true).is_null());
  EXPECT_EQ(in.nullable_string(true), NullableString(""));
  EXPECT_FALSE(in.failed());
  EXPECT_TRUE(in.rest().empty());
}

TEST(Wire, NumbersAreBigEndian) {
  std::byte room[32];
  Writer out(room);
  out.integer(std::int16_t{0x0102});
  out.integer(std::int32_t{-2});
  out.boolean(true);
  out.float64(1.5);
  EXPECT_EQ(text_of(out), std::string("\x01\x02\xff\xff\xff\xfe\x01\x3f\xf8\0\0\0\0\0\0", 15));
  Reader in(out.written());
  EXPECT_EQ(in.integer<std::int16_t>(), 0x0102);
  EXPECT_EQ(in.integer<std::int32_t>(), -2);
  EXPECT_TRUE(in.boolean());
  EXPECT_EQ(in.float64(), 1.5);
}

TEST(Wire, ANullWhereNoneMayBeIsMalformed) {
  Reader in(as_bytes(std::string_view("\xff\xff", 2)));
  in.string(false);
  EXPECT_TRUE(in.failed());
  EXPECT_EQ(in.error().code, Errc::malformed);
}

TEST(Wire, LengthsBelowNullAndBeyondTheBytesAreRefused) {
  Reader negative(as_bytes(std::string_view("\xff\xfe", 2)));
  negative.nullable_string(false);
  EXPECT_EQ(negative.error().code, Errc::malformed);
  Reader longer(as_bytes(std::string_view("\x00\x03" "ab", 4)));
  longer.nullable_string(false);
  EXPECT_TRUE(longer.failed());
  EXPECT_EQ(longer.error().code, Errc::truncated);
  Reader huge(as_bytes(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10)));
  huge.nullable_bytes(true);
  EXPECT_EQ(huge.error().code, Errc::malformed);
}

TEST(Wire, AnArrayIsNeverLargerThanTheBytesLeft) {
  Reader in(as_bytes(std::string_view("\x7f\xff\xff\xff" "12345", 9)));
  EXPECT_EQ(in.array_count(false), -1);
  EXPECT_EQ(in.error().code, Errc::malformed);
  Reader fits(as_bytes(std::string_view("\x00\x00\x00\x05" "12345", 9)));
  EXPECT_EQ(fits.array_count(false), 5);
}

TEST(Wire, AnArenaWithoutRoomIsTooLarge) {
  Arena arena(16);
  Reader in(as_bytes("0123456789"));
  EXPECT_EQ(in.allocate<std::int64_t>(arena, 2).size(), 2U);
  EXPECT_TRUE(in.allocate<std::int64_t>(arena, 1).empty());
  EXPECT_EQ(in.error().code, Errc::too_large);
}

TEST(Wire, TheFirstFailureStaysAndNothingIsReadAfterIt) {
  Reader in(as_bytes("abc"));
  in.integer<std::int32_t>();
  EXPECT_EQ(in.error().code, Errc::truncated);
  in.fail_with(Errc::malformed);
  EXPECT_EQ(in.error().code, Errc::truncated);
  EXPECT_EQ(in.integer<std::int8_t>(), 0);
  EXPECT_TRUE(in.rest().empty());
}

TEST(Wire, UnknownTagsAreSkippedAndMayNotReachBeyondTheEnd) {
  Reader in(as_bytes(std::string_view("\x02\x05\x01x\x06\x00rest", 10)));
  in.skip_tags();
  EXPECT_FALSE(in.failed());
  EXPECT_EQ(as_text(in.rest()), "rest");
  Reader beyond(as_bytes(std::string_view("\x01\x05\x09xx", 5)));
  beyond.skip_tags();
  EXPECT_TRUE(beyond.failed());
  Reader endless(as_bytes(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0", 12)));
  endless.skip_tags();  // Ends with the bytes, not with the count.
  EXPECT_TRUE(endless.failed());
}

TEST(Wire, AFullBufferOverflowsWithoutWritingBeyondIt) {
  std::byte room[8] = {};
  Writer out(MutableBytes(room).first(6));
  out.integer(std::int32_t{1});
  out.integer(std::int32_t{2});
  EXPECT_TRUE(out.overflowed());
  EXPECT_EQ(room[4], std::byte{0});
  out.integer(std::int8_t{1});  // Would fit, but then the bytes before it would be missing.
  EXPECT_EQ(out.size(), 4U);
}

TEST(Wire, RecordsAreSplicedWhileThereIsRoomForSplices) {
  const std::string content(1000, 'r');
  std::byte room[2000];
  Splice splices[1];
  Writer out(room, splices);
  out.integer(std::int8_t{1});
  out.records(as_bytes(content), false);
  EXPECT_EQ(out.size(), 5U);
  EXPECT_EQ(out.total_size(), 1005U);
  out.records(as_bytes(content), true);  // The second is copied: 2 bytes of length and it.
  EXPECT_EQ(out.size(), 5U + 1002U);
  EXPECT_EQ(out.total_size(), 2007U);
  ASSERT_EQ(out.splices().size(), 1U);
  EXPECT_EQ(out.splices()[0].at, 5U);
  EXPECT_EQ(out.splices()[0].bytes.data(), as_bytes(content).data());
}

TEST(Wire, ACounterCountsWhatAWriterWrites) {
  Writer counter = Writer::counter();
  counter.uvarint(300);
  counter.string("name", true);
  counter.records(as_bytes("records"), true);
  counter.records(nullptr, true);
  std::byte room[64];
  Writer out(room);
  out.uvarint(300);
  out.string("name", true);
  out.records(as_bytes("records"), true);
  out.records(nullptr, true);
  EXPECT_EQ(counter.size(), out.size());
}

TEST(Wire, AWriterKnowsWhetherItWroteAnError) {
  std::byte room[4];
  Writer out(room);
  out.error_code(0);
  EXPECT_FALSE(out.has_error());
  out.error_code(3);
  EXPECT_TRUE(out.has_error());
  EXPECT_EQ(text_of(out), std::string("\0\0\0\3", 4));
  Writer counter = Writer::counter();
  counter.error_code(-1);
  EXPECT_TRUE(counter.has_error());
  EXPECT_EQ(counter.size(), 2U);
}

}  // namespace
}  // namespace tailrace::kafka
