#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <vector>

namespace tailrace {
namespace {

TEST(Crc32c, MatchesTheVectorOfRfc3720) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, ExtendsOverPieces) {
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xe3069283u);
}

TEST(Crc32c, CopyGivesTheSameChecksumAndBytes) {
  for (const std::size_t size : {0u, 1u, 63u, 4095u, 4096u, 4097u, 100'000u}) {
    std::vector<std::byte> from(size);
    for (std::size_t i = 0; i < size; ++i) from[i] = static_cast<std::byte>(i * 31);
    std::vector<std::byte> to(size);
    EXPECT_EQ(copy_and_crc32c(to.data(), from), crc32c(from));
    EXPECT_EQ(to, from);
  }
}

}  // namespace
}  // namespace tailrace
