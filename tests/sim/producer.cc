#include "producer.h"

#include <algorithm>

#include "kafka/errors.h"
#include "kafka/gen/init_producer_id.h"

namespace tailrace::sim {
namespace {

using kafka::ErrorCode;
using TopicData = kafka::ProduceRequest::TopicProduceData;
using PartitionData = TopicData::PartitionProduceData;

bool is(std::int16_t error, ErrorCode code) { return error == kafka::to_wire(code); }

bool is_retriable(std::int16_t error) {
  return is(error, ErrorCode::not_leader_or_follower) ||
         is(error, ErrorCode::kafka_storage_error) ||
         is(error, ErrorCode::unknown_topic_or_partition) ||
         is(error, ErrorCode::unknown_topic_id) || is(error, ErrorCode::request_timed_out) ||
         is(error, ErrorCode::leader_not_available) || is(error, ErrorCode::not_enough_replicas) ||
         is(error, ErrorCode::not_enough_replicas_after_append);
}

constexpr std::size_t idempotent_batches_max = 5;

}  // namespace

Producer::Producer(World& world, std::uint32_t id, Prng prng, const ProducerSettings& settings)
    : Client(world, fmt::format("producer {}", id), prng), settings_(settings), id_(id) {}

bool Producer::settled() const {
  for (const auto& [partition, lane] : lanes_) {
    if (!lane.batches.empty()) return false;
  }
  return true;
}

std::string Producer::waiting_for() const {
  for (const auto& [partition, lane] : lanes_) {
    if (lane.batches.empty()) continue;
    return fmt::format("{} batches of {} are not acknowledged", lane.batches.size(),
                       world_.history.name_of(partition));
  }
  return "nothing";
}

void Producer::act() {
  drop_deleted();
  if (draining_) {
    if (asked_count() > 0) return sleep();
    draining_ = false;
  }
  if (settings_.idempotent && producer_id_ < 0) return ask_producer_id();
  if (asked_count() >= settings_.requests_in_flight_max) return sleep();
  send_request();
  const bool over = world_.quiet || batches_made_ >= settings_.batches_max;
  if (over && settled()) return wait(milliseconds(20));
  wait(nanoseconds(static_cast<std::int64_t>(
      prng_.below(static_cast<std::uint64_t>(settings_.pause_max.ns) + 1))));
}

void Producer::ask_producer_id() {
  if (asked_count() > 0) return sleep();
  kafka::InitProducerIdRequest request;
  request.transaction_timeout_ms = 60'000;
  ask(request, draw_version<kafka::InitProducerIdRequest>(0, 4), 0);
  sleep();
}

std::vector<std::uint32_t> Producer::choose_partitions() {
  std::vector<std::uint32_t> topics;
  for (std::uint32_t i = 0; i < world_.history.topics.size(); ++i) {
    const TopicHistory& topic = world_.history.topics[i];
    if (topic.created && !topic.deleting && !topic.partitions.empty()) topics.push_back(i);
  }
  if (topics.empty()) return {};
  const TopicHistory& topic = world_.history.topics[topics[prng_.below(topics.size())]];
  std::vector<std::uint32_t> chosen;
  for (const std::uint32_t partition : topic.partitions) {
    if (prng_.chance(1, 2) && next_batch(partition) != nullptr) chosen.push_back(partition);
  }
  return chosen;
}

// The one to be sent next, made when there is none; null when nothing may be sent.
Producer::Batch* Producer::next_batch(std::uint32_t partition) {
  Lane& lane = lanes_[partition];
  for (Batch& batch : lane.batches) {
    if (!batch.sent) return &batch;
  }
  const std::size_t most = settings_.idempotent ? idempotent_batches_max : 8;
  if (world_.quiet || lane.batches.size() >= most) return nullptr;
  if (batches_made_ >= settings_.batches_max) return nullptr;
  make_batch(partition, lane);
  return &lane.batches.back();
}

void Producer::make_batch(std::uint32_t partition, Lane& lane) {
  ++batches_made_;
  Batch batch;
  batch.id = next_batch_id_++;
  test::BatchOptions options;
  options.base_timestamp = world_.clock.now().wall_ms;
  if (settings_.idempotent) {
    options.producer_id = producer_id_;
    options.producer_epoch = epoch_;
    options.base_sequence = batch.base_sequence = lane.next_sequence;
  }
  std::vector<test::TestRecord> records;
  const std::uint64_t count = prng_.between(1, settings_.records_max);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto number = static_cast<std::uint32_t>(world_.history.records.size());
    const auto bytes = static_cast<std::uint32_t>(prng_.between(8, settings_.value_bytes_max));
    world_.history.records.push_back({.partition = partition, .producer = id_,
                                      .number = lane.next_number++, .stream = stream_,
                                      .idempotent = settings_.idempotent, .value_bytes = bytes,
                                      .timestamp_ms = options.base_timestamp});
    batch.numbers.push_back(number);
    if (world_.plant == Plant::send_twice && number > 20 && prng_.chance(1, 8)) {
      repeat_record(partition, batch.numbers.back(), bytes);
    }
    if (world_.plant == Plant::swap_order && i > 0) {
      std::swap(world_.history.records[number].number, world_.history.records[number - 1].number);
    }
    records.push_back({.key = {}, .value = record_value(batch.numbers.back(),
                       world_.history.records[batch.numbers.back()].value_bytes), .timestamp = 0});
  }
  lane.next_sequence += static_cast<std::int32_t>(count);
  batch.bytes = test::build_batch(records, options);
  const auto size = static_cast<std::uint32_t>(batch.bytes.size());
  world_.history.records[batch.numbers.front()].batch_bytes = size;
  world_.history.partitions[partition].sent_bytes += size;
  lane.batches.push_back(std::move(batch));
}

// Planted: an earlier record of the partition instead of the new one.
void Producer::repeat_record(std::uint32_t partition, std::uint32_t& number, std::uint32_t bytes) {
  for (std::uint32_t earlier = number; earlier > 0; --earlier) {
    SentRecord& record = world_.history.records[earlier - 1];
    if (record.partition != partition || record.value_bytes < bytes) continue;
    number = earlier - 1;
    return;
  }
}

void Producer::send_request() {
  const std::vector<std::uint32_t> partitions = choose_partitions();
  if (partitions.empty()) return;
  std::vector<PartitionData> data;
  std::vector<InRequest> content;
  for (const std::uint32_t partition : partitions) {
    Batch* batch = next_batch(partition);
    if (batch == nullptr) continue;
    PartitionData one;
    one.index = world_.history.partitions[partition].index;
    one.records = Bytes(batch->bytes);
    data.push_back(one);
    content.push_back({partition, batch->id});
    batch->sent = true;
  }
  if (data.empty()) return;
  const TopicHistory& topic = world_.history.topic_of(
      world_.history.partitions[content.front().partition]);
  TopicData topic_data;
  topic_data.name = topic.name;
  topic_data.topic_id = topic.id;
  topic_data.partition_data = data;
  kafka::ProduceRequest request;
  request.acks = settings_.acks;
  request.timeout_ms = 30'000;
  request.topic_data = {&topic_data, 1};
  const std::int16_t version = draw_version<kafka::ProduceRequest>(topic.by_id_only ? 13 : 3);
  const std::uint64_t word = next_request_++;
  const bool answered = settings_.acks != 0;
  world_.trace.say(world_.clock.instant(), "{} sends {} batches to {}", name_, content.size(),
                   topic.name);
  if (answered) requests_[word] = content;
  const bool asked = ask(request, version, word, answered);
  if (!answered) {
    for (const InRequest& one : content) lanes_[one.partition].batches.clear();
  }
  if (!asked) disconnect();
}

void Producer::on_response(const Asked& asked, Bytes frame) {
  wake();
  if (asked.api_key == kafka::ProduceRequest::api_key) return on_produced(asked, frame);
  kafka::InitProducerIdResponse storage;
  const auto* response = decode(asked, frame, storage);
  if (response == nullptr || response->error_code != 0) return wait(milliseconds(5));
  producer_id_ = response->producer_id;
  epoch_ = response->producer_epoch;
  for (const std::int64_t other : world_.history.producer_ids) {
    if (other != producer_id_) continue;
    world_.verdicts.broken("no_duplicate", "{}: producer id {} was given twice", name_, other);
  }
  world_.history.producer_ids.push_back(producer_id_);
}

void Producer::on_produced(const Asked& asked, Bytes frame) {
  const auto found = requests_.find(asked.word);
  const std::vector<InRequest> content = found->second;
  requests_.erase(found);
  kafka::ProduceResponse storage;
  const auto* response = decode(asked, frame, storage);
  if (response == nullptr) return;
  std::size_t answered = 0;
  for (const auto& topic : response->responses) {
    for (const auto& partition : topic.partition_responses) {
      for (const InRequest& sent : content) {
        if (world_.history.partitions[sent.partition].index != partition.index) continue;
        ++answered;
        if (partition.error_code == 0 && partition.log_start_offset >= 0) {
          world_.retention.on_log_start(sent.partition, partition.log_start_offset,
                                        world_.clock.wall_most_ms());
        }
        on_partition(sent, partition.error_code, partition.base_offset);
        break;
      }
    }
  }
  if (answered != content.size()) {
    world_.verdicts.broken("responses_in_order", "{}: {} of {} partitions were answered", name_,
                           answered, content.size());
  }
}

void Producer::on_partition(const InRequest& sent, std::int16_t error, std::int64_t base_offset) {
  Lane& lane = lanes_[sent.partition];
  const auto at = std::find_if(lane.batches.begin(), lane.batches.end(),
                               [&](const Batch& batch) { return batch.id == sent.batch_id; });
  if (at == lane.batches.end()) return;
  world_.trace.say(world_.clock.instant(), "{}: {} records of {}: error {}, offset {}", name_,
                   at->numbers.size(), world_.history.name_of(sent.partition), error, base_offset);
  if (error != 0) return on_failure(sent, error);
  world_.records.on_acked(at->numbers, base_offset);
  lane.batches.erase(at);
}

void Producer::on_failure(const InRequest& sent, std::int16_t error) {
  Lane& lane = lanes_[sent.partition];
  const PartitionHistory& partition = world_.history.partitions[sent.partition];
  if (world_.history.topic_of(partition).deleting) {
    lane.batches.clear();
    return;
  }
  const bool first = !lane.batches.empty() && lane.batches.front().id == sent.batch_id;
  const bool follows_failure = is(error, ErrorCode::out_of_order_sequence_number) && !first;
  if (!is_retriable(error) && !follows_failure) {
    world_.verdicts.broken(
        is(error, ErrorCode::out_of_order_sequence_number) ? "order" : "produce_answers",
        "{}: a good batch for {} was refused with error {}", name_,
        world_.history.name_of(sent.partition), error);
  }
  if (!settings_.idempotent) {
    std::erase_if(lane.batches, [&](const Batch& batch) { return batch.id == sent.batch_id; });
    wait(milliseconds(2));
    return;
  }
  for (Batch& batch : lane.batches) {
    if (batch.id == sent.batch_id) batch.sent = false;
  }
  draining_ = true;
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(1, 8))));
}

// Idempotent: all that is open is sent again, from the first. Plain: nobody knows, it is left.
void Producer::rewind() {
  for (auto& [partition, lane] : lanes_) {
    if (settings_.idempotent) {
      for (Batch& batch : lane.batches) batch.sent = false;
    } else {
      std::erase_if(lane.batches, [](const Batch& batch) { return batch.sent; });
    }
  }
  requests_.clear();
  draining_ = false;
}

void Producer::on_disconnect() {
  if (world_.plant == Plant::ack_early) believe();
  rewind();
  ++stream_;
  wait(milliseconds(static_cast<std::int64_t>(prng_.between(0, 5))));
}

// Planted: what was on its way has surely arrived.
void Producer::believe() {
  for (auto& [partition, lane] : lanes_) {
    while (!lane.batches.empty() && lane.batches.front().sent) {
      const auto end = static_cast<std::int64_t>(world_.history.partitions[partition].known.size());
      world_.records.on_acked(lane.batches.front().numbers, end);
      lane.batches.pop_front();
    }
  }
}

void Producer::drop_deleted() {
  for (auto& [partition, lane] : lanes_) {
    const PartitionHistory& p = world_.history.partitions[partition];
    if (!world_.history.topic_of(p).deleting) continue;
    std::erase_if(lane.batches, [](const Batch& batch) { return !batch.sent; });
  }
}

}  // namespace tailrace::sim
