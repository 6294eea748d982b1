#include "runtime/mapped_memory.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

TEST(MappedMemory, IsZeroedAndInWholeBlocks) {
  MappedMemory memory(5000);
  ASSERT_TRUE(memory.good());
  EXPECT_EQ(memory.bytes().size(), 2 * disk_block_bytes);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.bytes().data()) % disk_block_bytes, 0u);
  for (const std::byte byte : memory.bytes()) EXPECT_EQ(byte, std::byte{0});
}

TEST(MappedMemory, MoreThanThereCanBeIsRefused) {
  EXPECT_FALSE(MappedMemory(std::size_t{1} << 62).good());
}

}  // namespace
}  // namespace tailrace::runtime
