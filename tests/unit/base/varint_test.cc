#include "base/varint.h"

#include <gtest/gtest.h>

#include <array>

namespace tailrace {
namespace {

TEST(Varint, RoundTripsAtEveryLength) {
  for (int shift = 0; shift < 64; ++shift) {
    for (const std::uint64_t value : {std::uint64_t{1} << shift, (std::uint64_t{1} << shift) - 1}) {
      std::array<std::byte, varint_bytes_max> buffer;
      const std::size_t size = store_uvarint(buffer.data(), value);
      ASSERT_EQ(size, uvarint_size(value));
      Bytes bytes{buffer.data(), size};
      ASSERT_EQ(take_uvarint(bytes).value(), value);
      ASSERT_TRUE(bytes.empty());
    }
  }
}

TEST(Varint, TellsTruncatedFromMalformed) {
  std::array<std::byte, 11> ones;
  ones.fill(std::byte{0xff});
  Bytes shorter{ones.data(), 5};
  EXPECT_EQ(take_uvarint(shorter).error().code, Errc::truncated);
  Bytes longer{ones};
  EXPECT_EQ(take_uvarint(longer).error().code, Errc::malformed);
}

TEST(Varint, ZigzagKeepsSmallNegativesSmall) {
  EXPECT_EQ(zigzag_encoded(-1), 1u);
  EXPECT_EQ(zigzag_encoded(1), 2u);
  EXPECT_EQ(zigzag_decoded(zigzag_encoded(INT64_MIN)), INT64_MIN);
}

}  // namespace
}  // namespace tailrace
