// Parts of answers about the cluster that several APIs give.
#pragma once

#include <cstdint>

#include "bus/image.h"

namespace tailrace::broker {

// Every operation that Kafka without an authorizer allows, as bits by its number in AclOperation:
// on a topic read, write, create, delete, alter, describe, describe and alter configs; on a
// cluster create, alter, describe, cluster action, describe and alter configs, idempotent write.
inline constexpr std::int32_t topic_operations = 0b1101'1111'1000;
inline constexpr std::int32_t cluster_operations = 0b1'1111'1010'0000;
static_assert(topic_operations == 3576);
static_assert(cluster_operations == 8096);

// Where clients of `listener` reach the node.
inline const bus::Endpoint& endpoint_of(const bus::NodeImage& node, std::uint32_t listener) {
  static const bus::Endpoint nowhere;
  if (node.endpoints.empty()) return nowhere;
  return node.endpoints[listener < node.endpoints.size() ? listener : 0];
}

}  // namespace tailrace::broker
