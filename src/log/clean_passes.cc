#include "log/clean_passes.h"

#include <algorithm>

#include "base/assert.h"

namespace tailrace::log {
namespace {

// Into so many parts the time that a tombstone stays is cut.
constexpr std::int64_t parts = 16;

bool is_expired(const CleanPass& pass, std::int64_t delete_retention_ms, std::int64_t wall_ms) {
  std::int64_t age_ms = 0;
  if (__builtin_sub_overflow(wall_ms, pass.last_ms, &age_ms)) return false;
  return age_ms >= delete_retention_ms;
}

}  // namespace

std::int64_t CleanPasses::expired_end(std::int64_t delete_retention_ms,
                                      std::int64_t wall_ms) const {
  std::int64_t end = 0;
  for (const CleanPass& pass : passes_) {
    // The wall clock may have gone back: what is older than an expired pass is no younger.
    if (is_expired(pass, delete_retention_ms, wall_ms)) end = pass.end_offset;
  }
  return end;
}

bool CleanPasses::has_expired(std::int64_t delete_retention_ms, std::int64_t wall_ms) const {
  return std::any_of(passes_.begin(), passes_.end(), [&](const CleanPass& pass) {
    return pass.waiting > 0 && is_expired(pass, delete_retention_ms, wall_ms);
  });
}

std::size_t CleanPasses::index_of(std::int64_t offset) const {
  const auto behind = std::upper_bound(
      passes_.begin(), passes_.end(), offset,
      [](std::int64_t wanted, const CleanPass& pass) { return wanted < pass.end_offset; });
  return static_cast<std::size_t>(behind - passes_.begin());
}

void CleanPasses::add(std::int64_t end_offset, std::int64_t wall_ms,
                      std::int64_t delete_retention_ms, std::span<const std::uint64_t> waiting) {
  TR_ASSERT(end_offset >= this->end_offset());
  TR_ASSERT(waiting.size() == passes_.size() + 1);
  for (std::size_t i = 0; i < passes_.size(); ++i) passes_[i].waiting = waiting[i];
  if (end_offset > this->end_offset()) {
    passes_.push_back({end_offset, wall_ms, wall_ms, waiting.back()});
  }
  // Where everything may go, or nothing is left that would, the older times tell nothing more.
  while (passes_.size() > 1 && is_expired(passes_[1], delete_retention_ms, wall_ms)) join(0);
  for (std::size_t i = 0; i + 1 < passes_.size();) {
    std::int64_t span_ms = 0;
    const bool close =
        !__builtin_sub_overflow(passes_[i + 1].last_ms, passes_[i].first_ms, &span_ms) &&
        span_ms < delete_retention_ms / parts;
    const bool full = passes_.size() > passes_max;
    if (close || passes_[i].waiting == 0 || full) {
      join(i);
    } else {
      ++i;
    }
  }
  TR_ASSERT(passes_.size() <= passes_max);
}

void CleanPasses::join(std::size_t older) {
  CleanPass& into = passes_[older];
  const CleanPass& next = passes_[older + 1];
  into.end_offset = next.end_offset;
  if (into.waiting == 0) into.first_ms = next.first_ms;
  into.last_ms = std::max(into.last_ms, next.last_ms);
  into.waiting += next.waiting;
  passes_.erase(passes_.begin() + static_cast<std::ptrdiff_t>(older) + 1);
}

void CleanPasses::restore(const std::vector<CleanPass>& passes) {
  passes_.clear();
  for (const CleanPass& pass : passes) {
    if (pass.end_offset > end_offset() && passes_.size() < passes_max) passes_.push_back(pass);
  }
}

}  // namespace tailrace::log
