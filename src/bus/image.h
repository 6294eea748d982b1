// MetadataImage: all that cores know of the cluster, as an immutable snapshot with a version.
// Control builds image n+1 and sends the pointer to every core; each core switches between two
// turns and answers image_adopted; when all have, image n is freed. Cores never lock and never
// see half an update.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/uuid.h"
#include "bus/client_quotas.h"
#include "bus/message.h"

namespace tailrace::bus {

using NodeId = std::int32_t;

struct Endpoint {
  std::string host;
  std::uint16_t port = 0;
};

struct NodeImage {
  NodeId id = 0;
  // What clients are told, by the index of the listener they came through (StreamEvent::listener);
  // a listener beyond the end gets the first.
  std::vector<Endpoint> endpoints;
  std::string rack;  // empty: none
};

struct PartitionImage {
  std::int32_t index = 0;
  NodeId leader = -1;             // -1: none
  std::int32_t leader_epoch = 0;
  std::uint32_t incarnation = 0;  // of the local replica; grows when it moves between cores
  CoreId owner = 0;               // the core of this node that owns the local replica
  std::vector<NodeId> replicas;
  std::vector<NodeId> isr;
};

struct ConfigEntry {
  std::string name;
  std::string value;
};

struct TopicImage {
  std::string name;
  Uuid id;
  bool is_internal = false;
  std::vector<PartitionImage> partitions;  // by index
  std::vector<ConfigEntry> configs;        // only what was set for this topic, by name
};

// By group, what was set for it, by name.
using GroupConfigs = std::map<std::string, std::vector<ConfigEntry>, std::less<>>;

struct MetadataImage {
  std::uint64_t version = 0;          // grows by one per published image
  std::string cluster_id;             // 22 characters, fixed at format
  NodeId node_id = 0;                 // this node
  NodeId controller_id = -1;
  std::vector<NodeImage> nodes;       // by id
  std::vector<std::shared_ptr<const TopicImage>> topics;  // by name; shared with older images
  std::unordered_map<Uuid, const TopicImage*> topics_by_id;
  std::unordered_map<std::string_view, const TopicImage*> topics_by_name;
  std::vector<ConfigEntry> broker_configs;   // dynamic ones that were set for this node, by name
  std::vector<ConfigEntry> broker_defaults;  // those set for every node; this node's go before

  // Null: none are set; shared with older images.
  std::shared_ptr<const ClientQuotas> quotas;
  std::shared_ptr<const GroupConfigs> group_configs;

  const TopicImage* find_topic(std::string_view name) const {
    const auto found = topics_by_name.find(name);
    return found == topics_by_name.end() ? nullptr : found->second;
  }
  const TopicImage* find_topic(const Uuid& id) const {
    const auto found = topics_by_id.find(id);
    return found == topics_by_id.end() ? nullptr : found->second;
  }
};

// Which core owns a partition on a node with `core_count` cores: a pure function, so that
// recovery and control agree without talking. Neighbouring partitions go to different cores.
inline CoreId owner_core(const Uuid& topic_id, std::int32_t partition, std::uint16_t core_count) {
  const std::size_t start = std::hash<Uuid>{}(topic_id) % core_count;
  return static_cast<CoreId>((start + static_cast<std::size_t>(partition)) % core_count);
}

}  // namespace tailrace::bus
