// The fake disk is what the log's tests stand on, so it is tested itself: what a crash may keep
// and must keep.
#include "support/fake_disk.h"

#include <gtest/gtest.h>

#include "log/op_queue.h"

namespace tailrace::test {
namespace {

class FakeDiskTest : public testing::Test {
 protected:
  FakeDiskTest() : file_(disk_.open_now("file")) {}
  void submit(DiskOpKind kind, std::uint64_t file_pos, AlignedBuffer& block) {
    const DiskOp op{.kind = kind, .file = file_, .file_pos = file_pos, .block = block.bytes()};
    EXPECT_EQ(disk_.submit({&op, 1}), 1U);
  }
  static AlignedBuffer filled(int value) {
    AlignedBuffer block(disk_block_bytes);
    std::memset(block.data(), value, block.size());
    return block;
  }
  FakeDisk disk_;
  FileId file_;
  AlignedBuffer ones_ = filled(1);
  AlignedBuffer twos_ = filled(2);
};

TEST_F(FakeDiskTest, a_sync_covers_only_what_had_completed_when_it_started) {
  submit(DiskOpKind::write, 0, ones_);
  (void)disk_.complete(0);
  submit(DiskOpKind::write, 4096, twos_);
  submit(DiskOpKind::sync, 0, ones_);
  (void)disk_.complete(0);  // The second write, too late for the sync.
  (void)disk_.complete(0);
  disk_.crash_keeping([](const std::string&, std::uint64_t) { return false; });
  EXPECT_EQ(disk_.bytes("file").size(), 4096U);
  EXPECT_EQ(disk_.bytes("file")[0], std::byte{1});
}

TEST_F(FakeDiskTest, a_crash_tears_by_sector) {
  submit(DiskOpKind::write, 0, ones_);
  (void)disk_.complete(0);
  submit(DiskOpKind::sync, 0, ones_);
  (void)disk_.complete(0);
  submit(DiskOpKind::write, 0, twos_);  // Not even completed.
  disk_.crash_keeping([](const std::string&, std::uint64_t pos) { return pos == 512; });
  EXPECT_EQ(disk_.bytes("file")[511], std::byte{1});
  EXPECT_EQ(disk_.bytes("file")[512], std::byte{2});
  EXPECT_EQ(disk_.bytes("file")[1024], std::byte{1});
}

TEST_F(FakeDiskTest, a_durable_write_survives_without_a_sync) {
  submit(DiskOpKind::write_durable, 0, ones_);
  (void)disk_.complete(0);
  disk_.crash_keeping([](const std::string&, std::uint64_t) { return false; });
  EXPECT_EQ(disk_.bytes("file").size(), 4096U);
}

TEST_F(FakeDiskTest, operations_fail_and_fall_short_on_request) {
  disk_.fail_next(DiskOpKind::sync, EIO);
  submit(DiskOpKind::sync, 0, ones_);
  EXPECT_EQ(disk_.complete(0).result, -EIO);
  disk_.cut_next(DiskOpKind::write, 512);
  submit(DiskOpKind::write, 0, ones_);
  EXPECT_EQ(disk_.complete(0).result, 512);
}

TEST_F(FakeDiskTest, a_directory_lists_what_lies_directly_in_it) {
  disk_.put("wal/0.wal", std::vector<std::byte>(10));
  disk_.put("topics/a/0.log", {});
  const auto wal = disk_.list("wal");
  ASSERT_TRUE(wal);
  ASSERT_EQ(wal->size(), 1U);
  EXPECT_EQ((*wal)[0].name, "0.wal");
  EXPECT_EQ((*wal)[0].size_bytes, 10U);
  EXPECT_TRUE((*disk_.list("topics"))[0].is_directory);
  EXPECT_EQ(disk_.list("nowhere").error().code, Errc::not_found);
}

}  // namespace
}  // namespace tailrace::test
