// DescribeQuorum: who has a copy of the metadata log, and how far each is.
#pragma once

#include <vector>

#include "control/request_context.h"
#include "raft/entries.h"

namespace tailrace::control {

struct QuorumMember {
  raft::NodeId id = raft::no_node;
  raft::Index log_end = 0;
};

struct QuorumView {
  raft::NodeId leader = raft::no_node;
  raft::Term term = 0;
  raft::Index committed = 0;
  std::int64_t wall_ms = 0;
  std::vector<QuorumMember> voters;
  std::vector<QuorumMember> observers;
};

Outcome describe_quorum(const bus::ControlRequest& request, const ClusterState& state,
                        const QuorumView& view);

}  // namespace tailrace::control
