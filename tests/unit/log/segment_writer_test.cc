#include "log/segment_writer.h"

#include <gtest/gtest.h>

#include "base/aligned.h"
#include "support/fake_disk.h"

namespace tailrace::log {
namespace {

Limits small_limits() {
  Limits limits;
  limits.segment_write_bytes = 2 * disk_block_bytes;
  limits.segment_writes_max = 2;
  limits.partitions_max = 8;
  return limits;
}

class SegmentWriterTest : public testing::Test {
 protected:
  // A taken buffer with `blocks` blocks of `value`.
  std::uint32_t filled(int value) {
    const std::uint32_t buffer = writer_.take_buffer();
    EXPECT_NE(buffer, UINT32_MAX);
    std::memset(writer_.buffer(buffer).data(), value, writer_.buffer(buffer).size());
    return buffer;
  }
  void deliver(const DiskDone& done) {
    if (asker_of(done.tag) == Asker::file_table) {
      files_.on_disk_done(done);
    } else {
      writer_.on_disk_done(done);
    }
    writer_.step();
  }
  // Everything that was done, in order, as the disk saw it.
  std::vector<std::string> run() {
    static constexpr const char* names[] = {
        "open", "close", "read", "write", "write_durable", "sync", "allocate", "truncate",
        "remove", "rename", "make_directory", "sync_directory", "remove_directory"};
    std::vector<std::string> trace;
    writer_.step();
    for (disk_.take_all(queue_); disk_.waiting_count() > 0; disk_.take_all(queue_)) {
      const DiskOp op = disk_.waiting(0);
      std::string line = names[static_cast<std::size_t>(op.kind)];
      if (!op.name.text().empty()) line += " " + std::string(op.name.text());
      trace.push_back(line);
      deliver(disk_.complete(0));
    }
    return trace;
  }
  SegmentWriter::Done only_done() {
    std::array<SegmentWriter::Done, 4> done;
    EXPECT_EQ(writer_.take_done(done), 1U);
    return done[0];
  }

  Limits limits_ = small_limits();
  test::FakeDisk disk_;
  OpQueue queue_;
  FileTable files_{4, queue_};
  AlignedBuffer memory_{2 * SegmentWriter::buffer_bytes(limits_)};
  SegmentWriter writer_{limits_, memory_.bytes(), files_, queue_};
};

TEST_F(SegmentWriterTest, writes_blocks_at_their_place) {
  disk_.put("x/s.log", std::vector<std::byte>(disk_block_bytes));
  writer_.start({.path = FileName("x/s.log"), .buffer = filled(7), .file_pos = 4096,
                 .bytes = 4096, .word = 42});
  EXPECT_EQ(run(), (std::vector<std::string>{"open x/s.log", "write"}));
  EXPECT_FALSE(writer_.idle());
  const auto done = only_done();
  EXPECT_EQ(done.word, 42U);
  EXPECT_EQ(done.error_number, 0);
  EXPECT_TRUE(writer_.idle());
  EXPECT_EQ(disk_.bytes("x/s.log").size(), 2 * disk_block_bytes);
  EXPECT_EQ(disk_.bytes("x/s.log")[4096], std::byte{7});
}

TEST_F(SegmentWriterTest, a_file_that_grows_fast_gets_space_ahead_and_gives_the_rest_back) {
  disk_.put("x/s.log", {});
  const auto write = [&](std::uint64_t file_pos, std::uint32_t bytes, bool is_last) {
    writer_.start({.path = FileName("x/s.log"), .buffer = filled(1), .file_pos = file_pos,
                   .bytes = bytes, .is_last = is_last});
    const auto trace = run();
    EXPECT_EQ(only_done().error_number, 0);
    return trace;
  };
  EXPECT_EQ(write(0, 4096, false), (std::vector<std::string>{"open x/s.log", "write"}));
  EXPECT_EQ(write(0, 8192, false), (std::vector<std::string>{"allocate", "write"}));
  EXPECT_EQ(disk_.bytes("x/s.log").size(), 2 * 8192U);  // As much again as it holds.
  EXPECT_EQ(write(8192, 8192, false), (std::vector<std::string>{"write"}));
  EXPECT_EQ(write(16384, 8192, false), (std::vector<std::string>{"allocate", "write"}));
  EXPECT_EQ(disk_.bytes("x/s.log").size(), 2 * 24576U);
  EXPECT_EQ(write(24576, 8192, true), (std::vector<std::string>{"write", "truncate"}));
  EXPECT_EQ(disk_.bytes("x/s.log").size(), 32768U);
}

TEST_F(SegmentWriterTest, a_file_is_written_whether_or_not_it_gets_space_ahead) {
  disk_.put("x/s.log", {});
  for (const DiskOpKind kind : {DiskOpKind::allocate, DiskOpKind::truncate}) {
    disk_.fail_next(kind, ENOSPC);
    writer_.start({.path = FileName("x/s.log"), .buffer = filled(1), .bytes = 8192,
                   .is_last = kind == DiskOpKind::truncate});
    run();
    EXPECT_EQ(only_done().error_number, 0);
  }
  EXPECT_EQ(disk_.count(DiskOpKind::allocate), 1U);
  EXPECT_EQ(disk_.count(DiskOpKind::truncate), 1U);
  EXPECT_EQ(disk_.count(DiskOpKind::write), 2U);
}

TEST_F(SegmentWriterTest, a_new_file_gets_directories_and_durable_names) {
  writer_.start({.path = FileName("topics/t/0-0/s.log"), .create = true, .buffer = filled(1),
                 .bytes = 4096, .sync = true});
  EXPECT_EQ(run(), (std::vector<std::string>{
                       "make_directory topics/t", "make_directory topics/t/0-0",
                       "open topics/t/0-0/s.log", "write", "sync",
                       "sync_directory topics/t/0-0", "sync_directory topics/t",
                       "sync_directory topics"}));
  EXPECT_EQ(only_done().error_number, 0);
}

TEST_F(SegmentWriterTest, a_sync_needs_no_buffer) {
  disk_.put("x/s.log", {});
  writer_.start({.path = FileName("x/s.log"), .sync = true});
  EXPECT_EQ(run(), (std::vector<std::string>{"open x/s.log", "sync"}));
  EXPECT_EQ(only_done().error_number, 0);
}

TEST_F(SegmentWriterTest, buffers_come_back_when_written) {
  disk_.put("x/s.log", {});
  const std::uint32_t first = filled(1);
  const std::uint32_t second = filled(2);
  EXPECT_EQ(writer_.take_buffer(), UINT32_MAX);
  writer_.give_back(second);
  EXPECT_EQ(writer_.take_buffer(), second);
  writer_.start({.path = FileName("x/s.log"), .buffer = first, .bytes = 4096});
  EXPECT_EQ(writer_.take_buffer(), UINT32_MAX);
  run();
  EXPECT_EQ(writer_.take_buffer(), first);
}

TEST_F(SegmentWriterTest, errors_come_with_their_number) {
  disk_.put("x/s.log", {});
  const auto write = [&] {
    writer_.start({.path = FileName("x/s.log"), .buffer = filled(1), .bytes = 8192, .sync = true});
    run();
    return only_done();
  };
  disk_.fail_next(DiskOpKind::write, ENOSPC);
  auto done = write();
  EXPECT_EQ(done.error_number, ENOSPC);
  EXPECT_FALSE(done.sync_failed);
  EXPECT_EQ(disk_.count(DiskOpKind::sync), 0U);  // A sync would say nothing about it.

  disk_.cut_next(DiskOpKind::write, 4096);
  done = write();
  EXPECT_EQ(done.error_number, EIO);
  EXPECT_FALSE(done.sync_failed);

  disk_.fail_next(DiskOpKind::sync, EIO);
  done = write();
  EXPECT_EQ(done.error_number, EIO);
  EXPECT_TRUE(done.sync_failed);
  EXPECT_EQ(disk_.count(DiskOpKind::sync), 1U);  // Never retried.

  EXPECT_EQ(write().error_number, 0);  // The buffer was given back each time.
}

TEST_F(SegmentWriterTest, every_step_of_making_a_file_may_fail) {
  struct Step {
    DiskOpKind kind;
    bool sync_failed;
  };
  for (const Step step : {Step{DiskOpKind::make_directory, false}, Step{DiskOpKind::open, false},
                          Step{DiskOpKind::write, false}, Step{DiskOpKind::sync, true},
                          Step{DiskOpKind::sync_directory, true}}) {
    const std::uint64_t times = step.kind == DiskOpKind::make_directory   ? 2
                                : step.kind == DiskOpKind::sync_directory ? 3
                                                                          : 1;
    for (std::uint64_t nth = 0; nth < times; ++nth) {
      std::uint64_t seen = 0;
      disk_.fault = [&](const DiskOp& op) {
        return op.kind == step.kind && seen++ == nth ? ENOSPC : 0;
      };
      const std::string directory =
          std::to_string(static_cast<int>(step.kind)) + "-" + std::to_string(nth);
      const std::string path = "topics/t/" + directory + "/s.log";
      writer_.start({.path = FileName(path), .create = true, .buffer = filled(1), .bytes = 4096,
                     .sync = true});
      run();
      const auto done = only_done();
      EXPECT_EQ(done.error_number, ENOSPC);
      EXPECT_EQ(done.sync_failed, step.sync_failed);
      EXPECT_TRUE(writer_.idle());
    }
  }
}

TEST_F(SegmentWriterTest, a_missing_file_that_should_be_there_is_an_error) {
  writer_.start({.path = FileName("x/s.log"), .buffer = filled(1), .bytes = 4096});
  run();
  EXPECT_EQ(only_done().error_number, ENOENT);
}

TEST_F(SegmentWriterTest, jobs_wait_for_files_and_go_in_order) {
  for (const char* name : {"x/a", "x/b", "x/c", "x/d", "x/e"}) disk_.put(name, {});
  std::vector<FileTable::Lease> leases;
  for (const char* name : {"x/b", "x/c", "x/d", "x/e"}) {
    leases.push_back(*files_.acquire(FileName(name), false));
  }
  for (std::uint64_t i = 0; i < 8; ++i) {
    writer_.start({.path = FileName("x/a"), .sync = true, .word = i});
  }
  run();
  std::array<SegmentWriter::Done, 8> done;
  EXPECT_EQ(writer_.take_done(done), 0U);  // Somebody else has every file.
  files_.release(leases[0]);
  run();
  ASSERT_EQ(writer_.take_done(done), 8U);
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(done[i].word, i);
}

}  // namespace
}  // namespace tailrace::log
