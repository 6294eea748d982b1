// Records: the changes of metadata, as they lie in log entries and, as the shortest list that
// makes the same state, in snapshots. An entry holds a list of records that apply together.
//
//   record: type u16, version u16, bytes u32, content
// A newer version may add fields only; a decoder refuses a version it does not know, because a
// change that is half understood is worse than a node that does not start.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "bus/image.h"

namespace tailrace::control {

struct ClusterRecord {
  std::string cluster_id;
  friend bool operator==(const ClusterRecord&, const ClusterRecord&) = default;
};

struct EndpointRecord {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const EndpointRecord&, const EndpointRecord&) = default;
};

// A node registers, or registers anew with other endpoints.
struct NodeRecord {
  bus::NodeId id = 0;
  std::string rack;
  std::vector<EndpointRecord> endpoints;
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

struct PartitionRecord {
  bus::NodeId leader = -1;
  std::int32_t leader_epoch = 0;
  std::uint32_t incarnation = 1;
  std::vector<bus::NodeId> replicas;
  std::vector<bus::NodeId> isr;
  friend bool operator==(const PartitionRecord&, const PartitionRecord&) = default;
};

// A config that is set, or, without a value, taken back.
struct ConfigRecord {
  std::string name;
  std::optional<std::string> value;
  friend bool operator==(const ConfigRecord&, const ConfigRecord&) = default;
};

struct TopicRecord {
  Uuid id;
  std::string name;
  bool is_internal = false;
  std::vector<PartitionRecord> partitions;
  std::vector<ConfigRecord> configs;
  friend bool operator==(const TopicRecord&, const TopicRecord&) = default;
};

struct PartitionsAddedRecord {
  Uuid topic;
  std::vector<PartitionRecord> partitions;
  friend bool operator==(const PartitionsAddedRecord&, const PartitionsAddedRecord&) = default;
};

struct TopicDeletedRecord {
  Uuid topic;
  friend bool operator==(const TopicDeletedRecord&, const TopicDeletedRecord&) = default;
};

struct TopicConfigRecord {
  Uuid topic;
  std::vector<ConfigRecord> configs;
  friend bool operator==(const TopicConfigRecord&, const TopicConfigRecord&) = default;
};

struct BrokerConfigRecord {
  bus::NodeId node = -1;  // -1: of all nodes
  std::vector<ConfigRecord> configs;
  friend bool operator==(const BrokerConfigRecord&, const BrokerConfigRecord&) = default;
};

// Producer ids below `next` are given away, or belong to a block that is.
struct ProducerIdsRecord {
  std::int64_t next = 0;
  friend bool operator==(const ProducerIdsRecord&, const ProducerIdsRecord&) = default;
};

// One partition as it is from now on: led by another node, on other nodes.
struct PartitionChangedRecord {
  Uuid topic;
  std::int32_t index = 0;
  PartitionRecord partition;
  friend bool operator==(const PartitionChangedRecord&, const PartitionChangedRecord&) = default;
};

// Whom a quota is for: by type ("user", "client-id", "ip") a name, or nothing for all that have
// none of their own.
using QuotaEntity = std::map<std::string, std::optional<std::string>, std::less<>>;

// A quota that is set, or, without a value, taken back.
struct ClientQuotaRecord {
  QuotaEntity entity;
  std::string key;  // "producer_byte_rate", ...
  std::optional<double> value;
  friend bool operator==(const ClientQuotaRecord&, const ClientQuotaRecord&) = default;
};

// Configs of one group, which need not be there.
struct GroupConfigRecord {
  std::string group;
  std::vector<ConfigRecord> configs;
  friend bool operator==(const GroupConfigRecord&, const GroupConfigRecord&) = default;
};

using Record = std::variant<ClusterRecord, NodeRecord, TopicRecord, PartitionsAddedRecord,
                            TopicDeletedRecord, TopicConfigRecord, BrokerConfigRecord,
                            ProducerIdsRecord, PartitionChangedRecord, ClientQuotaRecord,
                            GroupConfigRecord>;

void encode_record(const Record& record, std::vector<std::byte>& out);
std::size_t encoded_bytes(const Record& record);

// Any bytes may be given. Errors: malformed; unsupported for an unknown type or newer version.
Result<std::vector<Record>> decode_records(Bytes bytes);

// One line for people.
std::string to_text(const Record& record);

}  // namespace tailrace::control
