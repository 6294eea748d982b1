#include "control/cluster_state.h"

#include <algorithm>
#include <utility>

namespace tailrace::control {
namespace {

std::string metric_name(std::string_view name) {
  std::string metric(name);
  std::replace(metric.begin(), metric.end(), '.', '_');
  return metric;
}

void set_configs(ConfigMap& map, const std::vector<ConfigRecord>& configs) {
  for (const ConfigRecord& config : configs) {
    if (config.value) {
      map[config.name] = *config.value;
    } else {
      map.erase(config.name);
    }
  }
}

std::vector<ConfigRecord> to_records(const ConfigMap& map) {
  std::vector<ConfigRecord> configs;
  for (const auto& [name, value] : map) configs.push_back({name, value});
  return configs;
}

TopicRecord to_record(const Topic& topic) {
  return {topic.id, topic.name, topic.is_internal, topic.partitions, to_records(topic.configs)};
}

}  // namespace

Result<void> ClusterState::apply(const Record& record) {
  Result<void> result;
  if (const auto* cluster = std::get_if<ClusterRecord>(&record)) {
    cluster_id_ = cluster->cluster_id;
  } else if (const auto* node = std::get_if<NodeRecord>(&record)) {
    nodes_[node->id] = *node;
  } else if (const auto* topic = std::get_if<TopicRecord>(&record)) {
    return add(*topic);
  } else if (const auto* added = std::get_if<PartitionsAddedRecord>(&record)) {
    return change(*added);
  } else if (const auto* deleted = std::get_if<TopicDeletedRecord>(&record)) {
    return remove(*deleted);
  } else if (const auto* configs = std::get_if<TopicConfigRecord>(&record)) {
    return change(*configs);
  } else if (const auto* broker = std::get_if<BrokerConfigRecord>(&record)) {
    set(*broker);
  } else if (const auto* partition = std::get_if<PartitionChangedRecord>(&record)) {
    return change(*partition);
  } else if (const auto* quota = std::get_if<ClientQuotaRecord>(&record)) {
    set(*quota);
  } else if (const auto* group = std::get_if<GroupConfigRecord>(&record)) {
    set(*group);
    return result;
  } else if (const auto* ids = std::get_if<ProducerIdsRecord>(&record)) {
    if (ids->next < producer_id_next_) return fail(Errc::malformed);
    producer_id_next_ = ids->next;
  }
  measure_others();
  return result;
}

Result<void> ClusterState::add(const TopicRecord& record) {
  if (topics_.contains(record.name) || names_by_id_.contains(record.id)) {
    return fail(Errc::malformed);
  }
  Topic& topic = topics_[record.name];
  topic.id = record.id;
  topic.name = record.name;
  topic.is_internal = record.is_internal;
  topic.partitions = record.partitions;
  set_configs(topic.configs, record.configs);
  names_by_id_[record.id] = record.name;
  names_by_metric_name_[metric_name(record.name)] = record.name;
  partition_count_ += record.partitions.size();
  touch(topic);
  return {};
}

Result<void> ClusterState::change(const PartitionsAddedRecord& record) {
  Topic* topic = find(record.topic);
  if (topic == nullptr) return fail(Errc::malformed);
  topic->partitions.insert(topic->partitions.end(), record.partitions.begin(),
                           record.partitions.end());
  partition_count_ += record.partitions.size();
  touch(*topic);
  return {};
}

Result<void> ClusterState::change(const TopicConfigRecord& record) {
  Topic* topic = find(record.topic);
  if (topic == nullptr) return fail(Errc::malformed);
  set_configs(topic->configs, record.configs);
  touch(*topic);
  return {};
}

Result<void> ClusterState::change(const PartitionChangedRecord& record) {
  Topic* topic = find(record.topic);
  if (topic == nullptr) return fail(Errc::malformed);
  const auto index = static_cast<std::size_t>(record.index);
  if (record.index < 0 || index >= topic->partitions.size()) return fail(Errc::malformed);
  topic->partitions[index] = record.partition;
  touch(*topic);
  return {};
}

Result<void> ClusterState::remove(const TopicDeletedRecord& record) {
  const Topic* topic = find(record.topic);
  if (topic == nullptr) return fail(Errc::malformed);
  topic_bytes_ -= topic->state_bytes;
  partition_count_ -= topic->partitions.size();
  const std::string name = topic->name;
  names_by_metric_name_.erase(metric_name(name));
  names_by_id_.erase(record.topic);
  topics_.erase(name);
  ++topics_deleted_;
  return {};
}

void ClusterState::set(const BrokerConfigRecord& record) {
  ConfigMap& map = broker_configs_[record.node];
  set_configs(map, record.configs);
  if (map.empty()) broker_configs_.erase(record.node);
}

void ClusterState::set(const ClientQuotaRecord& record) {
  ++quota_revision_;
  auto& quotas = quotas_[record.entity];
  if (record.value) {
    quotas[record.key] = *record.value;
  } else {
    quotas.erase(record.key);
  }
  if (quotas.empty()) quotas_.erase(record.entity);
}

// Measured one by one: there may be as many as groups.
void ClusterState::set(const GroupConfigRecord& record) {
  ++group_revision_;
  ConfigMap& map = group_configs_[record.group];
  const auto bytes = [&] {
    return map.empty() ? 0 : encoded_bytes(GroupConfigRecord{record.group, to_records(map)});
  };
  group_bytes_ -= bytes();
  set_configs(map, record.configs);
  group_bytes_ += bytes();
  if (map.empty()) group_configs_.erase(record.group);
}

void ClusterState::touch(Topic& topic) {
  topic.revision = ++revision_;
  topic_bytes_ -= topic.state_bytes;
  topic.state_bytes = encoded_bytes(to_record(topic));
  topic_bytes_ += topic.state_bytes;
}

std::vector<Record> ClusterState::other_records() const {
  std::vector<Record> records;
  if (!cluster_id_.empty()) records.push_back(ClusterRecord{cluster_id_});
  for (const auto& [id, node] : nodes_) records.push_back(node);
  for (const auto& [node, configs] : broker_configs_) {
    records.push_back(BrokerConfigRecord{node, to_records(configs)});
  }
  for (const auto& [entity, quotas] : quotas_) {
    for (const auto& [key, value] : quotas) {
      records.push_back(ClientQuotaRecord{entity, key, value});
    }
  }
  if (producer_id_next_ > 0) records.push_back(ProducerIdsRecord{producer_id_next_});
  return records;
}

void ClusterState::measure_others() {
  other_bytes_ = 0;
  for (const Record& record : other_records()) other_bytes_ += encoded_bytes(record);
}

std::vector<std::byte> ClusterState::snapshot() const {
  std::vector<std::byte> bytes;
  bytes.reserve(snapshot_bytes());
  for (const Record& record : other_records()) encode_record(record, bytes);
  for (const auto& [group, configs] : group_configs_) {
    encode_record(GroupConfigRecord{group, to_records(configs)}, bytes);
  }
  for (const auto& [name, topic] : topics_) encode_record(to_record(topic), bytes);
  TR_ASSERT(bytes.size() == snapshot_bytes());
  return bytes;
}

Result<void> ClusterState::restore(Bytes snapshot) {
  const Result<std::vector<Record>> records = decode_records(snapshot);
  if (!records) return fail(records.error());
  for (const Record& record : *records) {
    if (Result<void> applied = apply(record); !applied) return applied;
  }
  return {};
}

Topic* ClusterState::find(const Uuid& id) {
  const auto name = names_by_id_.find(id);
  return name == names_by_id_.end() ? nullptr : &topics_.find(name->second)->second;
}

const Topic* ClusterState::find_topic(std::string_view name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : &found->second;
}

const Topic* ClusterState::find_topic(const Uuid& id) const {
  const auto name = names_by_id_.find(id);
  return name == names_by_id_.end() ? nullptr : find_topic(name->second);
}

const PartitionRecord* ClusterState::find_partition(std::string_view topic,
                                                    std::int32_t index) const {
  const Topic* found = find_topic(topic);
  const bool is_there = found != nullptr && index >= 0 &&
                        static_cast<std::size_t>(index) < found->partitions.size();
  return is_there ? &found->partitions[static_cast<std::size_t>(index)] : nullptr;
}

const Topic* ClusterState::find_collision(std::string_view name) const {
  const auto found = names_by_metric_name_.find(metric_name(name));
  if (found == names_by_metric_name_.end() || found->second == name) return nullptr;
  return find_topic(found->second);
}

const ConfigMap& ClusterState::broker_configs(bus::NodeId node) const {
  static const ConfigMap none;
  const auto found = broker_configs_.find(node);
  return found == broker_configs_.end() ? none : found->second;
}

const ConfigMap& ClusterState::group_configs(std::string_view group) const {
  static const ConfigMap none;
  const auto found = group_configs_.find(group);
  return found == group_configs_.end() ? none : found->second;
}

const std::string* ClusterState::broker_config(bus::NodeId node, std::string_view name) const {
  for (const bus::NodeId of : {node, bus::NodeId{-1}}) {
    const ConfigMap& map = broker_configs(of);
    if (const auto found = map.find(name); found != map.end()) return &found->second;
  }
  return nullptr;
}

}  // namespace tailrace::control
