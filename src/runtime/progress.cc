#include "runtime/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace tailrace::runtime {
namespace {

constexpr Duration quiet_at_first = milliseconds(500);
constexpr Duration terminal_interval = milliseconds(200);
constexpr Duration line_interval = seconds(3);

void write_to_standard_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

Progress Progress::standard() {
  return Progress(isatty(STDERR_FILENO) == 1, &write_to_standard_error);
}

void Progress::show(std::string_view phase, std::uint64_t done_bytes, std::uint64_t total_bytes,
                    Instant now) {
  if (!begun_) {
    begun_ = true;
    next_ = now + quiet_at_first;
  }
  if (now < next_) return;
  next_ = now + (terminal_ ? terminal_interval : line_interval);
  constexpr std::uint64_t MiB = 1 << 20;
  const std::uint64_t percent = total_bytes == 0 ? 0 : done_bytes * 100 / total_bytes;
  const std::string text = fmt::format("tailrace: {}: {} of {} MiB ({} %)", phase,
                                       done_bytes / MiB, total_bytes / MiB, percent);
  // Padded, so that a shorter text covers a longer one.
  write_(terminal_ ? fmt::format("\r{:<70}", text) : text + "\n");
  line_open_ = terminal_;
}

void Progress::end() {
  if (line_open_) write_("\n");
  line_open_ = false;
}

}  // namespace tailrace::runtime
