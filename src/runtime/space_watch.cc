#include "runtime/space_watch.h"

#include "base/log.h"

namespace tailrace::runtime {
namespace {
constexpr std::uint64_t MiB = 1 << 20;
}

void SpaceWatch::look(const Sight& sight, Instant now) {
  if (sight.refuses) {
    refused_at_ = now;
    if (told_) return;
    told_ = true;
    if (refusing_cores_.fetch_add(1) > 0) return;
    log_event(LogLevel::error, "disk",
              "produce is refused for lack of space: {} MiB free, storage.free_bytes_min is {} "
              "MiB; free some, delete topics or records, or shorten their retention",
              sight.free_bytes / MiB, sight.free_bytes_min / MiB);
    return;
  }
  if (!told_ || now < refused_at_ + end_after) return;
  told_ = false;
  if (refusing_cores_.fetch_sub(1) > 1) return;
  log_event(LogLevel::warn, "disk", "produce is accepted again: {} MiB free",
            sight.free_bytes / MiB);
}

}  // namespace tailrace::runtime
