// Rules for topic names, partition counts and replica assignments, with refusals in Kafka's words.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "control/request_context.h"

namespace tailrace::control {

// kafka/topic_name.h has the rule.
Refusal check_topic_name(std::string_view name);
// `added` partitions more, beside `planned` of the same request.
Refusal check_partition_total(const RequestContext& context, std::uint64_t planned,
                              std::uint64_t added);
// One partition's replicas, chosen by hand. `expected`: how many replicas the others have, 0 when
// there are no others.
Refusal check_replicas(const ClusterState& state, std::span<const std::int32_t> replicas,
                       std::size_t expected);
// A new partition on these nodes; the first one leads.
PartitionRecord new_partition(std::vector<bus::NodeId> replicas);
std::vector<bus::NodeId> node_ids(const ClusterState& state);

}  // namespace tailrace::control
