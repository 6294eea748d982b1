#include "log/segment_scan.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/aligned.h"
#include "record/batch_builder.h"
#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

constexpr std::uint64_t tag = make_tag(Asker::compactor, 0);

struct SegmentScanTest : testing::Test {
  SegmentScanTest() {
    limits.frame_bytes_max = 512U << 10;
    limits.read_buffer_bytes = 16U << 10;
    memory = std::make_unique<AlignedBuffer>(limits.read_bytes());
    files = std::make_unique<FileTable>(4, queue);
    scan = std::make_unique<SegmentScan>(limits, memory->bytes(), tag, *files, queue);
  }
  // Batches of one record each, at these offsets, with values of this size.
  void make(const std::vector<std::int64_t>& offsets, std::size_t value_bytes,
            std::uint32_t generation) {
    record::BatchBuilder builder(600'000);
    std::vector<std::byte> bytes;
    for (const std::int64_t offset : offsets) {
      builder.start({.base_offset = offset});
      const std::string value(value_bytes, 'v');
      builder.add({.timestamp = 5, .key = "k", .value = std::string_view(value)});
      const Bytes batch = *builder.finish();
      bytes.insert(bytes.end(), batch.begin(), batch.end());
    }
    segment = {.base_offset = 10, .end_offset = 1000, .size_bytes = bytes.size(),
               .generation = generation};
    bytes.resize(round_up(bytes.size(), disk_block_bytes));
    disk.put("s.log", bytes);
  }
  void run() {
    disk.run(queue, [&](const DiskDone& done) {
      if (asker_of(done.tag) == Asker::file_table) files->on_disk_done(done);
      if (asker_of(done.tag) == Asker::compactor) scan->on_disk_done(done);
      scan->step();
    });
  }
  std::vector<std::int64_t> offsets() {
    std::vector<std::int64_t> found;
    scan->start(FileName("s.log"), segment);
    run();
    while (scan->state() == SegmentScan::State::batch) {
      found.push_back(scan->batch().header.base_offset);
      EXPECT_TRUE(record::crc_matches(scan->batch().bytes));
      scan->next();
      run();
    }
    end = scan->state();
    scan->close();
    return found;
  }

  Limits limits;
  test::FakeDisk disk;
  OpQueue queue;
  std::unique_ptr<AlignedBuffer> memory;
  std::unique_ptr<FileTable> files;
  std::unique_ptr<SegmentScan> scan;
  SegmentInfo segment;
  SegmentScan::State end = SegmentScan::State::idle;
};

TEST_F(SegmentScanTest, EveryBatchComesInOrder) {
  for (const std::size_t size : {10U, 5000U, 100'000U, 400'000U}) {
    std::vector<std::int64_t> all;
    for (std::int64_t i = 10; i < 25; ++i) all.push_back(i);
    make(all, size, 0);
    EXPECT_EQ(offsets(), all) << size;
    EXPECT_EQ(end, SegmentScan::State::end);
  }
}

TEST_F(SegmentScanTest, GapsAreForSegmentsThatWereCompacted) {
  make({12, 13, 40}, 10, 3);
  EXPECT_EQ(offsets(), (std::vector<std::int64_t>{12, 13, 40}));
  EXPECT_EQ(end, SegmentScan::State::end);
  make({10, 11, 40}, 10, 0);
  EXPECT_EQ(offsets(), (std::vector<std::int64_t>{10, 11}));
  EXPECT_EQ(end, SegmentScan::State::failed);
  make({12, 11}, 10, 3);
  EXPECT_EQ(offsets(), (std::vector<std::int64_t>{12}));
  EXPECT_EQ(end, SegmentScan::State::failed);
}

TEST_F(SegmentScanTest, RotIsFound) {
  for (const std::uint64_t at : {3U, 9U, 16U, 30U, 70U}) {
    make({10, 11, 12}, 100, 0);
    disk.flip_bit("s.log", at);
    EXPECT_TRUE(offsets().empty()) << at;
    EXPECT_EQ(end, SegmentScan::State::failed);
    EXPECT_EQ(scan->error().code, Errc::corrupt);
  }
}

TEST_F(SegmentScanTest, AFileThatIsTooShortIsDamage) {
  for (const std::size_t size : {0U, 4096U, 8192U}) {
    make({10, 11, 12}, 5000, 0);
    disk.bytes("s.log").resize(size);
    offsets();
    EXPECT_EQ(end, SegmentScan::State::failed) << size;
    EXPECT_EQ(scan->error().code, Errc::corrupt);
  }
}

TEST_F(SegmentScanTest, ErrorsOfTheDiskAreTold) {
  make({10, 11}, 100, 0);
  disk.fail_next(DiskOpKind::read, EIO);
  EXPECT_TRUE(offsets().empty());
  EXPECT_EQ(scan->error().code, Errc::io);
  EXPECT_EQ(scan->error().detail, EIO);
  files->forget(FileName("s.log"));
  run();
  disk.fail_next(DiskOpKind::open, ENOENT);
  EXPECT_TRUE(offsets().empty());
  EXPECT_EQ(scan->error().code, Errc::not_found);
}

}  // namespace
}  // namespace tailrace::log
