// The topics that are the broker's own, and which partition of them a group lives in.
#pragma once

#include <cstdint>
#include <string_view>

#include "control/request_context.h"

namespace tailrace::control {

inline constexpr std::string_view offsets_topic_name = "__consumer_offsets";

bool is_internal_topic(std::string_view name);

// The topic of groups and offsets as it is made at its first use.
TopicRecord new_offsets_topic(const Limits& limits, const ClusterState& state, Prng& prng);

// As Kafka chooses it: the hash of a Java string, UTF-16, without its sign.
std::int32_t java_hash(std::string_view text);
std::int32_t partition_of_group(std::string_view group, std::size_t partition_count);

}  // namespace tailrace::control
