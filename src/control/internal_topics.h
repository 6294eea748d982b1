// The topics that are the broker's own, and which partition of them a group or a
// transactional id lives in.
#pragma once

#include <cstdint>
#include <string_view>

#include "control/request_context.h"

namespace tailrace::control {

inline constexpr std::string_view offsets_topic_name = "__consumer_offsets";
inline constexpr std::string_view transactions_topic_name = "__transaction_state";

bool is_internal_topic(std::string_view name);

// The topics of groups and offsets, and of transactions, as they are made at their first use.
TopicRecord new_offsets_topic(const Limits& limits, const ClusterState& state, Prng& prng);
TopicRecord new_transactions_topic(const Limits& limits, const ClusterState& state, Prng& prng);

// As Kafka chooses it: the hash of a Java string, UTF-16, without its sign.
std::int32_t java_hash(std::string_view text);
std::int32_t partition_of_key(std::string_view key, std::size_t partition_count);
inline std::int32_t partition_of_group(std::string_view group, std::size_t partition_count) {
  return partition_of_key(group, partition_count);
}

}  // namespace tailrace::control
