#include "runtime/log_sink.h"

#include <gtest/gtest.h>

namespace tailrace::runtime {
namespace {

TEST(LogSink, AFileOrPipeGetsTheTime) {
  EXPECT_TRUE(wants_time({.device = 8, .inode = 77}));
  // A journal's stream that is not ours: standard error was sent elsewhere.
  EXPECT_TRUE(wants_time({.journal_stream = "8:78", .device = 8, .inode = 77}));
}

TEST(LogSink, JournaldAndATerminalDoNot) {
  EXPECT_FALSE(wants_time({.journal_stream = "8:77", .device = 8, .inode = 77}));
  EXPECT_FALSE(wants_time({.is_terminal = true, .device = 8, .inode = 77}));
}

TEST(LogSink, TheTimeIsUtcToTheMillisecond) {
  EXPECT_EQ(time_text(0), "1970-01-01T00:00:00.000Z ");
  EXPECT_EQ(time_text(1'770'091'506'007), "2026-02-03T04:05:06.007Z ");
}

}  // namespace
}  // namespace tailrace::runtime
