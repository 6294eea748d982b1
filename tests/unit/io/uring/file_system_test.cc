#include "io/uring/file_system.h"

#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "support.h"

namespace tailrace::io {
namespace {

bool mentions(const StorageVerdict& verdict, std::string_view text) {
  return std::any_of(verdict.lines.begin(), verdict.lines.end(), [&](const std::string& line) {
    return line.find(text) != std::string::npos;
  });
}

FileSystemReport report_of(std::string type, Durability durability, bool direct = true,
                           bool dsync = true) {
  return {.type = std::move(type), .directory = "/data", .direct_works = direct,
          .direct_errno = direct ? 0 : EINVAL, .dsync_works = dsync, .durability = durability};
}

TEST(FileSystem, LooksAtAFolderAndLeavesNothingBehind) {
  TemporaryFolder folder;
  auto report = examine_file_system(folder.path);
  ASSERT_TRUE(report.has_value());
  EXPECT_FALSE(report->type.empty());
  EXPECT_NE(report->description().find(report->type), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path));
  EXPECT_EQ(examine_file_system("/no/such/place").error().code, Errc::not_found);
}

TEST(FileSystem, KnowsMemoryWhenItSeesIt) {
  TemporaryFolder folder;
  const std::string mounted = folder.path + "/memory";
  std::filesystem::create_directory(mounted);
  if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "needs the right to mount a tmpfs: " << std::strerror(errno);
  }
  auto report = examine_file_system(mounted);
  ::umount(mounted.c_str());
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->type, "tmpfs");
  EXPECT_EQ(report->durability, Durability::none);
  EXPECT_FALSE(judge_storage(*report, {.direct = true}).allowed);
  EXPECT_TRUE(judge_storage(*report, {.direct = false}).allowed);
}

TEST(FileSystem, AFullDiskIsNotTakenForOneWithoutDirectWrites) {
  TemporaryFolder folder;
  const std::string mounted = folder.path + "/full";
  std::filesystem::create_directory(mounted);
  if (::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=4k") != 0) {
    GTEST_SKIP() << "needs the right to mount a tmpfs: " << std::strerror(errno);
  }
  std::ofstream(mounted + "/filler") << std::string(4096, 'x');
  auto report = examine_file_system(mounted);
  ::umount(mounted.c_str());
  ASSERT_TRUE(report.has_value());
  if (report->direct_errno == EINVAL) GTEST_SKIP() << "this kernel's tmpfs has no O_DIRECT";
  EXPECT_TRUE(report->is_full);
  EXPECT_TRUE(report->direct_works);
  EXPECT_NE(report->description().find("no space left"), std::string::npos);
}

TEST(FileSystem, SaysNothingAboutAGoodPlace) {
  const auto verdict = judge_storage(report_of("xfs", Durability::durable), {});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_TRUE(verdict.lines.empty());
}

TEST(FileSystem, RefusesWhatCannotDoWhatTheProfileAsks) {
  const auto no_direct =
      judge_storage(report_of("zfs", Durability::durable, false), {.direct = true});
  EXPECT_FALSE(no_direct.allowed);
  EXPECT_TRUE(mentions(no_direct, "storage.direct = false"));
  const auto buffered =
      judge_storage(report_of("zfs", Durability::durable, false), {.direct = false});
  EXPECT_TRUE(buffered.allowed);

  const auto fuse = report_of("fuse", Durability::unknown, true, false);
  const auto with_dsync = judge_storage(fuse, {.direct = true, .dsync = true});
  EXPECT_FALSE(with_dsync.allowed);
  EXPECT_TRUE(mentions(with_dsync, "storage.sync = \"fsync\""));
  const auto with_fsync = judge_storage(fuse, {.direct = true, .dsync = false});
  EXPECT_TRUE(with_fsync.allowed);
  EXPECT_TRUE(mentions(with_fsync, "server or daemon"));
}

TEST(FileSystem, AllowsAContainersLayerForATrial) {
  const auto verdict = judge_storage(report_of("overlay", Durability::trial), {});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_TRUE(mentions(verdict, "mount a volume"));
}

TEST(FileSystem, WarnsOfDiscard) {
  constexpr std::string_view mounts =
      "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
      "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,resv_strict\n"
      "28 27 254:16 / /discard rw,relatime - xfs /dev/discard rw,nodiscard\n"
      "29 27 254:32 / /b rw,discard - xfs";
  EXPECT_TRUE(mounted_with_discard(mounts, 254, 0));
  EXPECT_FALSE(mounted_with_discard(mounts, 254, 16));
  EXPECT_TRUE(mounted_with_discard(mounts, 254, 32));
  EXPECT_FALSE(mounted_with_discard(mounts, 25, 0));
  EXPECT_FALSE(mounted_with_discard("", 254, 0));

  auto report = report_of("ext4", Durability::durable);
  report.discards = true;
  const auto verdict = judge_storage(report, {});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_TRUE(mentions(verdict, "fstrim"));
}

TEST(FileLimit, IsRaisedToTheHardOne) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit low = before;
  low.rlim_cur = 100;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  const FileLimit enough = raise_file_limit(101);
  EXPECT_EQ(enough.before, 100u);
  EXPECT_EQ(enough.now, before.rlim_max);
  EXPECT_TRUE(enough.enough);
  const FileLimit too_few = raise_file_limit(before.rlim_max + 1);
  EXPECT_FALSE(too_few.enough);
  EXPECT_NE(too_few.line.find("ulimit -n"), std::string::npos);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace tailrace::io
