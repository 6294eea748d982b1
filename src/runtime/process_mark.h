// ProcessMark: a process by its number and the time of its start, since numbers are given again:
// in a container every start of a program may get the same one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tailrace::runtime {

struct ProcessMark {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // since the machine's start; 0: not known
  friend bool operator==(const ProcessMark&, const ProcessMark&) = default;
};

ProcessMark own_process();

// "PID TICKS\n"; the ticks may be missing.
std::string to_text(const ProcessMark& mark);
ProcessMark parse_process(std::string_view text);

// True when there is no such process, or it is about to end (killed, its memory being given back)
// or only waits for its parent. False when the system does not tell.
bool has_ended(const ProcessMark& mark);

}  // namespace tailrace::runtime
