// DescribeCluster: the nodes, and which one is the controller.
#include "broker/answer.h"
#include "broker/cluster_answer.h"
#include "kafka/gen/describe_cluster.h"

namespace tailrace::broker {
namespace {

constexpr std::int8_t endpoint_brokers = 1;
constexpr std::int8_t endpoint_controllers = 2;

}  // namespace

Started start_describe_cluster(Core& core, Call& call, Now) {
  using Broker = kafka::DescribeClusterResponse::DescribeClusterBroker;
  kafka::DescribeClusterRequest body;
  if (!decode(core, call, body)) return Started::close;
  kafka::DescribeClusterResponse response;
  if (body.endpoint_type != endpoint_brokers) {
    const bool is_known = body.endpoint_type == endpoint_controllers;
    response.error_code = to_wire(is_known ? kafka::ErrorCode::invalid_request
                                           : kafka::ErrorCode::unsupported_endpoint_type);
    response.error_message = is_known ? "This is a broker; ask it about brokers."
                                      : "Unsupported endpoint type.";
    return answer_now(core, call, response);
  }
  response.cluster_id = core.image->cluster_id;
  response.controller_id = core.image->controller_id;
  const auto& nodes = core.image->nodes;
  response.brokers = take_array<Broker>(core, call.request, nodes.size());
  for (std::size_t i = 0; i < response.brokers.size(); ++i) {
    const bus::Endpoint& endpoint = endpoint_of(nodes[i], call.request.listener);
    Broker& out = response.brokers[i];
    out.broker_id = nodes[i].id;
    out.host = endpoint.host;
    out.port = endpoint.port;
    if (!nodes[i].rack.empty()) out.rack = std::string_view(nodes[i].rack);
  }
  if (body.include_cluster_authorized_operations) {
    response.cluster_authorized_operations = cluster_operations;
  }
  return answer_now(core, call, response);
}

}  // namespace tailrace::broker
