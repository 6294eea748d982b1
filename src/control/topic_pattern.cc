#include "control/topic_pattern.h"

#include <re2/re2.h>

#include "control/internal_topics.h"

namespace tailrace::control {
namespace {

constexpr std::size_t pattern_bytes_max = 4096;
constexpr std::int64_t memory_bytes_max = 1 << 20;

re2::RE2::Options options() {
  re2::RE2::Options made;
  made.set_log_errors(false);
  made.set_max_mem(memory_bytes_max);
  return made;
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

bool is_topic_pattern(std::string_view pattern) {
  return pattern.size() <= pattern_bytes_max && re2::RE2(piece(pattern), options()).ok();
}

std::vector<std::string> matching_topics(std::string_view pattern, const ClusterState& state) {
  std::vector<std::string> names;
  const re2::RE2 expression(piece(pattern), options());
  if (!expression.ok()) return names;
  for (const auto& [name, topic] : state.topics()) {
    if (is_internal_topic(name)) continue;
    if (re2::RE2::FullMatch(piece(name), expression)) names.push_back(name);
  }
  return names;
}

NamePattern::NamePattern(std::string_view pattern) {
  if (pattern.size() > pattern_bytes_max) return;
  auto made = std::make_unique<re2::RE2>(piece(pattern), options());
  if (made->ok()) expression_ = std::move(made);
}

NamePattern::~NamePattern() = default;

bool NamePattern::matches(std::string_view name) const {
  return re2::RE2::FullMatch(piece(name), *expression_);
}

}  // namespace tailrace::control
