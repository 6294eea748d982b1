#include "io/uring/receive_pool.h"

#include <gtest/gtest.h>

namespace tailrace::io {
namespace {

TEST(ReceivePool, ChainsBuffersInOrderAndCountsTheFreeOnes) {
  ReceivePool pool(4096, 5);
  BufferList list;
  EXPECT_TRUE(list.empty());
  for (const std::uint32_t index : {3u, 0u, 4u}) pool.append(list, index, index + 1);
  EXPECT_EQ(pool.free_count(), 2u);
  for (const std::uint32_t index : {3u, 0u, 4u}) {
    ASSERT_EQ(pool.pop(list), index);
    EXPECT_EQ(pool.bytes_of(index).size(), index + 1);
    pool.recycle(index);
  }
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(pool.free_count(), 5u);
}

TEST(ReceivePoolDeathTest, CatchesATokenReleasedTwice) {
  ReceivePool pool(4096, 2);
  BufferList list;
  pool.append(list, 1, 10);
  pool.recycle(pool.pop(list));
  EXPECT_DEATH(pool.recycle(1), "is_out");
}

}  // namespace
}  // namespace tailrace::io
