#include "net/tcp_header.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "base/prng.h"
#include "net/checksum.h"

namespace tailrace::net {
namespace {

const IpAddress tcp_a = IpAddress::v4(10, 0, 0, 1);
const IpAddress tcp_b = IpAddress::v4(10, 0, 0, 2);

TcpHeader round_trip(const TcpHeader& header) {
  std::array<std::byte, 60> bytes{};
  const std::size_t size = store_tcp(bytes.data(), header, tcp_a, tcp_b, 0);
  const TcpSegment parsed = parse_tcp(Bytes(bytes).first(size));
  EXPECT_TRUE(parsed.is_good());
  return parsed.header;
}

TEST(tcp_header, every_set_of_options_gives_back_what_was_stored) {
  for (int set = 0; set < 16; ++set) {
    for (std::uint8_t sacks = 0; sacks <= ((set & 2) != 0 ? 3 : 4); ++sacks) {
      TcpHeader header{.source_port = 9092, .destination_port = 1, .seq = {1}, .ack = {2},
                       .flags = tcp_flag::ack, .window = 77};
      if (sacks > 0 && (set & ~2) != 0) continue;   // Never beside a SYN's options.
      if ((set & 1) != 0) header.options.mss = 1460;
      if ((set & 2) != 0) {
        header.options.has_timestamp = true;
        header.options.timestamp = 5;
        header.options.timestamp_echo = 6;
      }
      header.options.sack_permitted = (set & 4) != 0;
      if ((set & 8) != 0) header.options.window_scale = 7;
      header.options.sack_count = sacks;
      for (std::uint32_t i = 0; i < sacks; ++i) header.options.sacks[i] = {{i}, {i + 9}};
      const TcpHeader parsed = round_trip(header);
      EXPECT_EQ(parsed.seq, header.seq);
      EXPECT_EQ(parsed.ack, header.ack);
      EXPECT_EQ(parsed.window, 77);
      EXPECT_EQ(parsed.options.mss, header.options.mss);
      EXPECT_EQ(parsed.options.window_scale, header.options.window_scale);
      EXPECT_EQ(parsed.options.sack_permitted, header.options.sack_permitted);
      EXPECT_EQ(parsed.options.has_timestamp, header.options.has_timestamp);
      EXPECT_EQ(parsed.options.timestamp_echo, header.options.timestamp_echo);
      ASSERT_EQ(parsed.options.sack_count, sacks);
      for (std::size_t i = 0; i < sacks; ++i) {
        EXPECT_EQ(parsed.options.sacks[i], header.options.sacks[i]);
      }
    }
  }
}

std::vector<std::byte> with_options(std::initializer_list<int> options) {
  std::vector<std::byte> bytes(20 + (options.size() + 3) / 4 * 4);
  bytes[12] = static_cast<std::byte>(bytes.size() / 4 << 4);
  std::size_t at = 20;
  for (const int value : options) bytes[at++] = static_cast<std::byte>(value);
  return bytes;
}

// RFC 9293, MUST-6 and MUST-7.
TEST(tcp_header, unknown_options_are_passed_over) {
  const TcpSegment segment = parse_tcp(with_options({77, 4, 1, 2, 2, 4, 5, 0xb4}));
  EXPECT_TRUE(segment.is_good());
  EXPECT_EQ(segment.header.options.mss, 1460);
}

TEST(tcp_header, an_option_of_an_impossible_length_spoils_the_segment) {
  EXPECT_EQ(parse_tcp(with_options({77, 0, 0, 0})).failure, Count::drop_tcp_options);
  EXPECT_EQ(parse_tcp(with_options({77, 1, 0, 0})).failure, Count::drop_tcp_options);
  EXPECT_EQ(parse_tcp(with_options({77, 5, 0, 0})).failure, Count::drop_tcp_options);
  EXPECT_EQ(parse_tcp(with_options({1, 1, 1, 77})).failure, Count::drop_tcp_options);
}

TEST(tcp_header, a_known_option_of_another_length_is_unknown) {
  EXPECT_EQ(parse_tcp(with_options({2, 3, 5, 0})).header.options.mss, 0);
  EXPECT_EQ(parse_tcp(with_options({5, 9, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0})).header.options.sack_count,
            0);
}

TEST(tcp_header, refuses_lengths_that_lie) {
  auto bytes = with_options({});
  bytes[12] = std::byte{0x40};
  EXPECT_EQ(parse_tcp(bytes).failure, Count::drop_tcp_header);
  bytes[12] = std::byte{0x60};
  EXPECT_EQ(parse_tcp(bytes).failure, Count::drop_tcp_header);
  EXPECT_EQ(parse_tcp(Bytes(bytes).first(19)).failure, Count::drop_tcp_header);
}

TEST(tcp_header, the_field_holds_the_sum_of_the_pseudo_header) {
  std::vector<std::byte> bytes(20);
  store_tcp(bytes.data(), {.flags = tcp_flag::ack}, tcp_a, tcp_b, 0);
  store_checksum(bytes.data() + 16, checksum_of(bytes));
  EXPECT_TRUE(tcp_checksum_is_good(tcp_a, tcp_b, bytes));
  bytes[15] ^= std::byte{1};
  EXPECT_FALSE(tcp_checksum_is_good(tcp_a, tcp_b, bytes));
}

TEST(seq, is_compared_the_shorter_way_round) {
  EXPECT_LT(Seq{0xffff'fff0}, Seq{5});
  EXPECT_GT(Seq{5}, Seq{0xffff'fff0});
  EXPECT_LT(Seq{5}, Seq{0x7fff'ffff});
  EXPECT_EQ(Seq{5} - Seq{0xffff'fffb}, 10U);
  EXPECT_EQ(later(Seq{0xffff'fff0}, Seq{5}), Seq{5});
  EXPECT_EQ(earlier(Seq{0xffff'fff0}, Seq{5}), Seq{0xffff'fff0});
}

}  // namespace
}  // namespace tailrace::net
