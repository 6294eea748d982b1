// The program's log sink: standard error, with the time where nobody else adds it. Journald stamps
// every line itself, and a person at a terminal sees them as they come; a file or a pipe gets the
// time in front, for whoever reads it later. A host that embeds an appliance sets its own sink.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tailrace::runtime {

void install_log_sink();

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
