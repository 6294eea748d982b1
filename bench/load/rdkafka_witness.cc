// librdkafka as a producer, as an application would use it: `--messages` of `--bytes`, acks=all,
// batches up to `--batch-bytes` with a linger of `--linger-ms`. One line of JSON. It says what an
// ordinary client reaches, its own cost included; tailrace_load says what the broker can do.
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <time.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace {

struct Tally {
  tailrace::Histogram latency_ns;
  std::uint64_t failed = 0;
};

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void on_delivered(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  auto* tally = static_cast<Tally*>(opaque);
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++tally->failed;
    return;
  }
  const auto began_ns = static_cast<std::int64_t>(
      reinterpret_cast<std::intptr_t>(message->_private));
  tally->latency_ns.record(static_cast<std::uint64_t>(monotonic_ns() - began_ns));
}

const char* option(int argc, char** argv, std::string_view name, const char* otherwise) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (name == argv[i]) return argv[i + 1];
  }
  return otherwise;
}

rd_kafka_t* make_producer(int argc, char** argv, Tally& tally) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char why[512] = {};
  const auto set = [&](const char* name, const char* value) {
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
      fmt::print(stderr, "rdkafka_witness: {}\n", why);
      std::exit(1);
    }
  };
  set("bootstrap.servers", option(argc, argv, "--address", "127.0.0.1:9092"));
  set("acks", "all");
  set("linger.ms", option(argc, argv, "--linger-ms", "1"));
  set("batch.size", option(argc, argv, "--batch-bytes", "65536"));
  set("queue.buffering.max.messages", "1000000");
  set("queue.buffering.max.kbytes", "262144");
  rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
  rd_kafka_conf_set_opaque(conf, &tally);
  return rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t message_count = std::atoll(option(argc, argv, "--messages", "1000000"));
  const auto bytes = static_cast<std::size_t>(std::atoll(option(argc, argv, "--bytes", "1024")));
  const char* topic = option(argc, argv, "--topic", "bench");
  Tally tally;
  rd_kafka_t* producer = make_producer(argc, argv, tally);
  if (producer == nullptr) return 1;
  std::vector<char> value(bytes);
  for (std::size_t i = 0; i < bytes; ++i) value[i] = static_cast<char>(i * 131 >> 3);
  const std::int64_t began_ns = monotonic_ns();
  for (std::int64_t i = 0; i < message_count; ++i) {
    const auto stamp = reinterpret_cast<void*>(static_cast<std::intptr_t>(monotonic_ns()));
    while (rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic),
                             RD_KAFKA_V_VALUE(value.data(), value.size()),
                             RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(stamp),
                             RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      rd_kafka_poll(producer, 1);
    }
    if (i % 64 == 0) rd_kafka_poll(producer, 0);
  }
  const bool flushed = rd_kafka_flush(producer, 60'000) == RD_KAFKA_RESP_ERR_NO_ERROR;
  const double seconds = static_cast<double>(monotonic_ns() - began_ns) / 1e9;
  const auto count = static_cast<double>(tally.latency_ns.count());
  fmt::print("{{\"messages\": {}, \"failed\": {}, \"per_s\": {:.0f}, \"mb_s\": {:.1f}, "
             "\"p50_ms\": {:.2f}, \"p99_ms\": {:.2f}}}\n",
             tally.latency_ns.count(), tally.failed, count / seconds,
             count * static_cast<double>(bytes) / seconds / 1e6,
             static_cast<double>(tally.latency_ns.percentile(50)) / 1e6,
             static_cast<double>(tally.latency_ns.percentile(99)) / 1e6);
  rd_kafka_destroy(producer);
  return flushed && tally.failed == 0 ? 0 : 1;
}
