#include "runtime/dump_command.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "log/checkpoint.h"
#include "log/manifest.h"
#include "log/wal_format.h"
#include "runtime/data_directory.h"

namespace tailrace::runtime {
namespace {

struct Folder {
  Folder() {
    char pattern[] = "/tmp/tailrace-dump-XXXXXX";
    path = mkdtemp(pattern);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  void put(const std::string& name, Bytes bytes) {
    std::ofstream(path + "/" + name, std::ios::binary) << as_text(bytes);
  }
  std::string path;
};

struct Dumped {
  bool good = false;
  std::string text;
  bool says(std::string_view piece) const { return text.find(piece) != std::string::npos; }
};

Dumped dump(const std::string& path) {
  Dumped dumped;
  dumped.good = dump_files({.path = path}, [&dumped](std::string_view line) {
    dumped.text += line;
    dumped.text += '\n';
  });
  return dumped;
}

std::vector<std::byte> fresh_wal() {
  std::vector<std::byte> bytes(3 * disk_block_bytes);
  log::store_wal_format(MutableBytes(bytes).first(disk_block_bytes),
                        {.wal = {{7}}, .ring_bytes = 2 * disk_block_bytes});
  return bytes;
}

TEST(DumpCommand, KnowsFilesByTheirContent) {
  Folder folder;
  folder.put("tailrace", encode_directory_meta({.node_id = 5}));
  folder.put("a", fresh_wal());
  std::vector<std::byte> checkpoint;
  log::encode_checkpoint({.number = 2}, checkpoint);
  folder.put("b", checkpoint);
  std::vector<std::byte> manifest(disk_block_bytes);
  log::store_manifest(manifest, {.generation = 3, .core_count = 2, .ring_bytes = 8192});
  folder.put("c", manifest);
  const Dumped dumped = dump(folder.path);
  EXPECT_TRUE(dumped.good) << dumped.text;
  EXPECT_TRUE(dumped.says("of node 5")) << dumped.text;
  EXPECT_TRUE(dumped.says("no frame was written yet")) << dumped.text;
  EXPECT_TRUE(dumped.says("checkpoint 2 of WAL")) << dumped.text;
  EXPECT_TRUE(dumped.says("generation 3 of the WALs is in force, 2 of 8192")) << dumped.text;
  EXPECT_TRUE(dumped.says("no problems found")) << dumped.text;
}

TEST(DumpCommand, ADamagedManifestIsAProblem) {
  Folder folder;
  std::vector<std::byte> manifest(disk_block_bytes);
  log::store_manifest(manifest, {.generation = 3, .core_count = 2, .ring_bytes = 8192});
  manifest[17] ^= std::byte{1};
  folder.put("manifest", manifest);
  const Dumped dumped = dump(folder.path);
  EXPECT_FALSE(dumped.good);
  EXPECT_TRUE(dumped.says("PROBLEM: this manifest is corrupt")) << dumped.text;
}

TEST(DumpCommand, TellsWhatIsWrongWithADamagedFileAndGoesOn) {
  Folder folder;
  std::vector<std::byte> wal = fresh_wal();
  wal[10] ^= std::byte{1};
  folder.put("a", wal);
  folder.put("tailrace", encode_directory_meta({.node_id = 5}));
  const Dumped dumped = dump(folder.path + "/");
  EXPECT_FALSE(dumped.good);
  EXPECT_TRUE(dumped.says("PROBLEM: the format block is corrupt")) << dumped.text;
  EXPECT_TRUE(dumped.says("of node 5")) << dumped.text;
}

TEST(DumpCommand, ASegmentWithoutABatchIsAProblem) {
  Folder folder;
  folder.put("00000000000000000000.log", as_bytes(std::string(100, 'x')));
  const Dumped dumped = dump(folder.path + "/00000000000000000000.log");
  EXPECT_FALSE(dumped.good);
  EXPECT_TRUE(dumped.says("no batch begins at 0")) << dumped.text;
}

TEST(DumpCommand, AForeignDirectoryIsToldInOneLine) {
  Folder folder;
  folder.put("passwd", as_bytes("root:x:0:0\n"));
  folder.put("boot.log", as_bytes("booting\n"));
  const Dumped dumped = dump(folder.path);
  EXPECT_FALSE(dumped.good);
  EXPECT_TRUE(dumped.says("not a tailrace data directory")) << dumped.text;
  EXPECT_FALSE(dumped.says("passwd")) << dumped.text;
  EXPECT_TRUE(dump(folder.path + "/passwd").says("not a file of a tailrace directory"));
}

// "/" was walked to its end before anything was said.
TEST(DumpCommand, AForeignDirectoryIsNotWalked) {
  Folder folder;
  std::string deep = folder.path;
  for (const char* name : {"a", "b", "c", "d"}) {
    deep += std::string("/") + name;
    ASSERT_EQ(mkdir(deep.c_str(), 0755), 0);
  }
  folder.put("a/b/c/d/tailrace", encode_directory_meta({.node_id = 5}));
  EXPECT_TRUE(dump(folder.path).says("not a tailrace data directory"));
  EXPECT_FALSE(dump(deep).says("not a tailrace data directory"));
}

TEST(DumpCommand, ADirectoryInUseIsNoted) {
  Folder folder;
  folder.put("tailrace", encode_directory_meta({.node_id = 5}));
  folder.put("lock", as_bytes("1"));
  EXPECT_FALSE(dump(folder.path).says("a running broker")) << "nobody runs";
  const int fd = open((folder.path + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
  EXPECT_TRUE(dump(folder.path).says("a running broker"));
  close(fd);
}

TEST(DumpCommand, AForeignOrMissingFileIsAProblem) {
  Folder folder;
  folder.put("letter", as_bytes("dear"));
  EXPECT_FALSE(dump(folder.path + "/letter").good);
  const Dumped missing = dump(folder.path + "/nothing");
  EXPECT_FALSE(missing.good);
  EXPECT_TRUE(missing.says("No such file")) << missing.text;
}

}  // namespace
}  // namespace tailrace::runtime
