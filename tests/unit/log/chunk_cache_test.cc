#include "log/chunk_cache.h"

#include <gtest/gtest.h>

#include "base/aligned.h"

namespace tailrace::log {
namespace {

constexpr std::size_t chunk_bytes = 2 * disk_block_bytes;

class ChunkCacheTest : public testing::Test {
 protected:
  ChunkId acquire_sealed() {
    const ChunkId chunk = cache_.acquire();
    cache_.seal(chunk);
    return chunk;
  }
  AlignedBuffer memory_{3 * chunk_bytes};
  ChunkCache cache_{memory_.bytes(), chunk_bytes};
};

TEST_F(ChunkCacheTest, hands_out_every_chunk_once_then_refuses) {
  EXPECT_EQ(cache_.chunk_count(), 3U);
  const ChunkId a = cache_.acquire();
  const ChunkId b = cache_.acquire();
  const ChunkId c = cache_.acquire();
  EXPECT_NE(cache_.bytes(a).data(), cache_.bytes(b).data());
  EXPECT_NE(cache_.bytes(b).data(), cache_.bytes(c).data());
  EXPECT_EQ(cache_.bytes(c).size(), chunk_bytes);
  EXPECT_EQ(cache_.acquire().index, UINT32_MAX);  // All are open.
}

TEST_F(ChunkCacheTest, the_oldest_clean_unpinned_chunk_is_taken_again) {
  const ChunkId dirty = acquire_sealed();
  const ChunkId pinned = acquire_sealed();
  const ChunkId clean = acquire_sealed();
  cache_.add_dirty(dirty, 100);
  cache_.pin(pinned);

  const ChunkId again = cache_.acquire();
  EXPECT_EQ(again.index, clean.index);
  EXPECT_FALSE(cache_.holds(clean));  // A reference to the old bytes finds that they are gone.
  EXPECT_TRUE(cache_.holds(again));
  EXPECT_TRUE(cache_.holds(dirty));
  EXPECT_EQ(cache_.acquire().index, UINT32_MAX);

  cache_.sub_dirty(dirty, 100);
  EXPECT_EQ(cache_.acquire().index, dirty.index);
  cache_.unpin(pinned);
  EXPECT_EQ(cache_.acquire().index, pinned.index);
}

TEST_F(ChunkCacheTest, age_counts_from_the_last_use) {
  const ChunkId a = acquire_sealed();
  const ChunkId b = acquire_sealed();
  const ChunkId c = acquire_sealed();
  EXPECT_EQ(acquire_sealed().index, a.index);
  EXPECT_EQ(acquire_sealed().index, b.index);
  EXPECT_EQ(acquire_sealed().index, c.index);
}

TEST_F(ChunkCacheTest, dirty_bytes_add_up_over_chunks) {
  const ChunkId a = cache_.acquire();
  const ChunkId b = cache_.acquire();
  cache_.add_dirty(a, 10);
  cache_.add_dirty(b, 5);
  cache_.sub_dirty(a, 4);
  EXPECT_EQ(cache_.dirty_bytes(), 11U);
}

TEST_F(ChunkCacheTest, no_reference_holds_before_the_first_use) {
  EXPECT_FALSE(cache_.holds(ChunkId{}));
  EXPECT_FALSE(cache_.holds(ChunkId{.index = 0, .use = 0}));
}

TEST(ChunkCacheDeathTest, uncounted_use_is_our_own_mistake) {
  AlignedBuffer memory(chunk_bytes);
  ChunkCache cache(memory.bytes(), chunk_bytes);
  const ChunkId chunk = cache.acquire();
  EXPECT_DEATH(cache.unpin(chunk), "pin_count");
  EXPECT_DEATH(cache.sub_dirty(chunk, 1), "dirty_bytes");
}

}  // namespace
}  // namespace tailrace::log
