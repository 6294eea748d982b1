#include "admin.h"

#include "kafka/errors.h"
#include "kafka/gen/create_partitions.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/delete_records.h"
#include "kafka/gen/delete_topics.h"
#include "kafka/gen/incremental_alter_configs.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;

bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

}  // namespace

Admin::Admin(World& world, Prng prng, const AdminSettings& settings)
    : Client(world, "admin", prng), settings_(settings) {}

std::string Admin::waiting_for() const {
  constexpr std::array names = {"nothing", "create", "look up", "delete", "add partitions",
                                "configs", "delete records"};
  return fmt::format("{} of topic {}", names[static_cast<std::size_t>(job_)],
                     job_ == Job::none ? "" : world_.history.topics[topic_].name);
}

std::uint32_t Admin::live_count() const {
  std::uint32_t count = 0;
  for (const TopicHistory& topic : world_.history.topics) {
    count += topic.created && !topic.deleting ? 1 : 0;
  }
  return count;
}

std::uint32_t Admin::choose_topic() {
  std::uint32_t chosen = UINT32_MAX;
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < world_.history.topics.size(); ++i) {
    const TopicHistory& topic = world_.history.topics[i];
    if (topic.created && !topic.deleting && prng_.below(++seen) == 0) chosen = i;
  }
  return chosen;
}

void Admin::act() {
  if (asked_count() > 0) return sleep();
  if (job_ == Job::none && !world_.quiet && jobs_done_ < settings_.operations_max) choose();
  if (job_ == Job::none) return wait(milliseconds(20));
  ask_job();
  if (asked_count() > 0) sleep();
}

void Admin::choose() {
  const std::uint32_t live = live_count();
  const std::uint64_t draw = prng_.below(10);
  if (live == 0 || (live < settings_.topics_max && draw < 3)) return new_topic();
  topic_ = choose_topic();
  TopicHistory& topic = world_.history.topics[topic_];
  for_brokers_ = false;
  if (draw < 5) {
    job_ = Job::configure;
    configs_.clear();
    // Those who have nothing of their own, such as __consumer_offsets, are compacted all the time.
    for_brokers_ = prng_.chance(1, 3);
    if (for_brokers_) {
      configs_.emplace_back("log.roll.ms", std::to_string(prng_.between(1, 30)));
      configs_.emplace_back("log.cleaner.min.cleanable.ratio", "0");
      configs_.emplace_back("log.cleaner.delete.retention.ms",
                            std::to_string(prng_.below(100)));
      return;
    }
    draw_retention();
    if (prng_.chance(1, 2)) {
      configs_.emplace_back("segment.ms", std::to_string(prng_.between(1, 30)));
    }
  } else if (draw < 6 && topic.partition_count < settings_.partitions_max) {
    job_ = Job::grow;
    count_ = topic.partition_count + 1;
  } else if (draw < 7 && live > 1) {
    job_ = Job::remove;
    topic.deleting = true;
  } else {
    job_ = Job::delete_records;
    partition_ = topic.partitions[prng_.below(topic.partitions.size())];
    PartitionHistory& p = world_.history.partitions[partition_];
    offset_ = static_cast<std::int64_t>(prng_.below(p.known.size() + 1));
    if (world_.plant != Plant::delete_more) {
      p.delete_records_to = std::max(p.delete_records_to, offset_);
    }
    if (world_.plant == Plant::forget_delete) {
      p.delete_records_acked = static_cast<std::int64_t>(p.known.size()) + 1;
    }
  }
}

void Admin::new_topic() {
  job_ = Job::create;
  topic_ = static_cast<std::uint32_t>(world_.history.topics.size());
  TopicHistory topic;
  // Some names are used again and again: what they hold must not come back.
  topic.by_id_only = prng_.chance(1, 3);
  topic.name = topic.by_id_only ? "again" : fmt::format("topic{}", names_used_++);
  for (const TopicHistory& other : world_.history.topics) {
    if (other.name != topic.name || other.deleted) continue;
    topic.by_id_only = false;
    topic.name = fmt::format("topic{}", names_used_++);
    break;
  }
  topic.partition_count = static_cast<std::int32_t>(
      prng_.between(1, static_cast<std::uint64_t>(settings_.partitions_max)));
  world_.history.topics.push_back(topic);
  configs_.clear();
  configs_.emplace_back("segment.ms", std::to_string(prng_.between(1, 40)));
  if (prng_.chance(1, 3)) draw_retention();
}

void Admin::draw_retention() {
  if (!settings_.small_retention) return;
  TopicHistory& topic = world_.history.topics[topic_];
  if (prng_.chance(1, 2)) {
    const auto ms = static_cast<std::int64_t>(prng_.between(5, 500));
    configs_.emplace_back("retention.ms", std::to_string(ms));
    topic.retention_ms_least = std::min(topic.retention_ms_least, ms);
  } else {
    const auto bytes = static_cast<std::int64_t>(prng_.between(1'000, 50'000));
    configs_.emplace_back("retention.bytes", std::to_string(bytes));
    topic.retention_bytes_least = std::min(topic.retention_bytes_least, bytes);
  }
}

void Admin::ask_job() {
  switch (job_) {
    case Job::none: return;
    case Job::create: return ask_create();
    case Job::look_up: return ask_look_up();
    case Job::remove: return ask_remove();
    case Job::grow: return ask_grow();
    case Job::configure: return ask_configure();
    case Job::delete_records: return ask_delete_records();
  }
}

void Admin::ask_create() {
  const TopicHistory& history = world_.history.topics[topic_];
  using Topic = kafka::CreateTopicsRequest::CreatableTopic;
  std::vector<Topic::CreatableTopicConfig> configs;
  for (const auto& [name, value] : configs_) configs.push_back({name, std::string_view(value)});
  Topic topic;
  topic.name = history.name;
  topic.num_partitions = history.partition_count;
  topic.replication_factor = 1;
  topic.configs = configs;
  kafka::CreateTopicsRequest request;
  request.topics = {&topic, 1};
  if (!ask(request, draw_version<kafka::CreateTopicsRequest>(), 0)) disconnect();
}

void Admin::ask_look_up() {
  kafka::MetadataRequest::MetadataRequestTopic topic;
  topic.name = std::string_view(world_.history.topics[topic_].name);
  kafka::MetadataRequest request;
  request.topics = std::span(&topic, 1);
  request.allow_auto_topic_creation = false;
  if (!ask(request, draw_version<kafka::MetadataRequest>(10), 0)) disconnect();
}

void Admin::ask_remove() {
  const TopicHistory& history = world_.history.topics[topic_];
  kafka::DeleteTopicsRequest request;
  request.timeout_ms = 30'000;
  kafka::DeleteTopicsRequest::DeleteTopicState state;
  std::string_view name = history.name;
  const bool by_id = prng_.chance(1, 2);
  if (by_id) {
    state.topic_id = history.id;
  } else {
    state.name = name;
  }
  request.topics = {&state, 1};
  request.topic_names = {&name, 1};
  const std::int16_t version = draw_version<kafka::DeleteTopicsRequest>(by_id ? 6 : 1);
  if (!ask(request, version, 0)) disconnect();
}

void Admin::ask_grow() {
  kafka::CreatePartitionsRequest::CreatePartitionsTopic topic;
  topic.name = world_.history.topics[topic_].name;
  topic.count = count_;
  kafka::CreatePartitionsRequest request;
  request.topics = {&topic, 1};
  request.timeout_ms = 30'000;
  if (!ask(request, draw_version<kafka::CreatePartitionsRequest>(), 0)) disconnect();
}

void Admin::ask_configure() {
  using Resource = kafka::IncrementalAlterConfigsRequest::AlterConfigsResource;
  std::vector<Resource::AlterableConfig> configs;
  for (const auto& [name, value] : configs_) {
    Resource::AlterableConfig config;
    config.name = name;
    config.value = std::string_view(value);
    configs.push_back(config);
  }
  Resource resource;
  resource.resource_type = for_brokers_ ? 4 : 2;
  if (!for_brokers_) resource.resource_name = world_.history.topics[topic_].name;
  resource.configs = configs;
  kafka::IncrementalAlterConfigsRequest request;
  request.resources = {&resource, 1};
  if (!ask(request, draw_version<kafka::IncrementalAlterConfigsRequest>(), 0)) disconnect();
}

void Admin::ask_delete_records() {
  const PartitionHistory& p = world_.history.partitions[partition_];
  kafka::DeleteRecordsRequest::DeleteRecordsTopic::DeleteRecordsPartition partition;
  partition.partition_index = p.index;
  partition.offset = offset_;
  kafka::DeleteRecordsRequest::DeleteRecordsTopic topic;
  topic.name = world_.history.topics[topic_].name;
  topic.partitions = {&partition, 1};
  kafka::DeleteRecordsRequest request;
  request.topics = {&topic, 1};
  request.timeout_ms = 30'000;
  if (!ask(request, draw_version<kafka::DeleteRecordsRequest>(), 0)) disconnect();
}

// What became of the job: 0 also where another try found it done.
std::int16_t Admin::error_of(const Asked& asked, Bytes frame) {
  switch (job_) {
    case Job::none: return malformed;
    case Job::create: {
      kafka::CreateTopicsResponse response;
      if (decode(asked, frame, response) == nullptr) return malformed;
      const std::int16_t error = response.topics.front().error_code;
      return is(error, ErrorCode::topic_already_exists) ? std::int16_t{0} : error;
    }
    case Job::look_up: return on_looked_up(asked, frame);
    case Job::remove: {
      kafka::DeleteTopicsResponse response;
      if (decode(asked, frame, response) == nullptr) return malformed;
      const std::int16_t error = response.responses.front().error_code;
      const bool gone = is(error, ErrorCode::unknown_topic_or_partition) ||
                        is(error, ErrorCode::unknown_topic_id);
      return gone ? std::int16_t{0} : error;
    }
    case Job::grow: {
      kafka::CreatePartitionsResponse response;
      if (decode(asked, frame, response) == nullptr) return malformed;
      const std::int16_t error = response.results.front().error_code;
      return is(error, ErrorCode::invalid_partitions) ? std::int16_t{0} : error;
    }
    case Job::configure: {
      kafka::IncrementalAlterConfigsResponse response;
      if (decode(asked, frame, response) == nullptr) return malformed;
      return response.responses.front().error_code;
    }
    case Job::delete_records: return on_deleted_records(asked, frame);
  }
  return malformed;
}

std::int16_t Admin::on_looked_up(const Asked& asked, Bytes frame) {
  kafka::MetadataResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  const auto& topic = response.topics.front();
  if (topic.error_code != 0) return topic.error_code;
  TopicHistory& history = world_.history.topics[topic_];
  history.id = topic.topic_id;
  const auto count = static_cast<std::int32_t>(topic.partitions.size());
  if (count != history.partition_count) {
    world_.verdicts.broken("metadata_stays", "{}: {} partitions instead of {}", history.name,
                           count, history.partition_count);
  }
  return 0;
}

std::int16_t Admin::on_deleted_records(const Asked& asked, Bytes frame) {
  kafka::DeleteRecordsResponse response;
  if (decode(asked, frame, response) == nullptr) return malformed;
  const auto& answer = response.topics.front().partitions.front();
  // Not behind the end yet (its records were not acknowledged), or retention was faster.
  if (is(answer.error_code, ErrorCode::offset_out_of_range)) return 0;
  if (answer.error_code != 0) return answer.error_code;
  PartitionHistory& p = world_.history.partitions[partition_];
  p.delete_records_acked = std::max(p.delete_records_acked, answer.low_watermark);
  world_.retention.on_log_start(partition_, answer.low_watermark, world_.clock.wall_most_ms());
  if (answer.low_watermark < offset_) {
    world_.verdicts.broken("delete_records_stay", "{}: deleted up to {}, told {}",
                           world_.history.name_of(partition_), offset_, answer.low_watermark);
  }
  return 0;
}

void Admin::on_response(const Asked& asked, Bytes frame) {
  const std::int16_t error = error_of(asked, frame);
  world_.trace.say(world_.clock.instant(), "admin: {}: error {}", waiting_for(), error);
  if (error == 0) {
    on_done();
  } else if (error == kafka::to_wire(ErrorCode::invalid_config) ||
             error == kafka::to_wire(ErrorCode::invalid_request)) {
    world_.verdicts.broken("admin_answers", "{}: error {}", waiting_for(), error);
    job_ = Job::none;
  }
  wait(nanoseconds(static_cast<std::int64_t>(
      prng_.below(static_cast<std::uint64_t>(settings_.pause_max.ns)) + 1)));
}

void Admin::on_done() {
  TopicHistory& topic = world_.history.topics[topic_];
  const Job done = job_;
  job_ = Job::none;
  if (done == Job::create) {
    job_ = Job::look_up;
    return;
  }
  ++jobs_done_;
  if (done == Job::look_up && !topic.created) {
    for (std::int32_t i = 0; i < topic.partition_count; ++i) {
      world_.history.add_partition(topic_, i);
    }
    topic.created = true;
    if (world_.plant == Plant::forget_topic) topic.id.bytes[0] ^= 1;
  } else if (done == Job::grow && count_ > topic.partition_count) {
    world_.history.add_partition(topic_, topic.partition_count);
    topic.partition_count = count_;
  } else if (done == Job::remove) {
    topic.deleted = true;
  }
}

void Admin::on_disconnect() {
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(0, 5))));
}

}  // namespace tailrace::sim
