#include "runtime/log_sink.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "base/log.h"

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

void install_log_sink() { set_log_sink(wants_time(standard_error()) ? &write_with_time : nullptr); }

}  // namespace tailrace::runtime
