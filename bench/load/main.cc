// tailrace_load: the load client. Commands: create, produce, fetch, probe; options as
// --name value (see usage). Each prints one line of JSON.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "load/driver.h"

namespace tailrace::load {
namespace {

constexpr const char* usage =
    "tailrace_load create  --topic T --partitions N [--config NAME=VALUE]\n"
    "tailrace_load produce --topic T --partitions N --bytes B [--record-bytes R] [--acks A] ...\n"
    "tailrace_load fetch   --topic T --partitions N --bytes B [--record-bytes R] ...\n"
    "tailrace_load probe   --topic T    until a produce succeeds; prints the monotonic clock\n"
    "all:  --address HOST:PORT\n"
    "      --device DEVICE [--own ADDRESS/BITS] [--huge-pages 1]: our own TCP/IP on DPDK's device\n"
    "load: --connections N --depth N | --rate PER_S, --warm-up S, --seconds S, --total-bytes B,\n"
    "      --broker-pid PID, --may-break 1\n";

struct Command {
  std::string name;
  NetworkOptions network;
  Options options;
  std::vector<Config> configs;
};

bool set_option(Command& command, const std::string& name, const char* value) {
  Options& options = command.options;
  const auto number = [&] { return std::atoll(value); };
  if (name == "--address") options.address = value;
  else if (name == "--topic") options.topic = value;
  else if (name == "--partitions") options.partition_count = static_cast<std::int32_t>(number());
  else if (name == "--bytes") options.request_bytes = static_cast<std::size_t>(number());
  else if (name == "--record-bytes") options.record_bytes = static_cast<std::size_t>(number());
  else if (name == "--connections") options.connection_count = number();
  else if (name == "--depth") options.depth = number();
  else if (name == "--rate") options.rate = std::atof(value);
  else if (name == "--warm-up") options.warm_up_s = std::atof(value);
  else if (name == "--seconds") options.measured_s = std::atof(value);
  else if (name == "--total-bytes") options.bytes_max = number();
  else if (name == "--acks") options.acks = static_cast<std::int16_t>(number());
  else if (name == "--broker-pid") options.broker_pid = static_cast<int>(number());
  else if (name == "--may-break") options.may_break = number() != 0;
  else if (name == "--device") command.network.device = value;
  else if (name == "--own") command.network.address = value;
  else if (name == "--huge-pages") command.network.huge_pages = number() != 0;
  else if (name == "--config" && std::strchr(value, '=') != nullptr) {
    const std::string text = value;
    command.configs.emplace_back(text.substr(0, text.find('=')), text.substr(text.find('=') + 1));
  } else {
    return false;
  }
  return true;
}

int fail_with(const std::string& why) {
  fmt::print(stderr, "tailrace_load: {}\n", why);
  return 1;
}

int create(Network& network, const Command& command) {
  constexpr std::int16_t already_exists = 36;
  const Options& options = command.options;
  Connection connection(network);
  std::string why;
  if (!connection.open(options.address, why)) return fail_with(why);
  const Bytes answer = connection.call(
      create_topic_frame(options.topic, options.partition_count, command.configs));
  if (answer.empty()) return fail_with("the connection broke");
  const std::int16_t error = create_topic_error(answer);
  if (error != 0 && error != already_exists) return fail_with(fmt::format("error {}", error));
  fmt::print("{{\"error\": {}}}\n", error);
  return 0;
}

// Tries until it works, so that a restart can be timed from outside.
int probe(Network& network, const Command& command) {
  const Batch batch = make_batch(512, 256);
  const Frame frame = produce_frame(command.options.topic, 0, batch.bytes, -1);
  const std::int64_t deadline_ns = monotonic_ns() + 120'000'000'000;
  std::int64_t connected_ns = 0;
  while (monotonic_ns() < deadline_ns) {
    Connection connection(network);
    std::string why;
    if (connection.open(command.options.address, why)) {
      connected_ns = monotonic_ns();
      const Bytes answer = connection.call(frame);
      if (!answer.empty() && produce_error(answer) == 0) {
        fmt::print("{{\"connected_ns\": {}, \"answered_ns\": {}}}\n", connected_ns,
                   monotonic_ns());
        return 0;
      }
    }
    usleep(1000);
  }
  return fail_with("no answer within two minutes");
}

int load(Network& network, const Command& command) {
  // Timers of the default slack of 50 us would show in the latencies.
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
  Driver driver(network, command.options);
  std::string why;
  if (!driver.open(why)) return fail_with(why);
  const Report report = driver.run();
  const auto us = [&](double percent) {
    return static_cast<double>(report.latency_ns.percentile(percent)) / 1e3;
  };
  const double gb = static_cast<double>(report.bytes) / 1e9;
  const double per_gb = gb > 0 ? 1 / gb : 0;
  fmt::print("{{\"requests\": {}, \"per_s\": {:.1f}, \"mb_s\": {:.2f}, \"seconds\": {:.2f}, "
             "\"p50_us\": {:.1f}, \"p99_us\": {:.1f}, \"p999_us\": {:.1f}, \"max_us\": {:.1f}, "
             "\"errors\": {}, \"last_error\": {}, \"all_bytes\": {}, ",
             report.requests, static_cast<double>(report.requests) / report.seconds,
             static_cast<double>(report.bytes) / report.seconds / 1e6, report.seconds, us(50),
             us(99), us(99.9), us(100), report.errors, report.last_error, report.all_bytes);
  fmt::print("\"broker_user_s\": {:.2f}, \"broker_system_s\": {:.2f}, \"client_s\": {:.2f}, "
             "\"broker_s_per_gb\": {:.4f}, \"client_s_per_gb\": {:.4f}}}\n",
             report.broker_cpu.user_s, report.broker_cpu.system_s, report.own_cpu.sum_s(),
             report.broker_cpu.sum_s() * per_gb, report.own_cpu.sum_s() * per_gb);
  const bool broken = report.broken && !command.options.may_break;
  return broken || report.errors > 0 ? 1 : 0;
}

int run(int argc, char** argv) {
  Command command;
  if (argc >= 2) command.name = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    if (!set_option(command, argv[i], argv[i + 1])) return fail_with(usage);
  }
  command.options.is_fetch = command.name == "fetch";
  const bool is_load = command.name == "produce" || command.options.is_fetch;
  if (!is_load && command.name != "create" && command.name != "probe") return fail_with(usage);
  std::string why;
  const auto network = Network::create(command.network, why);
  if (network == nullptr) return fail_with(why);
  if (is_load) return load(*network, command);
  return command.name == "create" ? create(*network, command) : probe(*network, command);
}

}  // namespace
}  // namespace tailrace::load

int main(int argc, char** argv) { return tailrace::load::run(argc, argv); }
