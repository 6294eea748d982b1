#include "consumer.h"

#include <algorithm>

#include "kafka/errors.h"
#include "kafka/gen/list_offsets.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;
using FetchTopic = kafka::FetchRequest::FetchTopic;
using FetchPartition = FetchTopic::FetchPartition;

bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

constexpr std::int16_t first_version_by_id = 13;
constexpr std::int16_t first_version_with_sessions = 7;
constexpr std::int64_t earliest = -2;
constexpr std::int64_t latest = -1;

// Planted: what a consumer would see that skips.
void lose_first_batch(Bytes batches, std::vector<SeenRecord>& records) {
  const auto batch = record::parse_batch(batches);
  if (!batch || batch->bytes.size() == batches.size()) return;
  std::erase_if(records, [&](const SeenRecord& seen) {
    return seen.offset <= batch->header.last_offset();
  });
}

}  // namespace

std::vector<SeenRecord> seen_records(Bytes batches) {
  std::vector<SeenRecord> records;
  while (const auto batch = record::parse_batch(batches)) {
    if (!record::crc_matches(batch->bytes)) break;
    Bytes in = batch->records();
    for (std::int32_t i = 0; i < batch->header.record_count && !in.empty(); ++i) {
      test::take_varint(in);
      in = in.subspan(1);
      SeenRecord seen;
      seen.timestamp_ms = batch->header.base_timestamp + test::take_varint(in);
      seen.offset = batch->header.base_offset + test::take_varint(in);
      (void)test::take_text(in);
      const std::int64_t size = test::take_varint(in);
      if (size < 0 || static_cast<std::size_t>(size) > in.size()) break;
      seen.value = as_text(in.first(static_cast<std::size_t>(size)));
      in = in.subspan(static_cast<std::size_t>(size));
      test::take_varint(in);
      records.push_back(seen);
    }
    batches = batches.subspan(batch->bytes.size());
  }
  return records;
}

Consumer::Consumer(World& world, std::uint32_t id, Prng prng, const ConsumerSettings& settings)
    : Client(world, fmt::format("consumer {}", id), prng), settings_(settings) {}

void Consumer::act() {
  if (asked_count() > 0) return sleep();
  follow_new_partitions();
  if (lost_ != UINT32_MAX) {
    ask_bound(lost_, lost_end_ < 0 ? latest : earliest);
  } else if (!positions_.empty()) {
    ask_fetch();
  }
  asked_count() > 0 ? sleep() : wait(milliseconds(5));
}

void Consumer::follow_new_partitions() {
  const History& history = world_.history;
  std::erase_if(positions_, [&](const auto& item) {
    return history.topic_of(history.partitions[item.first]).deleting;
  });
  if (lost_ != UINT32_MAX && !positions_.contains(lost_)) lost_ = UINT32_MAX;
  for (; topics_known_ < history.partitions.size(); ++topics_known_) {
    if (history.topic_of(history.partitions[topics_known_]).deleting) continue;
    positions_[topics_known_] = 0;
    changed_.insert(topics_known_);
  }
}

void Consumer::ask_fetch() {
  const bool in_session = settings_.sessions && session_id_ != 0;
  bool by_id = in_session ? session_by_id_ : prng_.chance(1, 2);
  for (const auto& [partition, position] : positions_) {
    by_id = by_id || world_.history.topic_of(world_.history.partitions[partition]).by_id_only;
  }
  if (in_session && by_id != session_by_id_) session_id_ = session_epoch_ = 0;
  const bool incremental = settings_.sessions && session_id_ != 0;
  std::map<std::uint32_t, std::vector<FetchPartition>> by_topic;
  for (const auto& [partition, position] : positions_) {
    if (incremental && !changed_.contains(partition)) continue;
    const PartitionHistory& p = world_.history.partitions[partition];
    FetchPartition one;
    one.partition = p.index;
    one.fetch_offset = position;
    one.partition_max_bytes = settings_.partition_max_bytes;
    by_topic[p.topic].push_back(one);
  }
  std::vector<FetchTopic> topics;
  for (auto& [topic, partitions] : by_topic) {
    FetchTopic one;
    one.topic = world_.history.topics[topic].name;
    one.topic_id = world_.history.topics[topic].id;
    one.partitions = partitions;
    topics.push_back(one);
  }
  kafka::FetchRequest request;
  request.max_wait_ms = settings_.max_wait_ms;
  request.min_bytes = settings_.min_bytes;
  request.max_bytes = settings_.max_bytes;
  request.session_id = settings_.sessions ? session_id_ : 0;
  request.session_epoch = settings_.sessions ? session_epoch_ : -1;
  request.topics = topics;
  const std::int16_t least = settings_.sessions ? first_version_with_sessions : 4;
  const std::int16_t version = by_id ? draw_version<kafka::FetchRequest>(first_version_by_id)
                                     : draw_version<kafka::FetchRequest>(least, 12);
  session_by_id_ = by_id;
  changed_.clear();
  if (!ask(request, version, by_id ? 1 : 0)) disconnect();
}

void Consumer::ask_bound(std::uint32_t partition, std::int64_t timestamp) {
  const PartitionHistory& p = world_.history.partitions[partition];
  kafka::ListOffsetsRequest::ListOffsetsTopic::ListOffsetsPartition one;
  one.partition_index = p.index;
  one.timestamp = timestamp;
  kafka::ListOffsetsRequest::ListOffsetsTopic topic;
  topic.name = world_.history.topic_of(p).name;
  topic.partitions = {&one, 1};
  kafka::ListOffsetsRequest request;
  request.topics = {&topic, 1};
  if (!ask(request, draw_version<kafka::ListOffsetsRequest>(), partition)) disconnect();
}

void Consumer::on_response(const Asked& asked, Bytes frame) {
  wait(nanoseconds(static_cast<std::int64_t>(
      prng_.below(static_cast<std::uint64_t>(settings_.pause_max.ns) + 1))));
  if (asked.api_key == kafka::ListOffsetsRequest::api_key) return on_bound(asked, frame);
  on_fetched(asked, frame);
}

std::uint32_t Consumer::partition_of(std::string_view topic, const Uuid& id, std::int32_t index,
                                     bool by_id) const {
  for (const auto& [partition, position] : positions_) {
    const PartitionHistory& p = world_.history.partitions[partition];
    const TopicHistory& t = world_.history.topic_of(p);
    if (p.index == index && (by_id ? t.id == id : t.name == topic)) return partition;
  }
  return UINT32_MAX;
}

void Consumer::on_fetched(const Asked& asked, Bytes frame) {
  kafka::FetchResponse storage;
  const auto* response = decode(asked, frame, storage);
  if (response == nullptr) return;
  if (response->error_code != 0) {
    session_id_ = session_epoch_ = 0;
    return wait(milliseconds(2));
  }
  if (settings_.sessions) {
    session_id_ = response->session_id;
    session_epoch_ = session_id_ == 0 ? 0 : session_epoch_ + 1;
  }
  for (const auto& topic : response->responses) {
    for (const auto& data : topic.partitions) {
      const std::uint32_t partition =
          partition_of(topic.topic, topic.topic_id, data.partition_index, asked.word == 1);
      if (partition != UINT32_MAX) on_partition(partition, data);
    }
  }
}

void Consumer::on_partition(
    std::uint32_t partition,
    const kafka::FetchResponse::FetchableTopicResponse::PartitionData& data) {
  std::int64_t& position = positions_[partition];
  const bool lied_to = world_.plant == Plant::false_range && prng_.chance(1, 8);
  const std::int16_t error =
      lied_to ? kafka::to_wire(ErrorCode::offset_out_of_range) : data.error_code;
  if (error != 0) {
    world_.trace.say(world_.clock.instant(), "{}: {} at {}: error {}", name_,
                     world_.history.name_of(partition), position, error);
    changed_.insert(partition);
    if (is(error, ErrorCode::offset_out_of_range)) {
      lost_ = partition;
      lost_end_ = -1;
      lost_here_ = true;
    }
    return wait(milliseconds(static_cast<std::int64_t>(prng_.between(1, 5))));
  }
  const Bytes batches = data.records.value;
  std::vector<SeenRecord> records = seen_records(batches);
  if (world_.plant == Plant::lose_batch) lose_first_batch(batches, records);
  if (!batches.empty() && records.empty()) {
    world_.verdicts.broken("acked_is_durable", "{}: {} bytes at {} are no whole batch",
                           world_.history.name_of(partition), batches.size(), position);
  }
  const std::int64_t before = position;
  position = world_.records.on_read(partition, position, records);
  if (world_.plant == Plant::read_ahead) world_.history.partitions[partition].read_end += 1;
  if (position != before) changed_.insert(partition);
  if (data.high_watermark < position) {
    world_.verdicts.broken("reads_stay", "{}: read up to {}, but the high watermark is {}",
                           world_.history.name_of(partition), position, data.high_watermark);
  }
  if (data.log_start_offset >= 0) {
    world_.retention.on_log_start(partition, data.log_start_offset, world_.clock.wall_most_ms());
  }
  if (world_.plant == Plant::jump_ahead && prng_.chance(1, 8)) {
    position += 1000;
    changed_.insert(partition);
  }
}

// Out of range: what was read up to here must be there all the same, unless it was deleted.
void Consumer::on_bound(const Asked& asked, Bytes frame) {
  kafka::ListOffsetsResponse storage;
  const auto* response = decode(asked, frame, storage);
  if (response == nullptr || response->topics.empty()) return;
  const auto& answer = response->topics.front().partitions.front();
  if (answer.error_code != 0) return wait(milliseconds(2));
  const auto partition = static_cast<std::uint32_t>(asked.word);
  const auto found = positions_.find(partition);
  const bool gone = found == positions_.end() ||
                    world_.history.topic_of(world_.history.partitions[partition]).deleting;
  if (gone || partition != lost_) {
    lost_ = UINT32_MAX;
    return;
  }
  const std::int64_t position = found->second;
  if (lost_end_ < 0) {
    lost_end_ = answer.offset;
    if (position <= lost_end_) return;
    world_.verdicts.broken("reads_stay", "{}: {} read up to {}, but the log ends at {}",
                           world_.history.name_of(partition), name_, position, lost_end_);
    return;
  }
  lost_ = UINT32_MAX;
  world_.retention.on_log_start(partition, answer.offset, world_.clock.wall_most_ms());
  // A crash may take back how far the start had moved; otherwise it moves on only.
  if (lost_here_ && answer.offset <= position) {
    world_.verdicts.broken("in_range", "{}: offset {} was out of range of a log of [{}, {})",
                           world_.history.name_of(partition), position, answer.offset, lost_end_);
  }
  found->second = answer.offset;
  changed_.insert(partition);
}

void Consumer::on_disconnect() {
  session_id_ = session_epoch_ = 0;
  lost_here_ = false;
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(0, 5))));
}

}  // namespace tailrace::sim
