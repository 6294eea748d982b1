#include "runtime/wal_space.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/bytes.h"

namespace tailrace::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t MiB = 1 << 20;

struct Folder {
  Folder() {
    char pattern[] = "/tmp/tailrace-space-XXXXXX";
    path = mkdtemp(pattern);
    fs::create_directory(path / "wal");
  }
  ~Folder() { fs::remove_all(path); }
  void put(const std::string& name, std::string_view content) {
    std::ofstream(path / "wal" / name, std::ios::binary) << content;
  }
  void put_manifest(const log::Manifest& manifest) {
    std::vector<std::byte> block(disk_block_bytes);
    log::store_manifest(block, manifest);
    put("manifest", as_text(block));
  }
  bool has(const std::string& name) const { return fs::exists(path / "wal" / name); }
  fs::path path;
};

Profile profile_with(std::int64_t wal_bytes, std::int64_t cores = 1) {
  Profile profile;
  profile.wal_bytes = wal_bytes;
  profile.cores = cores;
  return profile;
}

TEST(WalSpace, AFirstStartNeedsAWholeWalPerCore) {
  Folder folder;
  EXPECT_GE(wal_bytes_needed(profile_with(64 * MiB, 2), folder.path), 128 * MiB);
  EXPECT_LT(wal_bytes_needed(profile_with(64 * MiB, 2), folder.path), 140 * MiB);
}

TEST(WalSpace, TheSameLayoutNeedsNothing) {
  Folder folder;
  folder.put_manifest({.generation = 3, .core_count = 2, .ring_bytes = 64 * MiB});
  EXPECT_EQ(wal_bytes_needed(profile_with(64 * MiB, 2), folder.path), 0U);
  EXPECT_GE(wal_bytes_needed(profile_with(64 * MiB, 1), folder.path), 64 * MiB);
  EXPECT_GE(wal_bytes_needed(profile_with(65 * MiB, 2), folder.path), 130 * MiB);
}

TEST(WalSpace, WhatACutOffStartWroteCounts) {
  Folder folder;
  const std::uint64_t before = wal_bytes_needed(profile_with(64 * MiB), folder.path);
  folder.put("0-0.wal", std::string(MiB, 'x'));
  sync();
  EXPECT_LE(wal_bytes_needed(profile_with(64 * MiB), folder.path), before - MiB);
}

TEST(WalSpace, MoreThanTheDiskIsRefusedWithNumbersAndRemedy) {
  Folder folder;
  std::string why;
  EXPECT_TRUE(wal_space_suffices(profile_with(16 * MiB), folder.path, why)) << why;
  EXPECT_FALSE(wal_space_suffices(profile_with(std::int64_t{1} << 40, 64), folder.path, why));
  for (const char* piece : {"MiB free, needed: 6710", "for each of 64 cores", "wal_bytes"}) {
    EXPECT_NE(why.find(piece), std::string::npos) << why;
  }
}

TEST(WalSpace, OnlyTheGenerationThatIsNotInForceIsRemoved) {
  Folder folder;
  folder.put_manifest({.generation = 3, .core_count = 1, .ring_bytes = 64 * MiB});
  for (const char* name : {"3-0.wal", "4-0.wal", "4-0.checkpoint-a", "40-0.wal"}) {
    folder.put(name, "x");
  }
  remove_unfinished_wals(folder.path, false);
  EXPECT_TRUE(folder.has("3-0.wal"));
  EXPECT_TRUE(folder.has("40-0.wal"));
  EXPECT_TRUE(folder.has("manifest"));
  EXPECT_FALSE(folder.has("4-0.wal"));
  EXPECT_FALSE(folder.has("4-0.checkpoint-a"));
}

// Without the manifest nobody knows what is in force: a lost one must cost nothing more.
TEST(WalSpace, ALostOrDamagedManifestRemovesNothing) {
  Folder folder;
  folder.put("0-0.wal", "x");
  remove_unfinished_wals(folder.path, false);
  EXPECT_TRUE(folder.has("0-0.wal"));
  folder.put("manifest", "damaged");
  remove_unfinished_wals(folder.path, true);
  EXPECT_TRUE(folder.has("0-0.wal"));
  fs::remove(folder.path / "wal" / "manifest");
  remove_unfinished_wals(folder.path, true);
  EXPECT_FALSE(folder.has("0-0.wal"));
}

}  // namespace
}  // namespace tailrace::runtime
