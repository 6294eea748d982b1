#include "base/log_throttle.h"

namespace tailrace {
namespace {

std::uint64_t key_of(std::string_view area, std::string_view kind) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const std::string_view text : {area, std::string_view("\n"), kind}) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash == 0 ? 1 : hash;
}

}  // namespace

bool LogThrottle::admit(LogLevel level, std::string_view area, std::string_view kind,
                        std::string_view line, Instant now) {
  Kind* found = find(key_of(area, kind), now);
  if (found == nullptr) return true;
  if (found->held == 0) {
    if (seconds(1) <= now - found->second) {
      found->second = now;
      found->lines = 0;
    }
    if (++found->lines <= lines_max) return true;
    found->quiet_until = now + quiet_time;
  }
  ++found->held;
  found->level = level;
  found->area.set(area);
  found->last.set(line);
  return false;
}

// Null: more kinds are quiet than there is room for; this one is written as it comes.
LogThrottle::Kind* LogThrottle::find(std::uint64_t key, Instant now) {
  Kind* oldest = nullptr;
  for (Kind& kind : kinds_) {
    if (kind.key == key) return &kind;
    if (kind.held > 0) continue;
    if (oldest == nullptr || kind.second < oldest->second) oldest = &kind;
  }
  if (oldest == nullptr) return nullptr;
  *oldest = {};
  oldest->key = key;
  oldest->second = now;
  return oldest;
}

bool LogThrottle::take_held(Instant now, bool all, std::size_t& at, Held& out) {
  while (at < kinds_max) {
    Kind& kind = kinds_[at++];
    if (kind.held == 0 || (!all && now < kind.quiet_until)) continue;
    end_quiet(kind, now, out);
    return true;
  }
  return false;
}

void LogThrottle::end_quiet(Kind& kind, Instant now, Held& out) {
  const Duration took = now - kind.quiet_until;
  const std::int64_t took_s = (took.ns + quiet_time.ns) / seconds(1).ns;
  const auto end =
      fmt::format_to_n(out.line.bytes.data(), out.line.bytes.size(),
                       "{} more like this in {} s; the last: {}", kind.held, took_s,
                       kind.last.view());
  out.line.size = static_cast<std::size_t>(end.out - out.line.bytes.data());
  out.level = kind.level;
  out.area = kind.area;
  kind.held = 0;
  kind.lines = 0;
  kind.second = now;
}

}  // namespace tailrace
