// The codecs of the two hot APIs, made by tools/gen_kafka.py: a request read, a response written.
// The record bytes are only pointed at, so the size of the batches does not matter here.
#include <string>
#include <vector>

#include "base/arena.h"
#include "kafka/gen/fetch.h"
#include "kafka/gen/produce.h"
#include "kafka/wire.h"
#include "micro/cycles.h"

namespace tailrace::bench {
namespace {

constexpr std::int16_t produce_version = 9;
constexpr std::int16_t fetch_version = 12;
constexpr std::size_t room_bytes = std::size_t{1} << 20;

template <class Message>
std::vector<std::byte> encoded(const Message& message, std::int16_t version) {
  std::vector<std::byte> bytes(room_bytes);
  kafka::Writer out(bytes);
  message.encode(out, version);
  bytes.resize(out.size());
  return bytes;
}

// Decodes the encoded `message` again and again.
template <class Message>
void decode(benchmark::State& state, const Message& message, std::int16_t version) {
  const std::vector<std::byte> bytes = encoded(message, version);
  Arena arena(room_bytes);
  const Cycles cycles;
  for (auto _ : state) {
    arena.reset();
    kafka::Reader in(bytes);
    const Result<Message> decoded = Message::decode(in, version, arena);
    if (!decoded) state.SkipWithError("does not decode");
    benchmark::DoNotOptimize(arena.used_bytes());
  }
  cycles.report(state);
}

template <class Message>
void encode(benchmark::State& state, const Message& message, std::int16_t version) {
  std::vector<std::byte> room(room_bytes);
  std::vector<kafka::Splice> splices(1024);
  const Cycles cycles;
  for (auto _ : state) {
    kafka::Writer out(room, splices);
    message.encode(out, version);
    benchmark::DoNotOptimize(out.total_size());
  }
  cycles.report(state);
}

struct ProduceCase {
  explicit ProduceCase(std::int64_t partition_count)
      : asked(static_cast<std::size_t>(partition_count)),
        answered(static_cast<std::size_t>(partition_count)) {
    for (std::size_t i = 0; i < asked.size(); ++i) {
      asked[i].index = answered[i].index = static_cast<std::int32_t>(i);
      asked[i].records = Bytes(records);
      answered[i].base_offset = 1'000'000 + static_cast<std::int64_t>(i);
    }
    topic.name = answered_topic.name = "a-topic-of-usual-length";
    topic.partition_data = asked;
    answered_topic.partition_responses = answered;
    request.acks = -1;
    request.timeout_ms = 30'000;
    request.topic_data = {&topic, 1};
    response.responses = {&answered_topic, 1};
  }
  std::vector<std::byte> records = std::vector<std::byte>(512);
  std::vector<kafka::ProduceRequest::TopicProduceData::PartitionProduceData> asked;
  std::vector<kafka::ProduceResponse::TopicProduceResponse::PartitionProduceResponse> answered;
  kafka::ProduceRequest::TopicProduceData topic;
  kafka::ProduceResponse::TopicProduceResponse answered_topic;
  kafka::ProduceRequest request;
  kafka::ProduceResponse response;
};

struct FetchCase {
  explicit FetchCase(std::int64_t partition_count)
      : asked(static_cast<std::size_t>(partition_count)),
        answered(static_cast<std::size_t>(partition_count)) {
    for (std::size_t i = 0; i < asked.size(); ++i) {
      asked[i].partition = answered[i].partition_index = static_cast<std::int32_t>(i);
      asked[i].fetch_offset = 1'000'000;
      asked[i].partition_max_bytes = 1 << 20;
      answered[i].records = Bytes(records);
    }
    topic.topic = answered_topic.topic = "a-topic-of-usual-length";
    topic.partitions = asked;
    answered_topic.partitions = answered;
    request.topics = {&topic, 1};
    response.responses = {&answered_topic, 1};
  }
  std::vector<std::byte> records = std::vector<std::byte>(4096);
  std::vector<kafka::FetchRequest::FetchTopic::FetchPartition> asked;
  std::vector<kafka::FetchResponse::FetchableTopicResponse::PartitionData> answered;
  kafka::FetchRequest::FetchTopic topic;
  kafka::FetchResponse::FetchableTopicResponse answered_topic;
  kafka::FetchRequest request;
  kafka::FetchResponse response;
};

void produce_request_decode(benchmark::State& state) {
  const ProduceCase sample(state.range(0));
  decode(state, sample.request, produce_version);
}
void produce_response_encode(benchmark::State& state) {
  const ProduceCase sample(state.range(0));
  encode(state, sample.response, produce_version);
}
void fetch_request_decode(benchmark::State& state) {
  const FetchCase sample(state.range(0));
  decode(state, sample.request, fetch_version);
}
void fetch_response_encode(benchmark::State& state) {
  const FetchCase sample(state.range(0));
  encode(state, sample.response, fetch_version);
}

BENCHMARK(produce_request_decode)->ArgName("partitions")->Arg(1)->Arg(16)->Arg(64);
BENCHMARK(produce_response_encode)->ArgName("partitions")->Arg(1)->Arg(16)->Arg(64);
BENCHMARK(fetch_request_decode)->ArgName("partitions")->Arg(1)->Arg(16)->Arg(64);
BENCHMARK(fetch_response_encode)->ArgName("partitions")->Arg(1)->Arg(16)->Arg(64);

}  // namespace
}  // namespace tailrace::bench
