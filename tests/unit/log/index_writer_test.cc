#include "log/index_writer.h"

#include <gtest/gtest.h>

#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

class IndexWriterTest : public testing::Test {
 protected:
  Index with_entries(int count) {
    Index index(100);
    for (int i = 1; i <= count; ++i) index.on_batch(i, 100U * static_cast<unsigned>(i), i);
    return index;
  }
  void store(const Index& index, std::uint64_t covered_bytes) {
    writer_.start(FileName("x/s.index"), index, covered_bytes);
    EXPECT_TRUE(writer_.busy());
    disk_.run(queue_, [&](const DiskDone& done) { writer_.on_disk_done(done); });
    EXPECT_FALSE(writer_.busy());
  }
  test::FakeDisk disk_;
  OpQueue queue_;
  IndexWriter writer_{queue_};
};

TEST_F(IndexWriterTest, what_is_stored_can_be_decoded) {
  const Index index = with_entries(1000);
  store(index, 200'000);
  const auto decoded = Index::decode(disk_.bytes("x/s.index"), 100);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->index.entries(), index.entries());
  EXPECT_EQ(decoded->covered_bytes, 200'000U);
  EXPECT_EQ(disk_.open_count(), 0U);
}

TEST_F(IndexWriterTest, a_shorter_one_over_a_longer_one) {
  store(with_entries(1000), 200'000);
  store(with_entries(3), 500);
  const auto decoded = Index::decode(disk_.bytes("x/s.index"), 100);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->index.entries().size(), 3U);
}

TEST_F(IndexWriterTest, failures_are_counted_and_harmless) {
  disk_.fail_next(DiskOpKind::open, EMFILE);
  store(with_entries(3), 500);
  disk_.fail_next(DiskOpKind::write, ENOSPC);
  store(with_entries(3), 500);
  disk_.cut_next(DiskOpKind::write, 100);
  store(with_entries(300), 50'000);
  EXPECT_EQ(writer_.failures(), 3U);
  EXPECT_EQ(disk_.open_count(), 0U);
  store(with_entries(3), 500);
  EXPECT_EQ(writer_.failures(), 3U);
}

}  // namespace
}  // namespace tailrace::log
