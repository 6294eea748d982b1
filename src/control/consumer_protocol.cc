#include "control/consumer_protocol.h"

#include <algorithm>

#include "control/record_bytes.h"
#include "kafka/wire.h"

namespace tailrace::control {
namespace {

constexpr std::int16_t version_max = 3;

NamedPartitions read_partitions(kafka::Reader& in) {
  NamedPartitions partitions;
  for (std::int64_t topics = in.array_count(false); topics > 0 && !in.failed(); --topics) {
    const std::string name(in.string(false));
    for (std::int64_t left = in.array_count(false); left > 0 && !in.failed(); --left) {
      partitions.emplace_back(name, in.integer<std::int32_t>());
    }
  }
  return partitions;
}

void write_assignment(kafka::Writer& out, std::int16_t version, const NamedPartitions& all) {
  out.integer(version);
  std::int64_t topics = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    topics += i == 0 || all[i].first != all[i - 1].first ? 1 : 0;
  }
  out.array_count(topics, false);
  for (std::size_t from = 0; from < all.size();) {
    std::size_t end = from;
    while (end < all.size() && all[end].first == all[from].first) ++end;
    out.string(all[from].first, false);
    out.array_count(static_cast<std::int64_t>(end - from), false);
    for (; from < end; ++from) out.integer(all[from].second);
  }
  out.nullable_bytes(nullptr, false);
}

}  // namespace

Result<Subscription> parse_subscription(Bytes bytes) {
  kafka::Reader in(bytes);
  Subscription made;
  made.version = in.integer<std::int16_t>();
  for (std::int64_t left = in.array_count(false); left > 0 && !in.failed(); --left) {
    made.topics.emplace_back(in.string(false));
  }
  in.nullable_bytes(false);
  if (made.version >= 1) made.owned = read_partitions(in);
  if (made.version >= 2) in.integer<std::int32_t>();
  if (made.version >= 3) {
    const kafka::NullableString rack = in.nullable_string(false);
    if (!rack.is_null()) made.rack_id = std::string(rack.value);
  }
  if (in.failed()) return fail(in.error());
  if (made.version < 0) return fail(Errc::malformed);
  return made;
}

Result<NamedPartitions> parse_client_assignment(Bytes bytes) {
  if (bytes.empty()) return NamedPartitions{};  // As a leader gives to who gets nothing.
  kafka::Reader in(bytes);
  const auto version = in.integer<std::int16_t>();
  NamedPartitions partitions = read_partitions(in);
  if (in.failed()) return fail(in.error());
  if (version < 0) return fail(Errc::malformed);
  return partitions;
}

ByteString encode_client_assignment(std::int16_t version, const NamedPartitions& partitions) {
  const std::int16_t known = std::clamp(version, std::int16_t{0}, version_max);
  return encoded([&](kafka::Writer& out) { write_assignment(out, known, partitions); });
}

Assignment to_ids(const NamedPartitions& partitions, const ClusterState& state) {
  Assignment made;
  for (const auto& [name, partition] : partitions) {
    if (const Topic* topic = state.find_topic(name)) made.push_back({topic->id, partition});
  }
  std::sort(made.begin(), made.end());
  made.erase(std::unique(made.begin(), made.end()), made.end());
  return made;
}

NamedPartitions to_names(const Assignment& assignment, const ClusterState& state) {
  NamedPartitions made;
  for (const TopicPartition& at : assignment) {
    if (const Topic* topic = state.find_topic(at.topic)) {
      made.emplace_back(topic->name, at.partition);
    }
  }
  return made;
}

}  // namespace tailrace::control
