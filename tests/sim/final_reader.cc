#include "final_reader.h"

#include "consumer.h"
#include "kafka/gen/list_offsets.h"
#include "kafka/gen/metadata.h"

namespace tailrace::sim {
namespace {

constexpr std::int64_t earliest = -2;
constexpr std::int64_t latest = -1;

}  // namespace

FinalReader::FinalReader(World& world, Prng prng) : Client(world, "final reader", prng) {}

std::string FinalReader::waiting_for() const {
  if (stage_ == Stage::metadata) return "the metadata";
  if (stage_ == Stage::done) return "nothing";
  return fmt::format("{} from {} on; it begins at {} and ends at {}",
                     world_.history.name_of(partition_), position_, start_, end_);
}

void FinalReader::act() {
  if (asked_count() > 0) return sleep();
  switch (stage_) {
    case Stage::metadata: ask_metadata(); break;
    case Stage::start: ask_offset(earliest); break;
    case Stage::end: ask_offset(latest); break;
    case Stage::records: ask_records(); break;
    case Stage::done: return sleep();
  }
  if (asked_count() > 0) sleep();
}

void FinalReader::ask_metadata() {
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (!ask(request, draw_version<kafka::MetadataRequest>(10), 0)) disconnect();
}

void FinalReader::ask_offset(std::int64_t timestamp) {
  const PartitionHistory& p = world_.history.partitions[partition_];
  kafka::ListOffsetsRequest::ListOffsetsTopic::ListOffsetsPartition one;
  one.partition_index = p.index;
  one.timestamp = timestamp;
  kafka::ListOffsetsRequest::ListOffsetsTopic topic;
  topic.name = world_.history.topic_of(p).name;
  topic.partitions = {&one, 1};
  kafka::ListOffsetsRequest request;
  request.topics = {&topic, 1};
  if (!ask(request, draw_version<kafka::ListOffsetsRequest>(), 0)) disconnect();
}

void FinalReader::ask_records() {
  const PartitionHistory& p = world_.history.partitions[partition_];
  kafka::FetchRequest::FetchTopic::FetchPartition one;
  one.partition = p.index;
  one.fetch_offset = position_;
  one.partition_max_bytes = 1 << 16;
  kafka::FetchRequest::FetchTopic topic;
  topic.topic_id = world_.history.topic_of(p).id;
  topic.partitions = {&one, 1};
  kafka::FetchRequest request;
  request.max_wait_ms = 10;
  request.min_bytes = 1;
  request.max_bytes = 1 << 17;
  request.topics = {&topic, 1};
  if (!ask(request, draw_version<kafka::FetchRequest>(13), 0)) disconnect();
}

void FinalReader::on_response(const Asked& asked, Bytes frame) {
  wake();
  switch (stage_) {
    case Stage::metadata: return on_metadata(asked, frame);
    case Stage::start:
    case Stage::end: return on_offset(asked, frame);
    case Stage::records: return on_records(asked, frame);
    case Stage::done: return;
  }
}

void FinalReader::on_metadata(const Asked& asked, Bytes frame) {
  kafka::MetadataResponse response;
  if (decode(asked, frame, response) == nullptr) return;
  for (const TopicHistory& topic : world_.history.topics) {
    const kafka::MetadataResponse::MetadataResponseTopic* found = nullptr;
    for (const auto& one : response.topics) {
      if (one.topic_id == topic.id) found = &one;
    }
    if (topic.created && !topic.deleting && found == nullptr) {
      world_.verdicts.broken("metadata_stays", "topic {} was created and is gone", topic.name);
    } else if (topic.deleted && found != nullptr) {
      world_.verdicts.broken("metadata_stays", "topic {} was deleted and is back", topic.name);
    } else if (topic.created && !topic.deleting &&
               found->partitions.size() < topic.partitions.size()) {
      world_.verdicts.broken("metadata_stays", "topic {} had {} partitions, now {}", topic.name,
                             topic.partitions.size(), found->partitions.size());
    }
  }
  if (!world_.verdicts.all_kept()) {
    stage_ = Stage::done;  // What follows would wait for topics that are not there.
    return;
  }
  partition_ = UINT32_MAX;
  next_partition();
}

void FinalReader::next_partition() {
  const History& history = world_.history;
  do {
    ++partition_;
  } while (partition_ < history.partitions.size() &&
           history.topic_of(history.partitions[partition_]).deleting);
  stage_ = partition_ < history.partitions.size() ? Stage::start : Stage::done;
  start_ = end_ = position_ = 0;
  read_.clear();
  seen_.clear();
}

void FinalReader::on_offset(const Asked& asked, Bytes frame) {
  kafka::ListOffsetsResponse response;
  if (decode(asked, frame, response) == nullptr) return;
  const auto& answer = response.topics.front().partitions.front();
  if (answer.error_code != 0) return wait(milliseconds(2));
  if (stage_ == Stage::start) {
    start_ = position_ = answer.offset;
    stage_ = Stage::end;
    return;
  }
  end_ = answer.offset;
  stage_ = Stage::records;
  if (position_ < end_) return;
  world_.retention.on_final(partition_, start_, world_.clock.wall_most_ms());
  world_.records.on_final(partition_, start_, end_, seen_);
  next_partition();
}

void FinalReader::on_records(const Asked& asked, Bytes frame) {
  kafka::FetchResponse response;
  if (decode(asked, frame, response) == nullptr) return;
  if (response.error_code != 0 || response.responses.empty()) return wait(milliseconds(2));
  const auto& data = response.responses.front().partitions.front();
  if (data.error_code == 1) {
    // Retention was faster than we: from the new start again.
    stage_ = Stage::start;
    seen_.clear();
    read_.clear();
    return;
  }
  if (data.error_code != 0) return wait(milliseconds(2));
  const Bytes batches = data.records.value;
  read_.emplace_back(batches.begin(), batches.end());
  for (const SeenRecord& seen : seen_records(read_.back())) {
    if (seen.offset < position_) continue;
    seen_.push_back(seen);
    position_ = seen.offset + 1;
  }
  if (position_ < end_) return;
  world_.retention.on_final(partition_, start_, world_.clock.wall_most_ms());
  world_.records.on_final(partition_, start_, end_, seen_);
  next_partition();
}

}  // namespace tailrace::sim
