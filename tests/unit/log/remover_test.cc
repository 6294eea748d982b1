#include "log/remover.h"

#include <gtest/gtest.h>

#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

class RemoverTest : public testing::Test {
 protected:
  void run() {
    remover_.step();
    disk_.run(queue_, [&](const DiskDone& done) {
      remover_.on_disk_done(done);
      remover_.step();
    });
  }
  test::FakeDisk disk_;
  OpQueue queue_;
  Remover remover_{queue_};
};

TEST_F(RemoverTest, removes_files_then_their_directory) {
  for (int i = 0; i < 30; ++i) {
    const std::string name = "topics/t/0-0/" + std::to_string(i);
    disk_.put(name, {});
    remover_.enqueue(FileName(name));
  }
  remover_.enqueue_directory(FileName("topics/t/0-0"));
  remover_.enqueue_directory(FileName("topics/t"));
  EXPECT_FALSE(remover_.idle());
  run();
  EXPECT_TRUE(remover_.idle());
  EXPECT_TRUE(disk_.names().empty());
}

TEST_F(RemoverTest, a_directory_waits_for_all_before_it_and_all_behind_wait_for_it) {
  for (int i = 0; i < 20; ++i) remover_.enqueue(FileName("f" + std::to_string(i)));
  remover_.enqueue_directory(FileName("d"));
  remover_.enqueue(FileName("later"));
  Prng prng(3);
  int removed = 0;
  while (!remover_.idle()) {
    remover_.step();
    disk_.take_all(queue_);
    ASSERT_LE(disk_.waiting_count(), Remover::in_flight_max);
    if (disk_.find(DiskOpKind::remove_directory)) {
      EXPECT_EQ(removed, 20);
      EXPECT_EQ(disk_.waiting_count(), 1U);
    }
    remover_.on_disk_done(disk_.complete_any(prng));
    ++removed;
  }
  EXPECT_EQ(removed, 22);
}

TEST_F(RemoverTest, missing_and_failing_ones_are_passed_over) {
  disk_.fault = [](const DiskOp& op) { return op.name.text() == "gone" ? ENOENT : 0; };
  disk_.fail_next(DiskOpKind::remove, EIO);
  remover_.enqueue(FileName("bad"));
  remover_.enqueue(FileName("gone"));
  disk_.put("good", {});
  remover_.enqueue(FileName("good"));
  run();
  EXPECT_TRUE(remover_.idle());
  EXPECT_FALSE(disk_.exists("good"));
}

// A directory in which something was left cannot go; nor is it tried for ever.
TEST_F(RemoverTest, a_directory_that_is_not_empty_stays) {
  disk_.put("d/left", {});
  remover_.enqueue_directory(FileName("d"));
  run();
  EXPECT_TRUE(remover_.idle());
  EXPECT_TRUE(disk_.exists("d/left"));
}

}  // namespace
}  // namespace tailrace::log
