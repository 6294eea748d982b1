#include "net/checksum.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prng.h"

namespace tailrace::net {
namespace {

std::vector<std::byte> bytes_of(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(checksum, is_that_of_the_standards_example) {
  // RFC 1071, 3: the sum is ddf2.
  const auto bytes = bytes_of({0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7});
  ChecksumSum sum;
  sum.add(bytes);
  EXPECT_EQ(byte_swapped(sum.folded()), 0xddf2);
}

TEST(checksum, of_pieces_is_that_of_the_whole) {
  Prng prng(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::byte> bytes(prng.below(200));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(prng.next());
    ChecksumSum pieces;
    for (Bytes left = bytes; !left.empty();) {
      const std::size_t size = prng.between(1, left.size());
      pieces.add(left.first(size));
      left = left.subspan(size);
    }
    EXPECT_EQ(pieces.checksum(), checksum_of(bytes));
  }
}

// Bytes of all values, at every place of a block, against the definition.
TEST(checksum, of_any_length_anywhere_is_the_definitions) {
  std::vector<std::byte> memory(700);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 167 + 255);
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t size = 0; size + start < memory.size(); ++size) {
      const Bytes bytes = Bytes(memory).subspan(start, size);
      std::uint32_t sum = 0;
      for (std::size_t i = 0; i < size; ++i) {
        sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
      }
      while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
      const auto wanted = static_cast<std::uint16_t>(~sum);
      std::array<std::byte, 2> stored;
      store_checksum(stored.data(), checksum_of(bytes));
      EXPECT_EQ(load_be<std::uint16_t>(stored.data()), wanted) << start << " " << size;
    }
  }
}

TEST(checksum, over_a_packet_with_its_checksum_is_zero) {
  auto bytes = bytes_of({0x45, 0, 0, 20, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2});
  store_checksum(bytes.data() + 10, checksum_of(bytes));
  EXPECT_EQ(checksum_of(bytes), 0);
  bytes[15] = std::byte{9};
  EXPECT_NE(checksum_of(bytes), 0);
}

TEST(checksum, of_nothing_is_all_ones) { EXPECT_EQ(checksum_of({}), 0xffff); }

}  // namespace
}  // namespace tailrace::net
