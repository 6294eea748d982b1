#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace tailrace {
namespace {

std::string last_line;

TEST(Log, FormatsOneLineAndFiltersByLevel) {
  set_log_sink([](LogLevel level, std::string_view area, std::string_view line) {
    last_line = fmt::format("{} {} {}", to_string(level), area, line);
  });
  log_event(LogLevel::warn, "test", "{} of {}", 1, 2);
  EXPECT_EQ(last_line, "warn test 1 of 2");
  log_event(LogLevel::debug, "test", "not shown");
  EXPECT_EQ(last_line, "warn test 1 of 2");
  set_log_sink(nullptr);
}

}  // namespace
}  // namespace tailrace
