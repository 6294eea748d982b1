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
  EXPECT_EQ(asked, "test| of |3 of 4");
  set_log_gate(nullptr);
  log_event(LogLevel::warn, "test", "{} of {}", 5, 6);
  EXPECT_EQ(last_line, "5 of 6");
  set_log_sink(nullptr);
}

// What the gate is asked about, as "kind" or "-" when it is not asked.
template <class... Args>
std::string kind_of(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  static std::string asked;
  asked = "-";
  set_log_sink([](LogLevel, std::string_view, std::string_view) {});
  set_log_gate([](LogLevel, std::string_view, std::string_view kind, std::string_view) {
    asked = kind;
    return true;
  });
  log_event(level, "test", format, std::forward<Args>(args)...);
  set_log_gate(nullptr);
  set_log_sink(nullptr);
  return asked;
}

TEST(Log, DifferentFactsAreOfDifferentKinds) {
  EXPECT_EQ(kind_of(LogLevel::error, "{} holds no valid batch", "a-0"), "-");
  // A name tells facts apart, digits do not.
  EXPECT_EQ(kind_of(LogLevel::warn, "{} is late by {}", "a-1", 10), "a- is late by ");
  EXPECT_EQ(kind_of(LogLevel::warn, "{} is late by {}", "b-22", 7), "b- is late by ");
  EXPECT_EQ(kind_of(LogLevel::warn, "{}", "the disk is slow"), "the disk is slow");
  // Peers are many; a mistake is the same whoever makes it.
  EXPECT_EQ(kind_of(LogLevel::warn, "client {}: bad {}", "fe80::a", 1), "client {}: bad {}");
}

}  // namespace
}  // namespace tailrace
