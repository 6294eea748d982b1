#include "control/describe_quorum.h"

#include "kafka/apis.h"
#include "kafka/gen/describe_quorum.h"

namespace tailrace::control {
namespace {

using kafka::ErrorCode;
using Request = kafka::DescribeQuorumRequest;
using Response = kafka::DescribeQuorumResponse;
using Topic = Response::TopicData;
using Partition = Topic::PartitionData;

constexpr std::string_view metadata_topic = "__cluster_metadata";

class Describer {
 public:
  Describer(const ClusterState& state, const QuorumView& view) : state_(state), view_(view) {
    // Offsets are told as Kafka counts them: the end is the one behind the last entry.
    for (const QuorumMember& member : view.voters) {
      const bool leads = member.id == view.leader;
      voters_.push_back({.replica_id = member.id,
                         .log_end_offset = end_of(member),
                         .last_fetch_timestamp = leads ? view.wall_ms : -1,
                         .last_caught_up_timestamp = leads ? view.wall_ms : -1});
    }
    for (const QuorumMember& member : view.observers) {
      observers_.push_back({.replica_id = member.id, .log_end_offset = end_of(member)});
    }
  }

  Response describe(const Request& request) {
    Response response;
    for (const auto& topic : request.topics) {
      auto& told = partitions_.emplace_back();
      for (const auto& partition : topic.partitions) {
        told.push_back(describe(topic.topic_name, partition.partition_index));
      }
      topics_.push_back({topic.topic_name, told});
    }
    response.topics = topics_;
    for (const auto& [id, node] : state_.nodes()) {
      auto& listeners = listeners_.emplace_back();
      for (const EndpointRecord& endpoint : node.endpoints) {
        listeners.push_back({"PLAINTEXT", endpoint.host, endpoint.port});
      }
      nodes_.push_back({id, listeners});
    }
    response.nodes = nodes_;
    return response;
  }

 private:
  static std::int64_t end_of(const QuorumMember& member) {
    return static_cast<std::int64_t>(member.log_end) + 1;
  }

  Partition describe(std::string_view topic, std::int32_t index) {
    Partition partition;
    partition.partition_index = index;
    if (topic != metadata_topic || index != 0) {
      partition.error_code = to_wire(ErrorCode::unknown_topic_or_partition);
      partition.error_message = "This server does not host this topic-partition.";
      return partition;
    }
    if (view_.leader == raft::no_node) {
      partition.error_code = to_wire(ErrorCode::not_leader_or_follower);
      partition.error_message = "The metadata log is not led by this node.";
      return partition;
    }
    partition.leader_id = view_.leader;
    partition.leader_epoch = static_cast<std::int32_t>(view_.term);
    partition.high_watermark = static_cast<std::int64_t>(view_.committed) + 1;
    partition.current_voters = voters_;
    partition.observers = observers_;
    return partition;
  }

  const ClusterState& state_;
  const QuorumView& view_;
  std::vector<Partition::VoterState> voters_;
  std::vector<Partition::ObserverState> observers_;
  std::vector<Topic> topics_;
  std::deque<std::vector<Partition>> partitions_;
  std::vector<Response::Node> nodes_;
  std::deque<std::vector<Response::Node::Listener>> listeners_;
};

}  // namespace

Outcome describe_quorum(const bus::ControlRequest& request, const ClusterState& state,
                        const QuorumView& view) {
  // It is asked while the log may be stuck, so it has memory of its own; a question is short.
  Arena arena(64U << 10);
  Outcome outcome;
  kafka::Reader in(request.body);
  const Result<Request> decoded = Request::decode(in, request.api_version, arena);
  if (!decoded || in.failed()) {
    outcome.close_connection = true;
    return outcome;
  }
  Describer describer(state, view);
  const Response response = describer.describe(*decoded);
  EncodedReply reply = encode_reply(response, request.api_version, 0);
  outcome.reply = std::move(reply.bytes);
  outcome.has_error = reply.has_error;
  return outcome;
}

}  // namespace tailrace::control
