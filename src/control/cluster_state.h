// ClusterState: what the committed records add up to. Changes only by apply().
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/records.h"

namespace tailrace::control {

using ConfigMap = std::map<std::string, std::string, std::less<>>;

using GroupConfigMap = std::map<std::string, ConfigMap, std::less<>>;

using QuotaMap = std::map<QuotaEntity, std::map<std::string, double, std::less<>>>;

struct Topic {
  Uuid id;
  std::string name;
  bool is_internal = false;
  std::vector<PartitionRecord> partitions;
  ConfigMap configs;
  std::uint64_t revision = 0;    // grows with every change of any topic; names this content
  std::uint64_t state_bytes = 0; // in a snapshot
};

class ClusterState {
 public:
  // Errors: malformed when the record contradicts the state (a log of ours never does).
  Result<void> apply(const Record& record);
  // The whole state as records, and back. `restore` only on a new object. Errors: as
  // decode_records and apply.
  std::vector<std::byte> snapshot() const;
  Result<void> restore(Bytes snapshot);
  // The size of snapshot(), without making it.
  std::uint64_t snapshot_bytes() const {
    return topic_bytes_ + group_bytes_ + other_bytes_;
  }

  const std::string& cluster_id() const { return cluster_id_; }
  const std::map<bus::NodeId, NodeRecord>& nodes() const { return nodes_; }
  const std::map<std::string, Topic, std::less<>>& topics() const { return topics_; }
  const Topic* find_topic(std::string_view name) const;
  const Topic* find_topic(const Uuid& id) const;
  const PartitionRecord* find_partition(std::string_view topic, std::int32_t index) const;
  // A topic that clashes with `name` because '.' and '_' are one in metric names, or null.
  const Topic* find_collision(std::string_view name) const;
  // Of one node, or of all (-1).
  const ConfigMap& broker_configs(bus::NodeId node) const;
  // The value in force on `node`: its own, else that of all, else null.
  const std::string* broker_config(bus::NodeId node, std::string_view name) const;
  std::uint64_t partition_count() const { return partition_count_; }
  // Topics that were deleted, since this object was made.
  std::uint64_t topics_deleted() const { return topics_deleted_; }
  const QuotaMap& quotas() const { return quotas_; }
  // Grows with every change of quotas.
  std::uint64_t quota_revision() const { return quota_revision_; }
  // Only groups for which something is set.
  const GroupConfigMap& group_configs() const { return group_configs_; }
  const ConfigMap& group_configs(std::string_view group) const;
  // Grows with every change of them.
  std::uint64_t group_revision() const { return group_revision_; }
  std::int64_t producer_id_next() const { return producer_id_next_; }

 private:
  Result<void> add(const TopicRecord& record);
  Result<void> change(const PartitionsAddedRecord& record);
  Result<void> change(const TopicConfigRecord& record);
  Result<void> change(const PartitionChangedRecord& record);
  Result<void> remove(const TopicDeletedRecord& record);
  void set(const BrokerConfigRecord& record);
  void set(const ClientQuotaRecord& record);
  void set(const GroupConfigRecord& record);
  Topic* find(const Uuid& id);
  void touch(Topic& topic);
  std::vector<Record> other_records() const;
  void measure_others();

  std::string cluster_id_;
  std::map<bus::NodeId, NodeRecord> nodes_;
  std::map<std::string, Topic, std::less<>> topics_;
  std::map<Uuid, std::string> names_by_id_;
  std::map<std::string, std::string, std::less<>> names_by_metric_name_;
  std::map<bus::NodeId, ConfigMap> broker_configs_;
  QuotaMap quotas_;
  std::uint64_t quota_revision_ = 0;
  GroupConfigMap group_configs_;
  std::uint64_t group_revision_ = 0;
  std::uint64_t partition_count_ = 0;
  std::uint64_t topics_deleted_ = 0;
  std::int64_t producer_id_next_ = 0;
  std::uint64_t revision_ = 0;
  std::uint64_t topic_bytes_ = 0;
  std::uint64_t group_bytes_ = 0;
  std::uint64_t other_bytes_ = 0;
};

}  // namespace tailrace::control
