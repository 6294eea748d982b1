#include "runtime/data_directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

namespace tailrace::runtime {
namespace {

// A directory that goes away with the test.
struct Folder {
  Folder() {
    char pattern[] = "/tmp/tailrace-directory-XXXXXX";
    path = mkdtemp(pattern);
  }
  ~Folder() {
    for (const char* name : {"/tailrace", "/lock", "/tailrace.new", "/notes.txt"}) {
      unlink((path + name).c_str());
    }
    rmdir(path.c_str());
  }
  void put(const std::string& name, std::string_view bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary) << bytes;
  }
  bool has(const std::string& name) const { return access((path + "/" + name).c_str(), F_OK) == 0; }
  std::string path;
};

std::unique_ptr<DataDirectory> open(const Folder& folder, std::string& why) {
  Prng prng(7);
  return DataDirectory::open(folder.path, prng, why);
}

const DirectoryMeta example{.directory_id = {{1, 2, 3}}, .cluster_id = {{4, 5}}, .node_id = 9};

TEST(DataDirectory, AnEmptyOneIsFormattedAndKeepsItsIdentity) {
  const Folder folder;
  std::string why;
  DirectoryMeta meta;
  {
    const auto first = open(folder, why);
    ASSERT_NE(first, nullptr) << why;
    EXPECT_TRUE(first->was_empty());
    meta = first->meta();
    EXPECT_FALSE(meta.directory_id.is_zero());
    EXPECT_FALSE(meta.is_complete);
    EXPECT_TRUE(first->mark_complete(why)) << why;
    meta = first->meta();
  }
  Prng other(8);
  const auto second = DataDirectory::open(folder.path, other, why);
  ASSERT_NE(second, nullptr) << why;
  EXPECT_FALSE(second->was_empty());
  EXPECT_EQ(second->meta(), meta);
  EXPECT_TRUE(second->meta().is_complete);
}

TEST(DataDirectory, AMissingOneIsMadeWithWhatIsAboveIt) {
  const Folder folder;
  std::string why;
  Prng prng(1);
  const std::string path = folder.path + "/a/b";
  EXPECT_NE(DataDirectory::open(path, prng, why), nullptr) << why;
  for (const char* name : {"/tailrace", "/lock"}) unlink((path + name).c_str());
  rmdir(path.c_str());
  rmdir((folder.path + "/a").c_str());
}

TEST(DataDirectory, ASecondUserIsRefusedAndToldWhoHasIt) {
  const Folder folder;
  std::string why;
  const auto first = open(folder, why);
  ASSERT_NE(first, nullptr) << why;
  EXPECT_EQ(open(folder, why), nullptr);
  EXPECT_NE(why.find("in use by process " + std::to_string(getpid())), std::string::npos) << why;
}

// A process that was killed: 999999999 is above every process number.
struct KilledHolder {
  explicit KilledHolder(const Folder& folder) {
    folder.put(directory_lock_file, "999999999 17\n");
    fd = ::open((folder.path + "/" + directory_lock_file).c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
  }
  int fd;
};

TEST(DataDirectory, TheLastWritesOfAKilledProcessAreWaitedFor) {
  const Folder folder;
  const KilledHolder holder(folder);
  std::thread kernel([&] {
    usleep(300'000);
    close(holder.fd);
  });
  std::string why;
  EXPECT_NE(open(folder, why), nullptr) << why;
  kernel.join();
}

TEST(DataDirectory, AKilledProcessWhoseWritesDoNotEndIsTold) {
  const Folder folder;
  const KilledHolder holder(folder);
  std::string why;
  EXPECT_EQ(open(folder, why), nullptr);
  EXPECT_NE(why.find("process 999999999, which had it, has ended"), std::string::npos) << why;
  close(holder.fd);
}

TEST(DataDirectory, ReleasedItIsFreeWhoeverStillHoldsTheFile) {
  const Folder folder;
  std::string why;
  auto first = open(folder, why);
  ASSERT_NE(first, nullptr) << why;
  const int held = dup(first->lock_fd());
  first.reset();
  EXPECT_EQ(open(folder, why), nullptr);
  close(held);

  auto second = open(folder, why);
  ASSERT_NE(second, nullptr) << why;
  const int held_again = dup(second->lock_fd());
  second->release();
  second.reset();
  EXPECT_NE(open(folder, why), nullptr) << why;
  close(held_again);
}

TEST(DataDirectory, AForeignOneIsRefusedUntouched) {
  const Folder folder;
  folder.put("notes.txt", "mine");
  std::string why;
  EXPECT_EQ(open(folder, why), nullptr);
  EXPECT_NE(why.find("holds \"notes.txt\""), std::string::npos) << why;
  EXPECT_FALSE(folder.has("lock"));
  EXPECT_FALSE(folder.has("tailrace"));
}

TEST(DataDirectory, AFormatCutOffBeforeItsMetaFileStartsAgain) {
  const Folder folder;
  folder.put("lock", "1\n");
  folder.put("tailrace.new", "TAILR");
  std::string why;
  EXPECT_NE(open(folder, why), nullptr) << why;
}

TEST(DataDirectory, ANewerFormatIsRefusedWithBothVersions) {
  const Folder folder;
  std::vector<std::byte> bytes = encode_directory_meta(example);
  bytes[8] = std::byte{7};
  folder.put("tailrace", as_text(bytes));
  std::string why;
  EXPECT_EQ(open(folder, why), nullptr);
  EXPECT_NE(why.find("format version 7, this program knows up to 1"), std::string::npos) << why;
}

TEST(DataDirectory, ADamagedMetaFileIsRefused) {
  const Folder folder;
  std::vector<std::byte> bytes = encode_directory_meta(example);
  bytes[20] ^= std::byte{1};
  folder.put("tailrace", as_text(bytes));
  std::string why;
  EXPECT_EQ(open(folder, why), nullptr);
  EXPECT_NE(why.find("damaged (corrupt)"), std::string::npos) << why;
}

TEST(DirectoryMeta, ComesBackAsItWasAndNoCutOfItDoes) {
  const std::vector<std::byte> bytes = encode_directory_meta(example);
  EXPECT_EQ(parse_directory_meta(bytes), example);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_directory_meta(Bytes(bytes).first(size)).has_value()) << size;
  }
}

TEST(DirectoryMeta, AnotherFileIsMalformed) {
  EXPECT_EQ(parse_directory_meta(as_bytes("something else entirely")).error().code,
            Errc::malformed);
}

}  // namespace
}  // namespace tailrace::runtime
