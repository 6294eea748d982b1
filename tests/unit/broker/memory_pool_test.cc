#include "broker/memory_pool.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace tailrace::broker {
namespace {

TEST(MemoryPool, GivesPiecesUntilItIsFullAndTakesThemBack) {
  MemoryPool pool(8192);
  std::vector<MutableBytes> pieces;
  while (pool.can_allocate(512)) pieces.push_back(pool.allocate(512));
  EXPECT_EQ(pieces.size(), 16u);
  EXPECT_TRUE(pool.allocate(1).empty());
  for (MutableBytes& piece : pieces) pool.free(piece);
  EXPECT_EQ(pool.used_bytes(), 0u);
  EXPECT_EQ(pool.allocate(8192).size(), 8192u);  // Neighbours were put together again.
}

TEST(MemoryPool, SizesThatAreNoPowerOfTwoAreUsedWhole) {
  MemoryPool pool(7 * 4096);
  EXPECT_EQ(pool.piece_bytes_max(), 4U * 4096);
  EXPECT_TRUE(pool.allocate(5 * 4096).empty());
  EXPECT_EQ(pool.allocate(4 * 4096).size(), 4U * 4096);
  EXPECT_EQ(pool.allocate(2 * 4096).size(), 2U * 4096);
  EXPECT_EQ(pool.allocate(4096).size(), 4096u);
  EXPECT_FALSE(pool.can_allocate(1));
}

TEST(MemoryPool, PiecesNeverOverlapWhateverTheOrder) {
  Prng prng(11, "memory_pool");
  MemoryPool pool(1U << 20);
  std::vector<std::pair<MutableBytes, std::byte>> pieces;
  for (int i = 0; i < 20'000; ++i) {
    if (pieces.empty() || prng.chance(1, 2)) {
      const MutableBytes piece = pool.allocate(prng.between(1, 40'000));
      if (piece.empty()) continue;
      const auto mark = static_cast<std::byte>(prng.next());
      std::fill(piece.begin(), piece.end(), mark);
      pieces.push_back({piece, mark});
    } else {
      auto& [piece, mark] = pieces[prng.below(pieces.size())];
      ASSERT_EQ(piece.front(), mark);
      ASSERT_EQ(piece.back(), mark);
      pool.free(piece);
      std::swap(pieces.back(), *std::find_if(pieces.begin(), pieces.end(),
                                             [](const auto& p) { return p.first.empty(); }));
      pieces.pop_back();
    }
  }
  for (auto& [piece, mark] : pieces) pool.free(piece);
  EXPECT_EQ(pool.used_bytes(), 0u);
  EXPECT_EQ(pool.allocate(1U << 20).size(), 1U << 20);
}

}  // namespace
}  // namespace tailrace::broker
