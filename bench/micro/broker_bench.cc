// One request through a core's broker, without sockets and disk: received bytes in, response out,
// as DataCore's turns do it. Larger requests come in pieces of a receive buffer's size.
#include <algorithm>
#include <vector>

#include "broker/core_broker.h"
#include "kafka/gen/fetch.h"
#include "kafka/gen/produce.h"
#include "micro/cycles.h"
#include "micro/instant_disk.h"
#include "record/batch_builder.h"
#include "tests/support/kafka_client.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t receive_bytes = 65536;
constexpr ConnId conn = 7;

// A broker with one topic of one partition and one connection.
class Rig {
 public:
  Rig()
      : memory_(log::CoreLog::memory_bytes(limits_)),
        log_(make_log(limits_, memory_, now)),
        broker_({}, 0, *log_, {.log_dir = "/data", .values = {}}) {
    auto topic = std::make_shared<bus::TopicImage>();
    topic->name = "bench";
    topic->id.bytes[0] = 1;
    topic->partitions.push_back({.index = 0, .leader = 1, .replicas = {1}, .isr = {1}});
    image_.version = 1;
    image_.cluster_id = "abcdefghijklmnopqrstuv";
    image_.node_id = image_.controller_id = 1;
    image_.nodes = {{.id = 1, .endpoints = {{"127.0.0.1", 9092}}, .rack = ""}};
    image_.topics.push_back(topic);
    image_.topics_by_id[topic->id] = topic.get();
    image_.topics_by_name[topic->name] = topic.get();
    bus::Message message{.kind = bus::MessageKind::image_published, .from = bus::control_core};
    message.object = &image_;
    broker_.on_message(message, now);
    broker_.on_event({.kind = StreamEvent::Kind::accepted, .conn = conn}, now);
    for (int i = 0; i < 8; ++i) turn();
  }

  // A turn: completions of the disk, effects taken, sends done at once.
  void turn() {
    broker_.step(now);
    disk_.run(broker_, [&](const DiskDone& done) { broker_.on_disk_done(done, now); });
    sent_.clear();
    const auto ops = broker_.stream_ops();
    for (const broker::StreamOp& op : ops) {
      TR_ASSERT(op.kind != broker::StreamOp::Kind::close);
      if (op.kind != broker::StreamOp::Kind::send) continue;
      for (const Bytes slice : op.slices) answered_bytes += slice.size();
      ++answers;
      sent_.push_back(op.token);
    }
    broker_.stream_ops_taken(ops.size());
    broker_.messages_taken(broker_.messages().size());
    for (const std::uint64_t token : sent_) {
      broker_.on_event({.kind = StreamEvent::Kind::sent, .conn = conn, .token = token}, now);
    }
  }

  // Until it is answered.
  void call(Bytes request) {
    const std::uint64_t before = answers;
    while (!request.empty()) {
      const Bytes piece = request.first(std::min(request.size(), receive_bytes));
      broker_.on_event({.kind = StreamEvent::Kind::data, .conn = conn, .bytes = piece}, now);
      request = request.subspan(piece.size());
    }
    while (answers == before) turn();
    now.instant = now.instant + microseconds(50);
  }

  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
  std::uint64_t answers = 0;
  std::uint64_t answered_bytes = 0;

 private:
  const log::Limits limits_ = bench_limits();
  AlignedBuffer memory_;
  std::unique_ptr<log::CoreLog> log_;
  broker::CoreBroker broker_;
  bus::MetadataImage image_;
  InstantDisk disk_;
  std::vector<std::uint64_t> sent_;
};

test::Buffer produce_request(std::size_t bytes) {
  record::BatchBuilder builder(bytes);
  builder.start();
  const std::vector<std::byte> value(std::min<std::size_t>(bytes - 120, 1024), std::byte{42});
  while (builder.add({.timestamp = 1'700'000'000'000, .value = Bytes(value)})) {
  }
  kafka::ProduceRequest::TopicProduceData::PartitionProduceData partition;
  partition.records = *builder.finish();
  kafka::ProduceRequest::TopicProduceData topic;
  topic.name = "bench";
  topic.partition_data = {&partition, 1};
  kafka::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 30'000;
  request.topic_data = {&topic, 1};
  return test::build_request(request, 9, 1);
}

test::Buffer fetch_request(std::size_t bytes) {
  kafka::FetchRequest::FetchTopic::FetchPartition partition;
  partition.partition_max_bytes = static_cast<std::int32_t>(bytes);
  kafka::FetchRequest::FetchTopic topic;
  topic.topic = "bench";
  topic.partitions = {&partition, 1};
  kafka::FetchRequest request;
  request.max_wait_ms = 500;
  request.min_bytes = 1;
  request.max_bytes = static_cast<std::int32_t>(bytes);
  request.topics = {&topic, 1};
  return test::build_request(request, 12, 1);
}

void broker_produce(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  Rig rig;
  const test::Buffer request = produce_request(bytes);
  rig.call(request);
  const Cycles cycles;
  for (auto _ : state) rig.call(request);
  cycles.report(state, bytes);
}

// From memory, always the same place.
void broker_fetch(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  Rig rig;
  const test::Buffer produce = produce_request(bytes);
  for (int i = 0; i < 4; ++i) rig.call(produce);
  const test::Buffer request = fetch_request(bytes);
  rig.answered_bytes = 0;
  const Cycles cycles;
  for (auto _ : state) rig.call(request);
  cycles.report(state, bytes);
  if (rig.answered_bytes < bytes / 2 * static_cast<std::uint64_t>(state.iterations())) {
    state.SkipWithError("the fetch gave nothing");
  }
}

BENCHMARK(broker_produce)->Arg(1024)->Arg(16384)->Arg(65536)->Arg(1 << 20);
BENCHMARK(broker_fetch)->Arg(1024)->Arg(16384)->Arg(65536)->Arg(1 << 20);

}  // namespace
}  // namespace tailrace::bench
