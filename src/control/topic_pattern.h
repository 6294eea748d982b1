// Subscriptions by regular expression, in RE2's language, which takes time in proportion to the
// text whatever the pattern is.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/cluster_state.h"

namespace re2 {
class RE2;
}

namespace tailrace::control {

// Also false for one that is too long or would need too much memory.
bool is_topic_pattern(std::string_view pattern);

// Topics whose whole name matches, by name; internal topics never do.
std::vector<std::string> matching_topics(std::string_view pattern, const ClusterState& state);

// The same for other names.
class NamePattern {
 public:
  explicit NamePattern(std::string_view pattern);
  ~NamePattern();
  NamePattern(const NamePattern&) = delete;
  NamePattern& operator=(const NamePattern&) = delete;
  bool is_valid() const { return expression_ != nullptr; }
  // The whole name. is_valid().
  bool matches(std::string_view name) const;

 private:
  std::unique_ptr<re2::RE2> expression_;
};

}  // namespace tailrace::control
