#include "base/log.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <span>

namespace tailrace {
namespace {

void write_to_standard_error(LogLevel level, std::string_view area, std::string_view line) {
  const std::string_view name = to_string(level);
  // One call per line, so that lines of two threads never mix.
  std::fprintf(stderr, "%.*s %.*s: %.*s\n", static_cast<int>(name.size()), name.data(),
               static_cast<int>(area.size()), area.data(), static_cast<int>(line.size()),
               line.data());
}

// A peer's mistake is the same whoever makes it, and peers are many. Elsewhere a name is a part of
// what happened: one topic's trouble is not another's.
std::string_view kind_of(std::string_view format, std::string_view line, std::span<char> text) {
  if (format.starts_with("client {}")) return format;
  const std::string_view cut = line.substr(0, text.size());
  const auto end = std::copy_if(cut.begin(), cut.end(), text.begin(),
                                [](char c) { return c < '0' || c > '9'; });
  return {text.data(), static_cast<std::size_t>(end - text.begin())};
}

std::atomic<LogSink> current_sink{&write_to_standard_error};
std::atomic<LogGate> current_gate{nullptr};
std::atomic<LogLevel> current_level{LogLevel::info};

}  // namespace

void set_log_sink(LogSink sink) {
  current_sink.store(sink == nullptr ? &write_to_standard_error : sink);
}
void set_log_level(LogLevel level) { current_level.store(level); }
bool log_enabled(LogLevel level) { return level >= current_level.load(std::memory_order_relaxed); }
void set_log_gate(LogGate gate) { current_gate.store(gate); }

void write_line(LogLevel level, std::string_view area, std::string_view line) {
  current_sink.load()(level, area, line);
}

void log_line(LogLevel level, std::string_view area, std::string_view format,
              std::string_view line) {
  const LogGate gate = level == LogLevel::warn ? current_gate.load() : nullptr;
  char text[512];
  if (gate == nullptr || gate(level, area, kind_of(format, line, text), line)) {
    write_line(level, area, line);
  }
}

}  // namespace tailrace
