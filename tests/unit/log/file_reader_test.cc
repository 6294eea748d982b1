#include "log/file_reader.h"

#include <gtest/gtest.h>

#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

Result<Bytes> read(test::FakeDisk& disk, FileReader& reader, OpQueue& queue, std::size_t max) {
  reader.start(FileName("file"), max);
  disk.run(queue, [&](const DiskDone& done) { reader.on_disk_done(done); });
  EXPECT_FALSE(reader.busy());
  EXPECT_EQ(disk.open_count(), 0u);
  return reader.content();
}

TEST(FileReader, ReadsFilesOfAnySize) {
  test::FakeDisk disk;
  OpQueue queue;
  FileReader reader(queue);
  for (const std::size_t size : {0U, 1U, 4096U, 262'144U, 262'145U, 1'000'000U}) {
    std::vector<std::byte> content(size);
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::byte>(i * 7);
    disk.put("file", content);
    const auto bytes = read(disk, reader, queue, 2'000'000);
    ASSERT_TRUE(bytes) << size;
    EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), content.begin(), content.end())) << size;
  }
}

TEST(FileReader, TellsWhatIsWrong) {
  test::FakeDisk disk;
  OpQueue queue;
  FileReader reader(queue);
  EXPECT_EQ(read(disk, reader, queue, 100).error().code, Errc::not_found);
  disk.put("file", std::vector<std::byte>(1000));
  EXPECT_EQ(read(disk, reader, queue, 999).error().code, Errc::too_large);
  disk.fail_next(DiskOpKind::read, 5);
  EXPECT_EQ(read(disk, reader, queue, 10'000).error(), (Error{Errc::io, 5}));
}

}  // namespace
}  // namespace tailrace::log
