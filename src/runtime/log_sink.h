// The program's log sink: standard error, with the time where nobody else adds it. Journald stamps
// every line itself, and a person at a terminal sees them as they come; a file or a pipe gets the
// time in front, for whoever reads it later. Many warnings of one kind become a few and a count
// (base/log_throttle.h). A host that embeds an appliance sets its own sink, and gets all lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tailrace::runtime {

void install_log_sink();
// Now and then, and before the program ends: tells of what was kept back.
void tell_held_lines();
void tell_all_held_lines();

// `journal_stream`: the variable JOURNAL_STREAM, "DEVICE:INODE" of the stream that journald reads;
// standard error is that of `device` and `inode`.
struct LogPlace {
  bool is_terminal = false;
  std::string journal_stream;
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};
bool wants_time(const LogPlace& place);

// "2026-02-03T04:05:06.789Z ", in UTC.
std::string time_text(std::int64_t wall_ms);

}  // namespace tailrace::runtime
