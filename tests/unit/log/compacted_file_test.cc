#include "log/compacted_file.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/aligned.h"
#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

constexpr std::uint64_t tag = make_tag(Asker::compactor, 1);

struct CompactedFileTest : testing::Test {
  CompactedFileTest() {
    limits.frame_bytes_max = 32U << 10;
    limits.segment_write_bytes = 8U << 10;
    memory = std::make_unique<AlignedBuffer>(CompactedFile::buffer_bytes(limits));
    file = std::make_unique<CompactedFile>(limits, memory->bytes(), tag, queue);
    queue.push({.kind = DiskOpKind::make_directory, .name = FileName("d")});
    disk.run(queue, [](const DiskDone&) {});
  }
  // Does what is asked for; true when the file is ready, done or failed then.
  void run() {
    disk.run(queue, [&](const DiskDone& done) { file->on_disk_done(done); });
  }
  std::vector<std::byte> write(std::size_t count, std::size_t size) {
    std::vector<std::byte> all;
    file->start(FileName("d/f.log"));
    run();
    for (std::size_t i = 0; i < count && file->ready(); ++i) {
      const std::vector<std::byte> piece(size, static_cast<std::byte>(i + 1));
      file->append(piece);
      all.insert(all.end(), piece.begin(), piece.end());
      run();
    }
    if (file->ready()) file->finish();
    run();
    return all;
  }

  Limits limits;
  test::FakeDisk disk;
  OpQueue queue;
  std::unique_ptr<AlignedBuffer> memory;
  std::unique_ptr<CompactedFile> file;
};

TEST_F(CompactedFileTest, WhatIsAppendedIsThereAndDurable) {
  for (const std::size_t size : {1U, 100U, 4096U, 5000U, 20'000U}) {
    const std::vector<std::byte> all = write(17, size);
    ASSERT_TRUE(file->done()) << size;
    EXPECT_EQ(file->size_bytes(), all.size());
    Prng prng(size);
    disk.crash(prng);
    const std::vector<std::byte> found = disk.bytes("d/f.log");
    ASSERT_EQ(found.size(), round_up(all.size(), disk_block_bytes)) << "the older file was longer";
    EXPECT_TRUE(std::equal(all.begin(), all.end(), found.begin()));
    file->reset();
    EXPECT_TRUE(file->is_closed());
  }
}

TEST_F(CompactedFileTest, EveryErrorEndsInFailureWithTheFileClosed) {
  for (const DiskOpKind kind : {DiskOpKind::open, DiskOpKind::write, DiskOpKind::sync,
                                DiskOpKind::sync_directory}) {
    disk.fail_next(kind, ENOSPC);
    write(9, 5000);
    EXPECT_TRUE(file->failed());
    EXPECT_EQ(file->error_number(), ENOSPC);
    EXPECT_EQ(disk.open_count(), 0U);
    file->reset();
  }
}

TEST_F(CompactedFileTest, WhatIsGivenUpIsClosed) {
  file->start(FileName("d/f.log"));
  run();
  file->append(std::vector<std::byte>(100));
  file->give_up();
  run();
  EXPECT_TRUE(file->failed());
  EXPECT_EQ(disk.open_count(), 0U);
}

}  // namespace
}  // namespace tailrace::log
