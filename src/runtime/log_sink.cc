#include "runtime/log_sink.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "base/log.h"
#include "base/log_throttle.h"

namespace tailrace::runtime {
namespace {

LogPlace standard_error() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  const bool known = fstat(STDERR_FILENO, &status) == 0;
  return {.is_terminal = isatty(STDERR_FILENO) == 1,
          .journal_stream = stream == nullptr ? "" : stream,
          .device = known ? status.st_dev : 0,
          .inode = known ? status.st_ino : 0};
}

void write_with_time(LogLevel level, std::string_view area, std::string_view line) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::string text = fmt::format("{}{} {}: {}\n",
                                       time_text(now.tv_sec * 1000 + now.tv_nsec / 1'000'000),
                                       to_string(level), area, line);
  // One call per line, so that lines of two threads never mix.
  std::fwrite(text.data(), 1, text.size(), stderr);
}

Instant monotonic() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return {now.tv_sec * 1'000'000'000 + now.tv_nsec};
}

// Lines come from all threads, but only warnings and errors take the lock.
std::mutex throttle_lock;
LogThrottle throttle;

bool admit(LogLevel level, std::string_view area, std::string_view kind, std::string_view line) {
  const std::lock_guard guard(throttle_lock);
  return throttle.admit(level, area, kind, line, monotonic());
}

bool take_held(bool all, std::size_t& at, LogThrottle::Held& held) {
  const std::lock_guard guard(throttle_lock);
  return throttle.take_held(monotonic(), all, at, held);
}

// Written without the lock: whoever only counts a line must not wait for a full pipe.
void tell_held(bool all) {
  LogThrottle::Held held;
  for (std::size_t at = 0; take_held(all, at, held);) {
    write_line(held.level, held.area.view(), held.line.view());
  }
}

}  // namespace

bool wants_time(const LogPlace& place) {
  if (place.is_terminal) return false;
  return place.journal_stream != fmt::format("{}:{}", place.device, place.inode);
}

std::string time_text(std::int64_t wall_ms) {
  const std::time_t seconds = wall_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z ", parts, wall_ms % 1000);
}

void install_log_sink() {
  set_log_sink(wants_time(standard_error()) ? &write_with_time : nullptr);
  set_log_gate(&admit);
}

void tell_held_lines() { tell_held(false); }
void tell_all_held_lines() { tell_held(true); }

}  // namespace tailrace::runtime
