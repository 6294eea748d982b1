// Controller: answers requests that read or change the cluster's metadata. It checks a request
// against the committed state and says which records make the change and what the client is
// told once they are committed; it changes nothing itself. One request at a time, so that each
// is checked against the outcome of those before.
//
// The APIs are in create_topics.cc, change_topics.cc and alter_configs.cc; producer ids are here.
#pragma once

#include <string>
#include <vector>

#include "base/arena.h"
#include "base/prng.h"
#include "base/time.h"
#include "bus/message.h"
#include "control/cluster_state.h"
#include "control/limits.h"
#include "control/mutation_quota.h"
#include "control/request_context.h"
#include "kafka/errors.h"

namespace tailrace::kafka {
struct InitProducerIdResponse;
}

namespace tailrace::control {

// Producer ids are taken from the metadata log in blocks of so many.
inline constexpr std::int64_t producer_block_ids = 1000;

class Controller {
 public:
  // `state` outlives the object; `node_id` is this node.
  Controller(const Limits& limits, bus::NodeId node_id, const ClusterState& state, Prng prng);

  // `room_bytes`: by how much the metadata may grow (RaftStore::growing_room).
  Outcome execute(const bus::ControlRequest& request, std::uint64_t room_bytes);
  // The time of what comes next.
  void set_time(Instant now) { mutations_.set_time(now); }
  // The same error for everything the request asked for.
  Outcome refuse(const bus::ControlRequest& request, kafka::ErrorCode code,
                 std::string_view message);
  // How long the client wants to wait.
  Duration timeout(const bus::ControlRequest& request);
  // Needs no commit now and so need not wait for its turn: producer ids of a block at hand, the
  // coordinator of a group once there is the topic.
  bool is_immediate(const bus::ControlRequest& request) const;

 private:
  Outcome run(RequestContext& context);
  Outcome init_producer_id(RequestContext& context);
  void take_producer_id(RequestContext& context, kafka::InitProducerIdResponse& response);

  const Limits limits_;
  bus::NodeId node_id_;
  const ClusterState& state_;
  Prng prng_;
  Arena arena_;
  MutationQuota mutations_;
  // Producer ids of the newest block that are not given out yet. After a restart the rest of a
  // block is lost, which costs nothing.
  std::int64_t producer_id_ = 0;
  std::int64_t producer_id_end_ = 0;
};

}  // namespace tailrace::control
