#include "control/topic_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "kafka/topic_name.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using kafka::TopicNameFault;

}  // namespace

Refusal check_topic_name(std::string_view name) {
  const auto invalid = [](std::string why) {
    return Refusal{ErrorCode::invalid_topic, "Topic name is invalid: " + std::move(why)};
  };
  switch (kafka::fault_of_topic_name(name)) {
    case TopicNameFault::none: return {};
    case TopicNameFault::empty: return invalid("the empty string is not allowed");
    case TopicNameFault::dots: return invalid("'.' or '..' is not allowed");
    case TopicNameFault::too_long:
      return invalid(fmt::format("the length of '{}' is longer than the max allowed length {}",
                                 name, kafka::topic_name_bytes_max));
    case TopicNameFault::bad_character:
      return invalid(fmt::format("'{}' contains one or more characters other than ASCII "
                                 "alphanumerics, '.', '_' and '-'", name));
    case TopicNameFault::reserved:
      return {ErrorCode::invalid_topic,
              fmt::format("Creation of internal topic {} is prohibited.", name)};
  }
  return {};
}

Refusal check_partition_total(const RequestContext& context, std::uint64_t planned,
                              std::uint64_t added) {
  const std::uint64_t there = context.state.partition_count() + planned;
  if (there + added <= context.limits.partitions_max) return {};
  return {ErrorCode::invalid_partitions,
          fmt::format("Unable to add {} partition(s): there are {} already, and this node takes "
                      "{} (limits.partitions_max).", added, there,
                      context.limits.partitions_max)};
}

Refusal check_replicas(const ClusterState& state, std::span<const std::int32_t> replicas,
                       std::size_t expected) {
  const auto invalid = [](std::string why) {
    return Refusal{ErrorCode::invalid_replica_assignment, std::move(why)};
  };
  if (replicas.empty()) {
    return invalid("The manual partition assignment includes an empty replica list.");
  }
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const auto before = replicas.first(i);
    if (std::find(before.begin(), before.end(), replicas[i]) != before.end()) {
      return invalid(fmt::format("The manual partition assignment includes the broker {} more "
                                 "than once.", replicas[i]));
    }
    if (!state.nodes().contains(replicas[i])) {
      return invalid(fmt::format("The manual partition assignment includes broker {}, but no "
                                 "such broker is registered.", replicas[i]));
    }
  }
  if (expected != 0 && replicas.size() != expected) {
    return invalid(fmt::format(
        "The manual partition assignment includes a partition with {} replica(s), but this is "
        "not consistent with previous partitions, which have {} replica(s).",
        replicas.size(), expected));
  }
  return {};
}

PartitionRecord new_partition(std::vector<bus::NodeId> replicas) {
  TR_ASSERT(!replicas.empty());
  PartitionRecord partition;
  partition.leader = replicas.front();
  partition.replicas = std::move(replicas);
  partition.isr = partition.replicas;
  return partition;
}

std::vector<bus::NodeId> node_ids(const ClusterState& state) {
  std::vector<bus::NodeId> ids;
  for (const auto& [id, node] : state.nodes()) ids.push_back(id);
  return ids;
}

}  // namespace tailrace::control
