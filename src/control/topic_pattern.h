// Subscriptions by regular expression, in RE2's language, which takes time in proportion to the
// text whatever the pattern is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/cluster_state.h"

namespace tailrace::control {

// Also false for one that is too long or would need too much memory.
bool is_topic_pattern(std::string_view pattern);

// Topics whose whole name matches, by name; internal topics never do.
std::vector<std::string> matching_topics(std::string_view pattern, const ClusterState& state);

}  // namespace tailrace::control
