// LogThrottle: which lines are written when many of one kind come, and what is told of the rest.
//
// A thousand peers that all make the same mistake are one event to whoever reads the log. Lines of
// one kind (base/log.h) are written as they come until there are too many in a second; then the
// kind is quiet for a while, its lines are counted, and one line says how many there were:
//
//   [calm] ── more than lines_max in a second ──▶ [quiet] ── quiet time is over: told ──▶ [calm]
//
// A kind that never becomes too much is never touched. Not thread-safe; takes no memory later.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/log.h"
#include "base/time.h"

namespace tailrace {

class LogThrottle {
 public:
  static constexpr std::uint32_t lines_max = 5;  // of one kind in a second
  static constexpr Duration quiet_time = seconds(10);
  static constexpr std::size_t kinds_max = 64;

  // Is this line to be written?
  bool admit(LogLevel level, std::string_view area, std::string_view kind, std::string_view line,
             Instant now);

  static constexpr std::size_t line_bytes_max = 512;
  template <std::size_t size_max>
  struct Text {
    std::array<char, size_max> bytes;
    std::size_t size = 0;
    std::string_view view() const { return {bytes.data(), size}; }
    void set(std::string_view text) { size = text.copy(bytes.data(), size_max); }
  };
  // What is to be told of a kind; a copy, so that it can be written when others are admitted.
  struct Held {
    LogLevel level = LogLevel::warn;
    Text<32> area;
    Text<line_bytes_max + 128> line;
  };

  // The next kind whose quiet time is over; with `all`, at the end of a program, the next from
  // which anything was kept back. `at` begins at 0 and leads once through all kinds. False: no
  // more.
  bool take_held(Instant now, bool all, std::size_t& at, Held& out);

 private:
  struct Kind {
    std::uint64_t key = 0;       // 0: free
    Instant second;              // when the one that is counted began
    std::uint32_t lines = 0;     // in it
    Instant quiet_until;
    std::uint64_t held = 0;      // lines that were not written; above 0: quiet
    LogLevel level = LogLevel::warn;
    Text<32> area;
    Text<line_bytes_max> last;
  };

  Kind* find(std::uint64_t key, Instant now);
  static void end_quiet(Kind& kind, Instant now, Held& out);

  std::array<Kind, kinds_max> kinds_{};
};

}  // namespace tailrace
