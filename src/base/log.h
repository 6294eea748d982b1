// The operator's log: one line per event, level and area first. Never on a hot path; a peer's
// repeated mistake is logged once per connection by the caller, and many peers' by the gate.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace tailrace {

enum class LogLevel { debug, info, warn, error };

// The process has one sink. It takes a whole line without its newline and may be called from
// any thread. The default writes to standard error; the simulator installs its own.
using LogSink = void (*)(LogLevel level, std::string_view area, std::string_view line);
void set_log_sink(LogSink sink);
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

// Asked before a warning is written (never an error); false keeps it back. Lines of one `kind` are
// the same but for digits; those about a peer ("client {}: ...") have a format in common. None is
// set by default; the program's counts them (base/log_throttle.h). May be called from any thread.
using LogGate = bool (*)(LogLevel level, std::string_view area, std::string_view kind,
                         std::string_view line);
void set_log_gate(LogGate gate);

// Writes the line, whatever level and gate say.
void write_line(LogLevel level, std::string_view area, std::string_view line);
// Writes it unless the gate keeps it back.
void log_line(LogLevel level, std::string_view area, std::string_view format,
              std::string_view line);

constexpr std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warn: return "warn";
    case LogLevel::error: return "error";
  }
  return "?";
}

// Formats into a fixed buffer (no allocation); what does not fit is cut. (Not `log`: that is the
// namespace of the folder.)
template <class... Args>
void log_event(LogLevel level, std::string_view area, fmt::format_string<Args...> format,
               Args&&... args) {
  if (!log_enabled(level)) return;
  char line[512];
  const auto end = fmt::format_to_n(line, sizeof line, format, std::forward<Args>(args)...);
  const fmt::string_view text = format;
  log_line(level, area, {text.data(), text.size()},
           {line, static_cast<std::size_t>(end.out - line)});
}

}  // namespace tailrace
