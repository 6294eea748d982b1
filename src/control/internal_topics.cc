#include "control/internal_topics.h"

#include "control/placement.h"
#include "control/topic_rules.h"

namespace tailrace::control {
namespace {

constexpr std::uint32_t replacement = 0xfffd;  // for what is no UTF-8

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The code point at the front of `text`, which moves past it.
std::uint32_t take_code_point(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  std::size_t size = 1;
  std::uint32_t point = first;
  if (first >= 0xf0) {
    size = 4;
    point = first & 0x07;
  } else if (first >= 0xe0) {
    size = 3;
    point = first & 0x0f;
  } else if (first >= 0xc0) {
    size = 2;
    point = first & 0x1f;
  }
  bool good = size <= text.size() && (size > 1 || first < 0x80);
  for (std::size_t i = 1; good && i < size; ++i) {
    good = is_continuation(text[i]);
    point = (point << 6) | (static_cast<unsigned char>(text[i]) & 0x3f);
  }
  text.remove_prefix(good ? size : 1);
  return good ? point : replacement;
}

}  // namespace

bool is_internal_topic(std::string_view name) {
  return name == offsets_topic_name || name == transactions_topic_name;
}

namespace {

TopicRecord new_topic(std::string_view name, std::uint32_t partition_count,
                      const ClusterState& state, Prng& prng) {
  TopicRecord record;
  record.name = name;
  record.is_internal = true;
  record.id = random_uuid(prng);
  while (state.find_topic(record.id) != nullptr || record.id.is_zero()) {
    record.id = random_uuid(prng);
  }
  const std::vector<bus::NodeId> nodes = node_ids(state);
  const std::size_t start = prng.below(nodes.size());
  for (auto& placed : place_partitions(nodes, partition_count, 1, start)) {
    record.partitions.push_back(new_partition(std::move(placed)));
  }
  // As Kafka makes them. Records are never compressed twice: the producer is the broker.
  record.configs = {{"cleanup.policy", "compact"},
                    {"compression.type", "producer"},
                    {"segment.bytes", "104857600"}};
  return record;
}

}  // namespace

TopicRecord new_offsets_topic(const Limits& limits, const ClusterState& state, Prng& prng) {
  return new_topic(offsets_topic_name, limits.offsets_partitions, state, prng);
}

TopicRecord new_transactions_topic(const Limits& limits, const ClusterState& state, Prng& prng) {
  return new_topic(transactions_topic_name, limits.transaction_partitions, state, prng);
}

std::int32_t java_hash(std::string_view text) {
  std::uint32_t hash = 0;
  while (!text.empty()) {
    const std::uint32_t point = take_code_point(text);
    if (point >= 0x10000) {  // Two code units.
      hash = hash * 31 + (0xd800 + ((point - 0x10000) >> 10));
      hash = hash * 31 + (0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      hash = hash * 31 + point;
    }
  }
  return static_cast<std::int32_t>(hash);
}

std::int32_t partition_of_key(std::string_view key, std::size_t partition_count) {
  TR_ASSERT(partition_count > 0);
  const std::int32_t hash = java_hash(key);
  const std::int64_t positive = hash == INT32_MIN ? 0 : (hash < 0 ? -std::int64_t{hash} : hash);
  return static_cast<std::int32_t>(positive % static_cast<std::int64_t>(partition_count));
}

}  // namespace tailrace::control
