#include "load/frames.h"

#include <algorithm>
#include <chrono>

#include "base/arena.h"
#include "base/prng.h"
#include "kafka/gen/create_topics.h"
#include "kafka/gen/fetch.h"
#include "kafka/gen/list_offsets.h"
#include "kafka/gen/produce.h"
#include "kafka/header.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"

namespace tailrace::load {
namespace {

constexpr std::int16_t create_topics_version = 5;
constexpr std::int16_t list_offsets_version = 5;
constexpr std::size_t correlation_pos = 8;   // length, key and version stand before it
constexpr std::size_t room_bytes = std::size_t{1} << 20;

template <class Request>
Frame frame_of(const Request& request, std::int16_t version) {
  std::vector<std::byte> room(room_bytes);
  std::vector<kafka::Splice> splices(1);
  kafka::Writer out(room, splices);
  out.integer(std::int32_t{0});
  kafka::write_request_header(out, {Request::api_key, version, 0, "tailrace-load"});
  request.encode(out, version);
  TR_ASSERT(!out.overflowed());
  const auto length = static_cast<std::int32_t>(out.total_size() - sizeof(std::int32_t));
  store_be(room.data(), length);
  const bool is_spliced = !out.splices().empty();
  const std::size_t cut = is_spliced ? out.splices()[0].at : out.size();
  const Bytes written = out.written();
  Frame frame;
  frame.front.assign(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(cut));
  if (is_spliced) frame.records = out.splices()[0].bytes;
  frame.back.assign(written.begin() + static_cast<std::ptrdiff_t>(cut), written.end());
  return frame;
}

template <class Response>
Result<Response> response_of(Bytes frame, std::int16_t version, Arena& arena) {
  arena.reset();
  kafka::Reader in(frame);
  kafka::read_response_header(in, Response::api_key, version);
  return Response::decode(in, version, arena);
}

Arena& arena() {
  static Arena memory(std::size_t{4} << 20);
  return memory;
}

}  // namespace

void set_correlation(MutableBytes front, std::int32_t correlation_id) {
  store_be(front.data() + correlation_pos, correlation_id);
}

Batch make_batch(std::size_t bytes, std::size_t record_bytes) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wall).count();
  std::vector<std::byte> content(bytes);
  Prng prng(1, "load");
  for (std::byte& byte : content) byte = static_cast<std::byte>(prng.next());
  record::BatchBuilder builder(bytes);
  builder.start();
  std::size_t at = 0;
  // At last smaller ones, so that the batch has the size that was asked for, nearly.
  for (std::size_t size = std::min(record_bytes, bytes); size > 0; size /= 2) {
    const std::size_t start = at % (bytes - size + 1);
    while (builder.add({.timestamp = now_ms, .value = Bytes(content).subspan(start, size)})) {
      at += size;
    }
  }
  const Bytes made = *builder.finish();
  return {{made.begin(), made.end()}, builder.record_count()};
}

Frame produce_frame(std::string_view topic, std::int32_t partition, Bytes records,
                    std::int16_t acks) {
  kafka::ProduceRequest::TopicProduceData::PartitionProduceData data;
  data.index = partition;
  data.records = records;
  kafka::ProduceRequest::TopicProduceData of_topic;
  of_topic.name = topic;
  of_topic.partition_data = {&data, 1};
  kafka::ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 30'000;
  request.topic_data = {&of_topic, 1};
  return frame_of(request, produce_version);
}

Frame fetch_frame(std::string_view topic, const FetchWish& wish) {
  kafka::FetchRequest::FetchTopic::FetchPartition partition;
  partition.partition = wish.partition;
  partition.fetch_offset = wish.offset;
  partition.partition_max_bytes = wish.bytes_max;
  kafka::FetchRequest::FetchTopic of_topic;
  of_topic.topic = topic;
  of_topic.partitions = {&partition, 1};
  kafka::FetchRequest request;
  request.max_wait_ms = 500;
  request.min_bytes = 1;
  request.max_bytes = wish.bytes_max;
  request.topics = {&of_topic, 1};
  return frame_of(request, fetch_version);
}

Frame create_topic_frame(std::string_view topic, std::int32_t partition_count,
                         const std::vector<Config>& configs) {
  std::vector<kafka::CreateTopicsRequest::CreatableTopic::CreatableTopicConfig> entries;
  for (const auto& [name, value] : configs) {
    entries.push_back({.name = name, .value = std::string_view(value)});
  }
  kafka::CreateTopicsRequest::CreatableTopic of_topic;
  of_topic.name = topic;
  of_topic.num_partitions = partition_count;
  of_topic.replication_factor = 1;
  of_topic.configs = entries;
  kafka::CreateTopicsRequest request;
  request.topics = {&of_topic, 1};
  return frame_of(request, create_topics_version);
}

Frame list_offsets_frame(std::string_view topic, std::int32_t partition_count) {
  std::vector<kafka::ListOffsetsRequest::ListOffsetsTopic::ListOffsetsPartition> partitions(
      static_cast<std::size_t>(partition_count));
  for (std::int32_t i = 0; i < partition_count; ++i) {
    partitions[static_cast<std::size_t>(i)].partition_index = i;
    partitions[static_cast<std::size_t>(i)].timestamp = -1;
  }
  kafka::ListOffsetsRequest::ListOffsetsTopic of_topic;
  of_topic.name = topic;
  of_topic.partitions = partitions;
  kafka::ListOffsetsRequest request;
  request.topics = {&of_topic, 1};
  return frame_of(request, list_offsets_version);
}

std::int16_t produce_error(Bytes frame) {
  const auto response = response_of<kafka::ProduceResponse>(frame, produce_version, arena());
  if (!response || response->responses.empty()) return cannot_decode;
  const auto& partitions = response->responses[0].partition_responses;
  return partitions.empty() ? cannot_decode : partitions[0].error_code;
}

Fetched read_fetched(Bytes frame) {
  const auto response = response_of<kafka::FetchResponse>(frame, fetch_version, arena());
  if (!response) return {.error = cannot_decode};
  if (response->error_code != 0) return {.error = response->error_code};
  if (response->responses.empty() || response->responses[0].partitions.empty()) {
    return {.error = cannot_decode};
  }
  const auto& partition = response->responses[0].partitions[0];
  Fetched fetched{.error = partition.error_code, .bytes = partition.records.value.size()};
  const auto header = record::parse_header(partition.records.value);
  if (header) fetched.base_offset = header->base_offset;
  return fetched;
}

std::int16_t create_topic_error(Bytes frame) {
  const auto response =
      response_of<kafka::CreateTopicsResponse>(frame, create_topics_version, arena());
  if (!response || response->topics.empty()) return cannot_decode;
  return response->topics[0].error_code;
}

bool read_end_offsets(Bytes frame, std::vector<std::int64_t>& ends) {
  const auto response =
      response_of<kafka::ListOffsetsResponse>(frame, list_offsets_version, arena());
  if (!response || response->topics.empty()) return false;
  for (const auto& partition : response->topics[0].partitions) {
    const auto index = static_cast<std::size_t>(partition.partition_index);
    if (partition.error_code != 0 || index >= ends.size()) return false;
    ends[index] = partition.offset;
  }
  return response->topics[0].partitions.size() == ends.size();
}

}  // namespace tailrace::load
