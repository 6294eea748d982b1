#include "intruder.h"

#include <map>

#include "support/kafka_messages.h"

namespace tailrace::sim {
namespace {

// Of the requests that are sent at random, by API.
using Samples = std::map<kafka::ApiKey, std::vector<test::Sample>>;

bool is_left_out(kafka::ApiKey key) {
  using kafka::ApiKey;
  switch (key) {
    case ApiKey::write_txn_markers:
    case ApiKey::create_topics:
    case ApiKey::create_partitions:
    case ApiKey::metadata:          // makes topics as well
    case ApiKey::produce: return true;  // see ask_odd_batch()
    default: return false;
  }
}

Samples load_samples() {
  Samples samples;
  for (test::Sample& sample : test::read_samples(TR_KAFKA_SAMPLES)) {
    if (!sample.is_request || is_left_out(sample.key)) continue;
    samples[sample.key].push_back(std::move(sample));
  }
  TR_ASSERT(!samples.empty());
  return samples;
}

const Samples& samples() {
  static const Samples loaded = load_samples();
  return loaded;
}

// Large answers take more room to decode than a client has.
constexpr std::size_t decoded_bytes_max = 2048;

}  // namespace

Intruder::Intruder(World& world, Prng prng, Pace pace)
    : Client(world, "intruder", prng),
      pause_max_(pace == Pace::life ? milliseconds(500) : milliseconds(5)) {}

void Intruder::pause() {
  wait(nanoseconds(static_cast<std::int64_t>(
      prng_.below(static_cast<std::uint64_t>(pause_max_.ns)) + 1)));
}

void Intruder::act() {
  if (hangs_up_) {
    hangs_up_ = false;
    return disconnect();
  }
  if (asked_count() > 0) return sleep();
  if (world_.quiet) return wait(milliseconds(50));
  const std::uint64_t draw = prng_.below(16);
  if (draw < 1) return send_no_request();
  if (draw < 2) {
    ask_topic();
  } else if (draw < 5) {
    ask_odd_batch();
  } else {
    ask_sample();
  }
  if (asked_count() > 0) sleep();
}

void Intruder::ask_sample() {
  auto api = samples().begin();
  std::advance(api, prng_.below(samples().size()));
  const test::Sample& sample = api->second[prng_.below(api->second.size())];
  const Bytes bytes = as_bytes(std::string_view(sample.bytes));
  std::vector<std::byte> body(bytes.begin(), bytes.end());
  if (prng_.chance(3, 4)) spoil(body);
  last_ = fmt::format("API {} version {}", static_cast<int>(sample.key), sample.version);
  world_.trace.say(world_.clock.instant(), "intruder: {}", last_);
  if (!ask_body(static_cast<std::int16_t>(sample.key), sample.version, body)) disconnect();
}

// Numbers that mean something special, and some that mean nothing.
void Intruder::spoil(std::vector<std::byte>& body) {
  for (std::uint64_t times = prng_.between(1, 3); times > 0 && !body.empty(); --times) {
    const std::size_t at = prng_.below(body.size());
    constexpr std::array<std::size_t, 4> widths = {1, 2, 4, 8};
    const std::size_t width = std::min(widths[prng_.below(widths.size())], body.size() - at);
    const auto first = body.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = first + static_cast<std::ptrdiff_t>(width);
    switch (prng_.below(5)) {
      case 0: std::fill(first, last, std::byte{0}); break;
      case 1: std::fill(first, last, std::byte{0xff}); break;
      case 2: *first = std::byte{0x7f}; break;
      case 3: *first = static_cast<std::byte>(prng_.below(256)); break;
      default: body.erase(first, last);
    }
  }
}

void Intruder::ask_topic() {
  kafka::CreateTopicsRequest::CreatableTopic topic;
  topic.name = "a";
  topic.num_partitions = 1;
  topic.replication_factor = 1;
  kafka::CreateTopicsRequest request;
  request.topics = {&topic, 1};
  last_ = "its topic";
  if (!ask(request, draw_version<kafka::CreateTopicsRequest>(), 0)) disconnect();
}

// A batch of which one byte is wrong, with a checksum that is right, mostly.
void Intruder::ask_odd_batch() {
  std::vector<test::TestRecord> records(prng_.between(1, 4), {.key = "k", .value = "value"});
  test::BatchOptions options;
  options.attributes = static_cast<std::int16_t>(prng_.chance(1, 2) ? 0 : prng_.below(128));
  if (prng_.chance(1, 2)) {
    options.producer_id = static_cast<std::int64_t>(prng_.below(4)) - 1;
    options.producer_epoch = static_cast<std::int16_t>(prng_.below(3)) - 1;
    options.base_sequence = static_cast<std::int32_t>(prng_.below(4)) - 1;
  }
  test::Buffer batch = test::build_batch(records, options);
  if (prng_.chance(3, 4)) spoil(batch);
  if (batch.size() >= record::header_bytes && prng_.chance(4, 5)) record::seal_crc(batch);
  kafka::ProduceRequest::TopicProduceData::PartitionProduceData partition;
  partition.records = Bytes(batch);
  kafka::ProduceRequest::TopicProduceData topic;
  topic.name = "a";
  topic.partition_data = {&partition, 1};
  kafka::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 1000;
  request.topic_data = {&topic, 1};
  last_ = "an odd batch";
  if (!ask(request, draw_version<kafka::ProduceRequest>(3, 12), 0)) disconnect();
}

void Intruder::send_no_request() {
  std::vector<std::byte> bytes(prng_.between(1, 200));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(prng_.below(256));
  // A length that will never be filled, one that is too large, or chance.
  if (bytes.size() >= 4 && prng_.chance(2, 3)) {
    store_be<std::int32_t>(bytes.data(), prng_.chance(1, 2) ? 10'000 : INT32_MAX);
  }
  world_.trace.say(world_.clock.instant(), "intruder: {} bytes", bytes.size());
  if (!send_bytes(bytes)) return disconnect();
  hangs_up_ = true;
  pause();
}

void Intruder::on_response(const Asked& asked, Bytes frame) {
  pause();
  if (frame.size() > decoded_bytes_max) return;
  test::visit_message(static_cast<kafka::ApiKey>(asked.api_key), false, [&](auto* tag) {
    std::remove_pointer_t<decltype(tag)> response;
    (void)decode(asked, frame, response);
  });
}

}  // namespace tailrace::sim
