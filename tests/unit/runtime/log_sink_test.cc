#include "runtime/log_sink.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <vector>

#include "base/log.h"

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

TEST(LogSink, ManyOfAKindAreAFewAndACount) {
  static std::vector<std::string> lines;
  set_log_level(LogLevel::info);
  install_log_sink();
  set_log_sink([](LogLevel, std::string_view, std::string_view line) { lines.emplace_back(line); });
  for (int i = 0; i < 100; ++i) log_event(LogLevel::warn, "test", "peer {} is odd", i);
  log_event(LogLevel::warn, "test", "another thing");
  tell_held_lines();
  EXPECT_EQ(lines.size(), 6U);
  EXPECT_EQ(lines.back(), "another thing");
  tell_all_held_lines();
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines.back().substr(0, 18), "95 more like this ");
  EXPECT_NE(lines.back().find("the last: peer 99 is odd"), std::string::npos);
  set_log_gate(nullptr);
  set_log_sink(nullptr);
}

// Standard error may be a pipe that nobody reads; a core that warns meanwhile must go on.
TEST(LogSink, WhatIsToldHoldsUpNobodyWhoWarns) {
  static std::future<void> other;
  static std::future_status status;
  status = std::future_status::timeout;
  set_log_level(LogLevel::info);
  install_log_sink();
  set_log_sink([](LogLevel, std::string_view, std::string_view line) {
    if (!line.starts_with("1 more like this")) return;
    other = std::async(std::launch::async, [] { log_event(LogLevel::warn, "test", "another"); });
    status = other.wait_for(std::chrono::seconds(5));
  });
  for (int i = 0; i < 6; ++i) log_event(LogLevel::warn, "test", "disk {} is slow", i);
  tell_all_held_lines();
  EXPECT_EQ(status, std::future_status::ready);
  other.wait();
  set_log_gate(nullptr);
  set_log_sink(nullptr);
}

}  // namespace
}  // namespace tailrace::runtime
