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

TEST(Log, TheGateSeesWarningsByKindAndMayKeepThemBack) {
  last_line.clear();
  static std::string asked;
  set_log_sink([](LogLevel, std::string_view, std::string_view line) { last_line = line; });
  set_log_gate([](LogLevel, std::string_view area, std::string_view kind, std::string_view line) {
    asked = fmt::format("{}|{}|{}", area, kind, line);
    return false;
  });
  log_event(LogLevel::info, "test", "{} of {}", 1, 2);
  EXPECT_EQ(last_line, "1 of 2");
  EXPECT_EQ(asked, "");
  log_event(LogLevel::warn, "test", "{} of {}", 3, 4);
  EXPECT_EQ(last_line, "1 of 2");
  EXPECT_EQ(asked, "test|{} of {}|3 of 4");
  set_log_gate(nullptr);
  log_event(LogLevel::warn, "test", "{} of {}", 5, 6);
  EXPECT_EQ(last_line, "5 of 6");
  set_log_sink(nullptr);
}

}  // namespace
}  // namespace tailrace
