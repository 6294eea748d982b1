#include "log/manifest.h"

#include <gtest/gtest.h>

#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

const Manifest three{.generation = 3, .core_count = 4, .ring_bytes = 1U << 20};

TEST(Manifest, ReadsBackWhatWasStored) {
  AlignedBuffer block(disk_block_bytes);
  store_manifest(block.bytes(), three);
  const auto manifest = parse_manifest(block.bytes());
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->generation, 3u);
  EXPECT_EQ(manifest->core_count, 4u);
  EXPECT_EQ(manifest->ring_bytes, 1u << 20);
}

TEST(Manifest, EveryFlippedBitIsSeen) {
  AlignedBuffer block(disk_block_bytes);
  store_manifest(block.bytes(), three);
  for (std::size_t bit = 0; bit < 36 * 8; ++bit) {
    block.data()[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_FALSE(parse_manifest(block.bytes())) << bit;
    block.data()[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
  }
  EXPECT_EQ(parse_manifest(Bytes(block.bytes()).first(100)).error().code, Errc::truncated);
}

TEST(ManifestWriter, AFailureAtAnyStepLeavesTheOldOneInForce) {
  for (const DiskOpKind kind : {DiskOpKind::open, DiskOpKind::write, DiskOpKind::sync,
                                DiskOpKind::rename}) {
    test::FakeDisk disk;
    disk.put(std::string(manifest_path), std::vector<std::byte>(10, std::byte{1}));
    OpQueue queue;
    ManifestWriter writer(queue);
    disk.fail_next(kind, 5);
    writer.start(three);
    disk.run(queue, [&](const DiskDone& done) { writer.on_disk_done(done); });
    EXPECT_EQ(writer.error_number(), 5);
    EXPECT_EQ(disk.bytes(std::string(manifest_path)).size(), 10u);
    writer.start(three);
    disk.run(queue, [&](const DiskDone& done) { writer.on_disk_done(done); });
    EXPECT_EQ(writer.error_number(), 0);
    EXPECT_TRUE(parse_manifest(disk.bytes(std::string(manifest_path))));
    EXPECT_EQ(disk.open_count(), 0u);
  }
}

}  // namespace
}  // namespace tailrace::log
