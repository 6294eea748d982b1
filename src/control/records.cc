#include "control/records.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <utility>

#include "control/little_endian.h"

namespace tailrace::control {
namespace {

constexpr std::uint16_t version = 1;
constexpr std::size_t header_bytes = 8;

// The type on disk is the position in the variant plus one; new records go at the end of it.
static_assert(std::is_same_v<std::variant_alternative_t<7, Record>, ProducerIdsRecord>);
static_assert(std::is_same_v<std::variant_alternative_t<9, Record>, ClientQuotaRecord>);
static_assert(std::is_same_v<std::variant_alternative_t<10, Record>, GroupConfigRecord>);

// ---------------------------------------------------------------- content out

void put(LittleWriter& out, const std::vector<bus::NodeId>& nodes) {
  out.number(static_cast<std::uint16_t>(nodes.size()));
  for (const bus::NodeId id : nodes) out.number(id);
}

void put(LittleWriter& out, const std::vector<PartitionRecord>& partitions) {
  out.number(static_cast<std::uint32_t>(partitions.size()));
  for (const PartitionRecord& partition : partitions) {
    out.number(partition.leader);
    out.number(partition.leader_epoch);
    out.number(partition.incarnation);
    put(out, partition.replicas);
    put(out, partition.isr);
  }
}

void put(LittleWriter& out, const std::vector<ConfigRecord>& configs) {
  out.number(static_cast<std::uint32_t>(configs.size()));
  for (const ConfigRecord& config : configs) {
    out.text(config.name);
    out.number(static_cast<std::uint8_t>(config.value.has_value()));
    if (config.value) out.text(*config.value);
  }
}

void put(LittleWriter& out, const ClusterRecord& record) { out.text(record.cluster_id); }

void put(LittleWriter& out, const NodeRecord& record) {
  out.number(record.id);
  out.text(record.rack);
  out.number(static_cast<std::uint32_t>(record.endpoints.size()));
  for (const EndpointRecord& endpoint : record.endpoints) {
    out.text(endpoint.host);
    out.number(endpoint.port);
  }
}

void put(LittleWriter& out, const TopicRecord& record) {
  out.uuid(record.id);
  out.text(record.name);
  out.number(static_cast<std::uint8_t>(record.is_internal));
  put(out, record.partitions);
  put(out, record.configs);
}

void put(LittleWriter& out, const PartitionsAddedRecord& record) {
  out.uuid(record.topic);
  put(out, record.partitions);
}

void put(LittleWriter& out, const TopicDeletedRecord& record) { out.uuid(record.topic); }

void put(LittleWriter& out, const TopicConfigRecord& record) {
  out.uuid(record.topic);
  put(out, record.configs);
}

void put(LittleWriter& out, const BrokerConfigRecord& record) {
  out.number(record.node);
  put(out, record.configs);
}

void put(LittleWriter& out, const ProducerIdsRecord& record) { out.number(record.next); }

void put(LittleWriter& out, const PartitionChangedRecord& record) {
  out.uuid(record.topic);
  out.number(record.index);
  put(out, std::vector<PartitionRecord>{record.partition});
}

void put(LittleWriter& out, const ClientQuotaRecord& record) {
  out.number(static_cast<std::uint32_t>(record.entity.size()));
  for (const auto& [type, name] : record.entity) {
    out.text(type);
    out.number(static_cast<std::uint8_t>(name.has_value()));
    if (name) out.text(*name);
  }
  out.text(record.key);
  out.number(static_cast<std::uint8_t>(record.value.has_value()));
  if (record.value) out.number(std::bit_cast<std::uint64_t>(*record.value));
}

void put(LittleWriter& out, const GroupConfigRecord& record) {
  out.text(record.group);
  put(out, record.configs);
}

// ---------------------------------------------------------------- content in

void take(LittleReader& in, std::vector<bus::NodeId>& nodes) {
  const auto count = in.number<std::uint16_t>();
  for (std::uint16_t i = 0; i < count && !in.failed(); ++i) {
    nodes.push_back(in.number<bus::NodeId>());
    if (nodes.back() < 0) in.fail_now();
  }
}

void take(LittleReader& in, std::vector<PartitionRecord>& partitions) {
  const std::uint32_t count = in.count(16);
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    PartitionRecord& partition = partitions.emplace_back();
    partition.leader = in.number<bus::NodeId>();
    partition.leader_epoch = in.number<std::int32_t>();
    partition.incarnation = in.number<std::uint32_t>();
    take(in, partition.replicas);
    take(in, partition.isr);
    if (partition.replicas.empty() || partition.leader_epoch < 0) in.fail_now();
  }
}

void take(LittleReader& in, std::vector<ConfigRecord>& configs) {
  const std::uint32_t count = in.count(3);
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    ConfigRecord& config = configs.emplace_back();
    config.name = in.text();
    if (in.number<std::uint8_t>() != 0) config.value = in.text();
  }
}

void take(LittleReader& in, ClusterRecord& record) { record.cluster_id = in.text(); }

void take(LittleReader& in, NodeRecord& record) {
  record.id = in.number<bus::NodeId>();
  record.rack = in.text();
  const std::uint32_t count = in.count(4);
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    EndpointRecord& endpoint = record.endpoints.emplace_back();
    endpoint.host = in.text();
    endpoint.port = in.number<std::uint16_t>();
  }
  if (record.id < 0) in.fail_now();
}

void take(LittleReader& in, TopicRecord& record) {
  record.id = in.uuid();
  record.name = in.text();
  record.is_internal = in.number<std::uint8_t>() != 0;
  take(in, record.partitions);
  take(in, record.configs);
  if (record.name.empty() || record.id.is_zero()) in.fail_now();
}

void take(LittleReader& in, PartitionsAddedRecord& record) {
  record.topic = in.uuid();
  take(in, record.partitions);
}

void take(LittleReader& in, TopicDeletedRecord& record) { record.topic = in.uuid(); }

void take(LittleReader& in, TopicConfigRecord& record) {
  record.topic = in.uuid();
  take(in, record.configs);
}

void take(LittleReader& in, BrokerConfigRecord& record) {
  record.node = in.number<bus::NodeId>();
  take(in, record.configs);
  if (record.node < -1) in.fail_now();
}

void take(LittleReader& in, ProducerIdsRecord& record) {
  record.next = in.number<std::int64_t>();
  if (record.next < 0) in.fail_now();
}

void take(LittleReader& in, PartitionChangedRecord& record) {
  record.topic = in.uuid();
  record.index = in.number<std::int32_t>();
  std::vector<PartitionRecord> partitions;
  take(in, partitions);
  if (record.index < 0 || partitions.size() != 1) return in.fail_now();
  record.partition = std::move(partitions.front());
}

void take(LittleReader& in, ClientQuotaRecord& record) {
  const std::uint32_t count = in.count(3);
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    const std::string type = in.text();
    std::optional<std::string>& name = record.entity[type];
    if (in.number<std::uint8_t>() != 0) name = in.text();
  }
  record.key = in.text();
  if (in.number<std::uint8_t>() != 0) {
    record.value = std::bit_cast<double>(in.number<std::uint64_t>());
    if (!std::isfinite(*record.value) || *record.value <= 0) in.fail_now();
  }
  if (record.entity.size() != count || record.entity.empty() || record.key.empty()) in.fail_now();
}

void take(LittleReader& in, GroupConfigRecord& record) {
  record.group = in.text();
  take(in, record.configs);
  if (record.group.empty()) in.fail_now();
}

template <std::size_t type = 0>
bool take_type(std::size_t wanted, LittleReader& in, std::vector<Record>& records) {
  if constexpr (type == std::variant_size_v<Record>) {
    return false;
  } else {
    if (type != wanted) return take_type<type + 1>(wanted, in, records);
    std::variant_alternative_t<type, Record> record;
    take(in, record);
    records.push_back(std::move(record));
    return true;
  }
}

// ---------------------------------------------------------------- text

std::string text_of(const std::vector<ConfigRecord>& configs) {
  std::string text;
  for (const ConfigRecord& config : configs) {
    text += fmt::format(" {}={}", config.name, config.value ? *config.value : "(default)");
  }
  return text;
}

std::string text_of(const std::vector<PartitionRecord>& partitions) {
  std::string text = fmt::format("{} partition{}", partitions.size(),
                                 partitions.size() == 1 ? "" : "s");
  if (partitions.empty()) return text;
  text += ", first on nodes";
  for (const bus::NodeId id : partitions.front().replicas) text += fmt::format(" {}", id);
  return text;
}

struct ToText {
  std::string operator()(const ClusterRecord& r) const { return "cluster " + r.cluster_id; }
  std::string operator()(const NodeRecord& r) const {
    std::string text = fmt::format("node {} registered", r.id);
    for (const EndpointRecord& e : r.endpoints) text += fmt::format(" {}:{}", e.host, e.port);
    if (!r.rack.empty()) text += " rack " + r.rack;
    return text;
  }
  std::string operator()(const TopicRecord& r) const {
    return fmt::format("topic '{}' ({}) created: {}{}", r.name, to_string(r.id),
                       text_of(r.partitions), text_of(r.configs));
  }
  std::string operator()(const PartitionsAddedRecord& r) const {
    return fmt::format("topic {} grows by {}", to_string(r.topic), text_of(r.partitions));
  }
  std::string operator()(const TopicDeletedRecord& r) const {
    return fmt::format("topic {} deleted", to_string(r.topic));
  }
  std::string operator()(const TopicConfigRecord& r) const {
    return fmt::format("topic {} configs:{}", to_string(r.topic), text_of(r.configs));
  }
  std::string operator()(const BrokerConfigRecord& r) const {
    if (r.node < 0) return "brokers' configs:" + text_of(r.configs);
    return fmt::format("broker {} configs:{}", r.node, text_of(r.configs));
  }
  std::string operator()(const ProducerIdsRecord& r) const {
    return fmt::format("producer ids below {} are given away", r.next);
  }
  std::string operator()(const PartitionChangedRecord& r) const {
    return fmt::format("topic {} partition {} is led by node {}, epoch {}, of {}",
                       to_string(r.topic), r.index, r.partition.leader, r.partition.leader_epoch,
                       text_of({r.partition}));
  }
  std::string operator()(const ClientQuotaRecord& r) const {
    std::string text = "quota of";
    for (const auto& [type, name] : r.entity) {
      text += fmt::format(" {} {}", type, name ? *name : "(default)");
    }
    text += fmt::format(": {}", r.key);
    return text + (r.value ? fmt::format("={}", *r.value) : " taken back");
  }
  std::string operator()(const GroupConfigRecord& r) const {
    return fmt::format("group '{}' configs:{}", r.group, text_of(r.configs));
  }
};

}  // namespace

void encode_record(const Record& record, std::vector<std::byte>& out) {
  LittleWriter writer(out);
  const std::size_t start = out.size();
  writer.number(static_cast<std::uint16_t>(record.index() + 1));
  writer.number(version);
  writer.number(std::uint32_t{0});
  std::visit([&writer](const auto& content) { put(writer, content); }, record);
  const auto size = static_cast<std::uint32_t>(out.size() - start - header_bytes);
  std::memcpy(out.data() + start + 4, &size, sizeof size);
}

std::size_t encoded_bytes(const Record& record) {
  std::vector<std::byte> bytes;
  encode_record(record, bytes);
  return bytes.size();
}

Result<std::vector<Record>> decode_records(Bytes bytes) {
  std::vector<Record> records;
  LittleReader in(bytes);
  while (!in.at_end()) {
    const auto type = in.number<std::uint16_t>();
    const auto found_version = in.number<std::uint16_t>();
    LittleReader content(in.take(in.number<std::uint32_t>()));
    if (in.failed() || type == 0) return fail(Errc::malformed);
    if (found_version != version) return fail(Errc::unsupported, found_version);
    if (!take_type(type - 1U, content, records)) return fail(Errc::unsupported, type);
    if (content.failed() || !content.at_end()) return fail(Errc::malformed, type);
  }
  return records;
}

std::string to_text(const Record& record) { return std::visit(ToText{}, record); }

}  // namespace tailrace::control
