#include "kafka/header.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>

namespace tailrace::kafka {
namespace {

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
  return text;
}

struct Case {
  RequestHeader header;
  const char* bytes;
};
// Metadata is flexible from version 9 on, ApiVersions from 3 on.
const Case cases[] = {
    {{3, 8, 7, "me"}, "0003" "0008" "00000007" "0002" "6d65"},
    {{3, 9, 7, "me"}, "0003" "0009" "00000007" "0002" "6d65" "00"},
    {{18, 3, 1, nullptr}, "0012" "0003" "00000001" "ffff" "00"},
};

TEST(Header, AnOldRequestHasNoTagsAFlexibleOneHas) {
  for (const Case& one : cases) {
    std::array<std::byte, 64> memory{};
    Writer out(memory);
    write_request_header(out, one.header);
    EXPECT_EQ(hex(out.written()), one.bytes);
    Reader in(out.written());
    const RequestHeader read = read_request_header(in);
    EXPECT_FALSE(in.failed());
    EXPECT_TRUE(in.rest().empty());
    EXPECT_EQ(read.api_key, one.header.api_key);
    EXPECT_EQ(read.api_version, one.header.api_version);
    EXPECT_EQ(read.correlation_id, one.header.correlation_id);
    EXPECT_EQ(read.client_id, one.header.client_id);
  }
}

TEST(Header, UnknownTagsAreSkipped) {
  std::array<std::byte, 64> memory{};
  Writer out(memory);
  RequestHeader header{3, 9, 7, "me"};
  header.api_version = 8;
  write_request_header(out, header);  // without tags
  memory[3] = std::byte{9};
  for (const int byte : {1, 5, 2, 0xaa, 0xbb, 0x77}) {  // one tag of two bytes; the body
    out.integer(static_cast<std::uint8_t>(byte));
  }
  Reader in(out.written());
  read_request_header(in);
  EXPECT_FALSE(in.failed());
  EXPECT_EQ(hex(in.rest()), "77");
}

TEST(Header, ACutHeaderFails) {
  std::array<std::byte, 64> memory{};
  Writer out(memory);
  write_request_header(out, {3, 9, 7, "me"});
  for (std::size_t size = 0; size < out.size(); ++size) {
    Reader in(out.written().first(size));
    read_request_header(in);
    EXPECT_TRUE(in.failed()) << size;
  }
}

TEST(Header, ResponsesOfApiVersionsNeverHaveTags) {
  const std::pair<RequestHeader, std::size_t> sizes[] = {
      {{3, 8, 7, nullptr}, 4}, {{3, 9, 7, nullptr}, 5}, {{18, 4, 7, nullptr}, 4}};
  for (const auto& [header, size] : sizes) {
    std::array<std::byte, 8> memory{};
    Writer out(memory);
    write_response_header(out, header);
    EXPECT_EQ(out.size(), size);
    Reader in(out.written());
    EXPECT_EQ(read_response_header(in, header.api_key, header.api_version), 7);
    EXPECT_TRUE(in.rest().empty());
  }
}

TEST(Header, AnUnknownApiIsReadAsFarAsItIsKnown) {
  Reader in(as_bytes(std::string_view("\x7f\xff\x00\x63\x00\x00\x00\x01\xff\xff\x00", 11)));
  EXPECT_EQ(read_request_header(in).api_key, 0x7fff);
  EXPECT_FALSE(in.failed());
  EXPECT_EQ(in.rest().size(), 1U);
}

}  // namespace
}  // namespace tailrace::kafka
