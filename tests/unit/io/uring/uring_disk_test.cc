#include "io/uring/uring_disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "base/aligned.h"
#include "support.h"

namespace tailrace::io {
namespace {

struct DiskTest : ::testing::Test {
  DiskTest() { start({}); }
  void start(const DiskOptions& options, const std::string& root = {}) {
    disk.reset();
    std::string why;
    auto made = UringDisk::create(*ring, root.empty() ? folder.path : root, options, why);
    ASSERT_TRUE(made.has_value()) << why;
    disk = std::move(*made);
  }

  // Runs one operation to its end.
  std::int64_t run(DiskOp op) {
    op.tag = ++tag;
    EXPECT_EQ(disk->submit({&op, 1}), 1u);
    const std::vector<DiskDone> done = collect(1);
    EXPECT_EQ(done.at(0).tag, op.tag);
    return done.at(0).result;
  }
  std::vector<DiskDone> collect(std::size_t count) {
    std::vector<DiskDone> all;
    const Instant end = Ring::monotonic_now() + seconds(10);
    while (all.size() < count && Ring::monotonic_now() < end) {
      std::array<DiskDone, 16> some;
      const std::size_t got = disk->poll(some);
      all.insert(all.end(), some.begin(), some.begin() + std::ptrdiff_t(got));
      if (got == 0) ring->wait(Ring::monotonic_now() + milliseconds(100));
    }
    EXPECT_EQ(all.size(), count);
    return all;
  }
  FileId open(std::string_view name, std::uint8_t flags = open_create) {
    const std::int64_t result = run({.kind = DiskOpKind::open, .flags = flags, .name = name});
    EXPECT_GE(result, 0) << std::strerror(int(-result));
    return static_cast<FileId>(result);
  }
  std::int64_t on_file(DiskOpKind kind, FileId file, std::uint64_t pos = 0, MutableBytes block = {},
                       std::uint64_t size = 0) {
    return run({.kind = kind, .file = file, .file_pos = pos, .size = size, .block = block});
  }
  std::int64_t on_name(DiskOpKind kind, std::string_view name, std::string_view to = "") {
    return run({.kind = kind, .name = name, .name_to = to});
  }
  std::uint64_t size_of(const std::string& name) {
    return std::filesystem::file_size(folder.path + "/" + name);
  }

  TemporaryFolder folder;
  std::unique_ptr<Ring> ring = make_ring();
  std::unique_ptr<UringDisk> disk;
  std::uint64_t tag = 0;
};

AlignedBuffer filled(std::size_t bytes, int value) {
  AlignedBuffer buffer(bytes);
  std::memset(buffer.data(), value, buffer.size());
  return buffer;
}

TEST_F(DiskTest, WritesAndReadsBackDirectly) {
  const FileId file = open("a");
  for (const DiskOpKind kind : {DiskOpKind::write, DiskOpKind::write_durable}) {
    AlignedBuffer out = filled(65536, kind == DiskOpKind::write ? 1 : 2);
    EXPECT_EQ(on_file(kind, file, 4096, out.bytes()), 65536);
    EXPECT_EQ(on_file(DiskOpKind::sync, file), 0);
    AlignedBuffer in(65536);
    EXPECT_EQ(on_file(DiskOpKind::read, file, 4096, in.bytes()), 65536);
    EXPECT_EQ(std::memcmp(in.data(), out.data(), in.size()), 0);
  }
  EXPECT_EQ(size_of("a"), 4096u + 65536u);
  EXPECT_EQ(on_file(DiskOpKind::close, file), 0);
}

TEST_F(DiskTest, UsesDirectIoUnlessAskedNotTo) {
  const auto flags_of_newest = [&] {
    // The descriptor numbers are the disk's own: look for the file among the process's.
    for (int fd = 0; fd < 256; ++fd) {
      std::error_code ignored;
      const auto target =
          std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored);
      if (target == folder.path + "/f") return ::fcntl(fd, F_GETFL);
    }
    return 0;
  };
  const FileId direct = open("f");
  EXPECT_NE(flags_of_newest() & O_DIRECT, 0);
  EXPECT_EQ(on_file(DiskOpKind::close, direct), 0);
  const FileId buffered = open("f", open_buffered);
  EXPECT_EQ(flags_of_newest() & O_DIRECT, 0);
  EXPECT_EQ(on_file(DiskOpKind::close, buffered), 0);
  start({.direct = false});
  open("f");
  EXPECT_EQ(flags_of_newest() & O_DIRECT, 0);
}

TEST_F(DiskTest, ReadsAreShortOnlyAtTheEndOfTheFile) {
  std::ofstream(folder.path + "/odd") << std::string(10'000, 'x');
  AlignedBuffer block(16384);
  for (const std::uint8_t flags : {std::uint8_t{0}, open_buffered}) {
    const FileId file = open("odd", flags);
    EXPECT_EQ(on_file(DiskOpKind::read, file, 0, block.bytes()), 10'000);
    EXPECT_EQ(on_file(DiskOpKind::read, file, 8192, block.bytes()), 10'000 - 8192);
    EXPECT_EQ(on_file(DiskOpKind::read, file, 12288, block.bytes()), 0);
  }
}

TEST_F(DiskTest, ReadsBufferedFilesAtAnyPosition) {
  std::ofstream(folder.path + "/small") << "hello world";
  const FileId file = open("small", open_buffered);
  AlignedBuffer block(4096);
  EXPECT_EQ(on_file(DiskOpKind::read, file, 6, block.bytes().subspan(1, 5)), 5);
  EXPECT_EQ(as_text(block.bytes().subspan(1, 5)), "world");
}

TEST_F(DiskTest, WorksTheSameInRegisteredMemory) {
  AlignedBuffer memory = filled(1 << 20, 7);
  const MutableBytes regions[] = {memory.bytes()};
  const bool is_registered = ring->register_memory(regions);
  if (!is_registered) GTEST_SKIP() << ring->description();
  EXPECT_EQ(ring->registered_buffer(memory.bytes().subspan(4096, 4096)), 0);
  EXPECT_EQ(ring->registered_buffer({memory.data() + memory.size() - 1, 2}), -1);
  const FileId file = open("a");
  EXPECT_EQ(on_file(DiskOpKind::write_durable, file, 0, memory.bytes().subspan(8192, 8192)), 8192);
  EXPECT_EQ(on_file(DiskOpKind::read, file, 0, memory.bytes().subspan(65536, 8192)), 8192);
  EXPECT_NE(ring->description().find("registered buffers: yes, 1 MiB"), std::string::npos);
}

TEST_F(DiskTest, AllocatesAndTruncates) {
  const FileId file = open("a");
  EXPECT_EQ(on_file(DiskOpKind::allocate, file, 0, {}, 1 << 20), 0);
  EXPECT_EQ(size_of("a"), 1u << 20);
  EXPECT_EQ(on_file(DiskOpKind::truncate, file, 8192), 0);
  EXPECT_EQ(size_of("a"), 8192u);
  EXPECT_EQ(on_file(DiskOpKind::truncate, file, 16384), 0);
  EXPECT_EQ(size_of("a"), 16384u);
}

TEST_F(DiskTest, MakesRenamesListsAndRemoves) {
  EXPECT_EQ(on_name(DiskOpKind::make_directory, "d"), 0);
  EXPECT_EQ(on_name(DiskOpKind::make_directory, "d"), 0);
  EXPECT_EQ(on_name(DiskOpKind::make_directory, "d/e"), 0);
  const FileId file = open("d/old");
  EXPECT_EQ(on_file(DiskOpKind::close, file), 0);
  EXPECT_EQ(on_name(DiskOpKind::rename, "d/old", "d/new"), 0);
  EXPECT_EQ(on_name(DiskOpKind::rename, "d/old", "d/new"), -ENOENT);
  for (const char* name : {"d", "", "."}) {
    EXPECT_EQ(on_name(DiskOpKind::sync_directory, name), 0);
  }
  EXPECT_EQ(on_name(DiskOpKind::sync_directory, "gone"), -ENOENT);

  auto entries = disk->list("d");
  ASSERT_TRUE(entries.has_value());
  std::sort(entries->begin(), entries->end(),
            [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_TRUE(entries->at(0).is_directory);
  EXPECT_EQ(entries->at(1).name, "new");
  EXPECT_FALSE(entries->at(1).is_directory);
  EXPECT_EQ(disk->list("gone").error().code, Errc::not_found);
  EXPECT_EQ(disk->list("")->size(), 1u);

  EXPECT_EQ(on_name(DiskOpKind::remove, "d/new"), 0);
  EXPECT_EQ(on_name(DiskOpKind::remove, "d/new"), 0);
  EXPECT_EQ(on_name(DiskOpKind::remove_directory, "d"), -ENOTEMPTY);
  EXPECT_EQ(on_name(DiskOpKind::remove_directory, "d/e"), 0);
  EXPECT_EQ(on_name(DiskOpKind::remove_directory, "d/e"), 0);
}

TEST_F(DiskTest, TellsOpenErrorsAndReusesFileIds) {
  EXPECT_EQ(run({.kind = DiskOpKind::open, .name = FileName("gone")}), -ENOENT);
  start({.open_files_max = 2});
  const FileId a = open("a");
  open("b");
  EXPECT_EQ(run({.kind = DiskOpKind::open, .flags = open_create, .name = FileName("c")}), -EMFILE);
  EXPECT_EQ(on_file(DiskOpKind::close, a), 0);
  EXPECT_EQ(open("c"), a);
}

TEST_F(DiskTest, KeepsTheCapsOfTheClassesApart) {
  start({.class_caps = {4, 2, 3, 1}});
  const FileId file = open("a");
  AlignedBuffer block = filled(4096, 1);
  std::vector<DiskOp> writes(10, {.kind = DiskOpKind::write,
                                  .disk_class = DiskClass::segment,
                                  .file = file,
                                  .block = block.bytes()});
  EXPECT_EQ(disk->submit(writes), 2u);
  EXPECT_EQ(disk->submit(writes), 0u);
  for (DiskOp& op : writes) op.disk_class = DiskClass::wal;
  EXPECT_EQ(disk->submit(writes), 4u);   // A full class does not keep another waiting.
  EXPECT_EQ(disk->in_flight(DiskClass::segment), 2u);
  EXPECT_EQ(disk->in_flight(DiskClass::wal), 4u);
  collect(6);
  EXPECT_EQ(disk->in_flight(DiskClass::wal), 0u);
  EXPECT_EQ(disk->submit(writes), 4u);
  collect(4);
}

TEST_F(DiskTest, ManyWritesInFlightAllLand) {
  const FileId file = open("a");
  AlignedBuffer blocks(64 * 4096);
  std::vector<DiskOp> writes;
  for (std::size_t i = 0; i < 64; ++i) {
    const MutableBytes block = blocks.bytes().subspan(i * 4096, 4096);
    std::memset(block.data(), int(i + 1), block.size());
    writes.push_back({.kind = DiskOpKind::write, .disk_class = DiskClass::wal, .file = file,
                      .file_pos = i * 4096, .block = block, .tag = i});
  }
  ASSERT_EQ(disk->submit(writes), 64u);
  for (const DiskDone& done : collect(64)) EXPECT_EQ(done.result, 4096);
  EXPECT_EQ(on_file(DiskOpKind::sync, file), 0);
  AlignedBuffer in(64 * 4096);
  EXPECT_EQ(on_file(DiskOpKind::read, file, 0, in.bytes()), 64 * 4096);
  EXPECT_EQ(std::memcmp(in.data(), blocks.data(), in.size()), 0);
}

TEST_F(DiskTest, ReportsAShortWriteAsItIs) {
  ::signal(SIGXFSZ, SIG_IGN);
  const FileId file = open("a");
  AlignedBuffer block = filled(65536, 1);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 8192;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_EQ(on_file(DiskOpKind::write, file, 4096, block.bytes()), 4096);
  EXPECT_EQ(on_file(DiskOpKind::write, file, 8192, block.bytes()), -EFBIG);
  ::setrlimit(RLIMIT_FSIZE, &before);
}

TEST_F(DiskTest, ReportsAFullDisk) {
  const std::string small = folder.path + "/small";
  std::filesystem::create_directory(small);
  if (::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs: " << std::strerror(errno);
  }
  start({.direct = false}, small);
  const FileId file = open("a");
  AlignedBuffer block = filled(65536, 1);
  EXPECT_GT(disk->space().total_bytes, 0u);
  EXPECT_EQ(disk->space().total_bytes, 65536u);
  EXPECT_EQ(on_file(DiskOpKind::write, file, 0, block.bytes()), 65536);
  EXPECT_EQ(on_file(DiskOpKind::write, file, 65536, block.bytes()), -ENOSPC);
  EXPECT_EQ(on_file(DiskOpKind::allocate, file, 65536, {}, 65536), -ENOSPC);
  EXPECT_EQ(on_name(DiskOpKind::remove, "a"), 0);   // Removing works on a full disk.
  disk.reset();
  EXPECT_EQ(::umount(small.c_str()), 0);
}

TEST_F(DiskTest, WaitsForWhatIsInFlightWhenItIsDestroyed) {
  const FileId file = open("a");
  AlignedBuffer block = filled(1 << 20, 9);
  DiskOp op{.kind = DiskOpKind::write, .file = file, .block = block.bytes()};
  ASSERT_EQ(disk->submit({&op, 1}), 1u);
  disk.reset();
  EXPECT_EQ(size_of("a"), 1u << 20);
}

TEST(UringDisk, AMissingRootIsToldToTheOperator) {
  auto ring = make_ring();
  std::string why;
  auto disk = UringDisk::create(*ring, "/no/such/place", {}, why);
  ASSERT_FALSE(disk.has_value());
  EXPECT_EQ(disk.error().code, Errc::not_found);
  EXPECT_NE(why.find("/no/such/place"), std::string::npos);
}

}  // namespace
}  // namespace tailrace::io
