// What consumers of the classic protocol put into the opaque fields of JoinGroup and SyncGroup:
// Kafka's "consumer" protocol type. Read only where a group moves between the protocols.
//
//   subscription: version i16, topics, user data; from 1 on what it owns; from 2 a generation;
//                 from 3 a rack. Newer versions add behind that.
//   assignment: version i16, topics with partitions, user data
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/assignor.h"
#include "control/cluster_state.h"
#include "control/group_records.h"

namespace tailrace::control {

using NamedPartitions = std::vector<std::pair<std::string, std::int32_t>>;

struct Subscription {
  std::int16_t version = 0;
  std::vector<std::string> topics;
  NamedPartitions owned;
  std::optional<std::string> rack_id;
};

// Any bytes may be given.
Result<Subscription> parse_subscription(Bytes bytes);
Result<NamedPartitions> parse_client_assignment(Bytes bytes);
ByteString encode_client_assignment(std::int16_t version, const NamedPartitions& partitions);

// What is no topic any more is left out.
Assignment to_ids(const NamedPartitions& partitions, const ClusterState& state);
NamedPartitions to_names(const Assignment& assignment, const ClusterState& state);

}  // namespace tailrace::control
