// Progress of long work at start, on standard error: one line that changes on a terminal, a line
// every few seconds elsewhere. Short work says nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace tailrace::runtime {

class Progress {
 public:
  // `write`: takes text as it is to appear. `terminal`: can a line be written over?
  using Write = void (*)(std::string_view text);
  Progress(bool terminal, Write write) : terminal_(terminal), write_(write) {}
  // To standard error.
  static Progress standard();

  void show(std::string_view phase, std::uint64_t done_bytes, std::uint64_t total_bytes,
            Instant now);
  // Ends the line on a terminal.
  void end();

 private:
  bool terminal_;
  Write write_;
  bool begun_ = false;
  bool line_open_ = false;
  Instant next_{};
};

}  // namespace tailrace::runtime
