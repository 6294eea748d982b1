#include "log/file_table.h"

#include <gtest/gtest.h>

#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

class FileTableTest : public testing::Test {
 protected:
  FileTableTest() {
    for (const char* name : {"a", "b", "c", "d"}) disk_.put(name, {});
  }
  void run() {
    disk_.run(queue_, [&](const DiskDone& done) { files_.on_disk_done(done); });
  }
  // Leases a file and waits until it is open.
  FileTable::Lease open(std::string_view name, bool create = false) {
    const auto lease = files_.acquire(name, create);
    EXPECT_TRUE(lease);
    run();
    const auto opened = files_.poll(*lease);
    EXPECT_TRUE(opened);
    EXPECT_NE(opened->file, no_file);
    return *opened;
  }
  std::uint64_t opens() const { return disk_.count(DiskOpKind::open); }
  std::uint64_t closes() const { return disk_.count(DiskOpKind::close); }

  test::FakeDisk disk_;
  OpQueue queue_;
  FileTable files_{2, queue_};
};

TEST_F(FileTableTest, opening_takes_a_while_and_is_shared) {
  const auto first = files_.acquire(FileName("a"), false);
  const auto second = files_.acquire(FileName("a"), false);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->file, no_file);
  EXPECT_EQ(files_.poll(*second)->file, no_file);
  EXPECT_FALSE(files_.idle());
  run();
  EXPECT_TRUE(files_.idle());
  EXPECT_NE(files_.poll(*first)->file, no_file);
  EXPECT_EQ(files_.poll(*first)->file, files_.poll(*second)->file);
  EXPECT_EQ(opens(), 1U);
}

TEST_F(FileTableTest, an_open_file_is_there_at_once) {
  files_.release(open("a"));
  const auto again = files_.acquire(FileName("a"), false);
  ASSERT_TRUE(again);
  EXPECT_NE(again->file, no_file);
  EXPECT_EQ(opens(), 1U);
}

TEST_F(FileTableTest, the_least_recently_used_makes_room) {
  files_.release(open("a"));
  files_.release(open("b"));
  files_.release(open("a"));
  files_.release(open("c"));
  EXPECT_EQ(files_.open_count(), 2U);
  EXPECT_EQ(disk_.open_count(), 2U);
  files_.release(open("a"));
  EXPECT_EQ(opens(), 3U);
  files_.release(open("b"));
  EXPECT_EQ(opens(), 4U);
}

TEST_F(FileTableTest, never_more_descriptors_than_allowed) {
  files_.release(open("a"));
  files_.release(open("b"));
  ASSERT_TRUE(files_.acquire(FileName("c"), false));
  ASSERT_TRUE(files_.acquire(FileName("d"), false));
  while (!files_.idle()) {
    disk_.take_all(queue_);
    EXPECT_LE(disk_.open_count(), 2U);
    files_.on_disk_done(disk_.complete(0));
  }
  EXPECT_EQ(disk_.open_count(), 2U);
}

TEST_F(FileTableTest, leased_files_stay_and_a_full_table_says_so) {
  const auto a = open("a");
  const auto b = open("b");
  EXPECT_EQ(files_.acquire(FileName("c"), false).error().code, Errc::full);
  files_.release(a);
  const auto c = files_.acquire(FileName("c"), false);
  ASSERT_TRUE(c);
  run();
  EXPECT_NE(files_.poll(*c)->file, no_file);
  files_.release(b);
}

TEST_F(FileTableTest, a_missing_file_is_not_found_unless_it_is_to_be_made) {
  const auto lease = files_.acquire(FileName("new"), false);
  run();
  EXPECT_EQ(files_.poll(*lease).error().code, Errc::not_found);
  EXPECT_TRUE(files_.idle());
  open("new", true);
  EXPECT_TRUE(disk_.exists("new"));
}

TEST_F(FileTableTest, who_would_make_it_may_join_who_would_not) {
  const auto reader = files_.acquire(FileName("new"), false);
  const auto writer = files_.acquire(FileName("new"), true);
  run();
  EXPECT_NE(files_.poll(*reader)->file, no_file);
  EXPECT_NE(files_.poll(*writer)->file, no_file);
}

TEST_F(FileTableTest, too_many_open_files_of_the_process_is_an_error_and_passes) {
  disk_.fail_next(DiskOpKind::open, EMFILE);
  const auto first = files_.acquire(FileName("a"), false);
  const auto second = files_.acquire(FileName("a"), false);
  run();
  EXPECT_EQ(files_.poll(*first).error(), (Error{Errc::io, EMFILE}));
  EXPECT_EQ(files_.poll(*second).error(), (Error{Errc::io, EMFILE}));
  files_.release(open("a"));
  files_.release(open("b"));  // The failed slot is free again.
  EXPECT_EQ(files_.open_count(), 2U);
}

TEST_F(FileTableTest, a_failed_open_does_not_hold_up_who_asks_later) {
  disk_.fail_next(DiskOpKind::open, EIO);
  const auto first = files_.acquire(FileName("a"), false);
  run();
  const auto second = open("a");
  EXPECT_EQ(files_.poll(*first).error().code, Errc::io);
  files_.release(second);
}

TEST_F(FileTableTest, a_forgotten_file_is_closed_with_its_last_lease) {
  const auto a = open("a");
  files_.forget(FileName("a"));
  files_.forget(FileName("never heard of"));
  run();
  EXPECT_EQ(closes(), 0U);
  const auto again = open("a");  // A file of the same name is another one.
  EXPECT_NE(a.slot, again.slot);
  files_.release(a);
  run();
  EXPECT_EQ(closes(), 1U);
  files_.release(again);
  files_.forget(FileName("a"));
  run();
  EXPECT_EQ(disk_.open_count(), 0U);
}

TEST_F(FileTableTest, forgotten_and_released_while_it_is_being_opened) {
  const auto a = files_.acquire(FileName("a"), false);
  files_.forget(FileName("a"));
  files_.release(*a);
  run();
  EXPECT_EQ(opens(), 1U);
  EXPECT_EQ(disk_.open_count(), 0U);
  EXPECT_TRUE(files_.idle());
}

TEST_F(FileTableTest, closes_everything_at_the_end) {
  files_.release(open("a"));
  files_.release(open("b"));
  files_.close_all();
  EXPECT_FALSE(files_.idle());
  run();
  EXPECT_TRUE(files_.idle());
  EXPECT_EQ(disk_.open_count(), 0U);
  EXPECT_EQ(files_.open_count(), 0U);
}

// Many users, completions in any order, failing opens: the right file for everyone, no
// descriptor too many and none lost.
TEST(FileTable, random_users_in_random_order) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed, "files");
    test::FakeDisk disk;
    OpQueue queue;
    FileTable files(4, queue);
    disk.fault = [&](const DiskOp& op) {
      return op.kind == DiskOpKind::open && prng.chance(1, 10) ? EMFILE : 0;
    };
    std::vector<FileTable::Lease> leases;
    for (int i = 0; i < 2000; ++i) {
      const FileName name("f" + std::to_string(prng.below(8)));
      const std::uint64_t what = prng.below(10);
      if (what < 4) {
        if (const auto lease = files.acquire(name, true)) leases.push_back(*lease);
      } else if (what < 6 && !leases.empty()) {
        const std::size_t which = prng.below(leases.size());
        files.release(leases[which]);
        leases.erase(leases.begin() + static_cast<std::ptrdiff_t>(which));
      } else if (what == 6) {
        files.forget(name);
      } else {
        disk.take_all(queue);
        if (disk.waiting_count() > 0) files.on_disk_done(disk.complete_any(prng));
      }
      std::erase_if(leases, [&](FileTable::Lease& lease) { return !files.poll(lease); });
      ASSERT_LE(disk.open_count(), 4U);
    }
    for (const FileTable::Lease lease : leases) files.release(lease);
    const auto deliver = [&](const DiskDone& done) { files.on_disk_done(done); };
    disk.run(queue, deliver);
    files.close_all();
    disk.run(queue, deliver);
    EXPECT_TRUE(files.idle());
    EXPECT_EQ(files.open_count(), 0U);
    EXPECT_EQ(disk.open_count(), 0U);
  }
}

}  // namespace
}  // namespace tailrace::log
