#include "runtime/process_mark.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>

namespace tailrace::runtime {
namespace {

// proc(5), /proc/PID/stat: "PID (NAME) STATE ...", fields counted from 1; the name may hold
// anything, so counting starts behind its last parenthesis.
constexpr int state_field = 3;
constexpr int flags_field = 9;
constexpr int start_field = 22;
constexpr std::uint64_t flag_exiting = 0x4;  // PF_EXITING of the kernel

struct ProcessState {
  char state = '?';
  std::uint64_t flags = 0;
  std::uint64_t start_ticks = 0;
};

// Cuts the next word off `rest`.
std::string_view next_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
  rest.remove_prefix(word.size());
  return word;
}

std::uint64_t number_of(std::string_view word) {
  std::uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number);
  return number;
}

bool read_state(pid_t pid, ProcessState& found) {
  std::FILE* file = std::fopen(fmt::format("/proc/{}/stat", pid).c_str(), "re");
  if (file == nullptr) return false;
  char text[1024];
  const std::string_view all(text, std::fread(text, 1, sizeof text, file));
  std::fclose(file);
  const std::size_t name_end = all.rfind(')');
  if (name_end == std::string_view::npos) return false;
  std::string_view rest = all.substr(name_end + 1);
  for (int field = state_field; field <= start_field; ++field) {
    const std::string_view word = next_word(rest);
    if (word.empty()) return false;
    if (field == state_field) found.state = word.front();
    if (field == flags_field) found.flags = number_of(word);
    if (field == start_field) found.start_ticks = number_of(word);
  }
  return true;
}

}  // namespace

ProcessMark own_process() {
  ProcessState state;
  return {.pid = getpid(), .start_ticks = read_state(getpid(), state) ? state.start_ticks : 0};
}

std::string to_text(const ProcessMark& mark) {
  return fmt::format("{} {}\n", mark.pid, mark.start_ticks);
}

ProcessMark parse_process(std::string_view text) {
  const auto pid = static_cast<pid_t>(number_of(next_word(text)));
  return {.pid = pid, .start_ticks = number_of(next_word(text))};
}

bool has_ended(const ProcessMark& mark) {
  if (mark.pid <= 0) return false;
  if (kill(mark.pid, 0) != 0 && errno == ESRCH) return true;
  ProcessState state;
  if (!read_state(mark.pid, state)) return false;
  const bool is_another = mark.start_ticks != 0 && mark.start_ticks != state.start_ticks;
  return is_another || state.state == 'Z' || state.state == 'X' ||
         (state.flags & flag_exiting) != 0;
}

}  // namespace tailrace::runtime
