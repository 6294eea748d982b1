#include "load/driver.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "base/assert.h"

namespace tailrace::load {
namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t drain_ns_max = 10 * ns_per_s;

CpuTime own_cpu_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return {seconds(usage.ru_utime), seconds(usage.ru_stime)};
}

CpuTime difference(const CpuTime& later, const CpuTime& earlier) {
  return {later.user_s - earlier.user_s, later.system_s - earlier.system_s};
}

}  // namespace

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * ns_per_s + now.tv_nsec;
}

// Fields 14 and 15 of /proc/PID/stat, in clock ticks; threads that have ended are in them too.
CpuTime cpu_time_of(int pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::array<char, 1024> text{};
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return {};
  const std::size_t size = std::fread(text.data(), 1, text.size() - 1, file);
  std::fclose(file);
  text[size] = 0;
  const char* rest = std::strrchr(text.data(), ')');   // The name may hold spaces.
  unsigned long user = 0;
  unsigned long system = 0;
  constexpr const char* format = "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
  if (rest == nullptr || std::sscanf(rest + 2, format, &user, &system) != 2) return {};
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {static_cast<double>(user) / ticks, static_cast<double>(system) / ticks};
}

Driver::Driver(Network& network, const Options& options)
    : network_(network), options_(options),
      batch_(make_batch(options.request_bytes, options.record_bytes)) {
  for (std::int32_t i = 0; i < options.partition_count && !options.is_fetch; ++i) {
    produce_frames_.push_back(produce_frame(options.topic, i, batch_.bytes, options.acks));
  }
}

bool Driver::open(std::string& why) {
  for (std::int64_t i = 0; i < options_.connection_count; ++i) {
    connections_.push_back(std::make_unique<Connection>(network_));
    if (!connections_.back()->open(options_.address, why)) return false;
  }
  cursors_.resize(connections_.size());
  for (std::size_t i = 0; i < cursors_.size(); ++i) {
    cursors_[i].partition = static_cast<std::int32_t>(i) % options_.partition_count;
  }
  if (!options_.is_fetch) return true;
  ends_.resize(static_cast<std::size_t>(options_.partition_count));
  const Bytes answer =
      connections_[0]->call(list_offsets_frame(options_.topic, options_.partition_count));
  const bool has_ends = !answer.empty() && read_end_offsets(answer, ends_);
  if (!has_ends || *std::min_element(ends_.begin(), ends_.end()) < batch_.record_count) {
    why = "a partition of the topic has no batch to fetch";
    return false;
  }
  return true;
}

void Driver::ask(std::size_t connection, std::int64_t intended_ns) {
  if (options_.is_fetch) return ask_fetch(connection, intended_ns);
  const auto partition = sent_count_ % produce_frames_.size();
  connections_[connection]->ask(produce_frames_[partition], {.intended_ns = intended_ns});
  ++sent_count_;
}

// The topic was filled with batches like ours, so the next one's offset is known beforehand.
void Driver::ask_fetch(std::size_t connection, std::int64_t intended_ns) {
  Cursor& cursor = cursors_[connection];
  const std::int64_t end = ends_[static_cast<std::size_t>(cursor.partition)];
  if (cursor.offset + batch_.record_count > end) cursor.offset = 0;
  const Frame frame = fetch_frame(
      options_.topic, {.partition = cursor.partition,
                       .offset = cursor.offset,
                       .bytes_max = static_cast<std::int32_t>(options_.request_bytes)});
  connections_[connection]->ask(frame, {.intended_ns = intended_ns, .offset = cursor.offset});
  cursor.offset += batch_.record_count;
  ++sent_count_;
}

void Driver::ask_due(std::int64_t now_ns) {
  if (options_.rate <= 0 || stopping_) return;
  for (std::int64_t due_ns = next_due_ns(); due_ns <= now_ns && due_ns < end_ns_;
       due_ns = next_due_ns()) {
    ask(static_cast<std::size_t>(next_request_) % connections_.size(), due_ns);
    ++next_request_;
  }
}

std::int64_t Driver::next_due_ns() const {
  return began_ns_ + static_cast<std::int64_t>(static_cast<double>(next_request_) /
                                               options_.rate * static_cast<double>(ns_per_s));
}

void Driver::refill(std::size_t connection, std::int64_t now_ns) {
  if (options_.rate > 0 || stopping_) return;
  while (connections_[connection]->in_flight() < static_cast<std::size_t>(options_.depth)) {
    ask(connection, now_ns);
  }
}

void Driver::on_answer(const Connection::Answer& answer, std::int64_t now_ns) {
  std::int16_t error = 0;
  std::size_t bytes = batch_.bytes.size();
  if (options_.is_fetch) {
    const Fetched fetched = read_fetched(answer.frame);
    error = fetched.error;
    bytes = fetched.bytes;
    if (error == 0 && fetched.base_offset != answer.asked.offset) error = cannot_decode;
  } else {
    error = produce_error(answer.frame);
  }
  if (error != 0) {
    ++report_.errors;
    report_.last_error = error;
    return;
  }
  report_.all_bytes += bytes;
  if (in_window_) {
    ++report_.requests;
    report_.bytes += bytes;
  }
  if (answer.asked.intended_ns >= window_ns_ && answer.asked.intended_ns < end_ns_) {
    report_.latency_ns.record(static_cast<std::uint64_t>(now_ns - answer.asked.intended_ns));
  }
}

void Driver::take_answers(std::size_t connection, std::int64_t now_ns) {
  Connection& conn = *connections_[connection];
  while (const auto answer = conn.take()) on_answer(*answer, now_ns);
  if (conn.is_broken()) report_.broken = true;
  if (!report_.broken) refill(connection, now_ns);
}

Instant Driver::wakes_at(std::int64_t now_ns) const {
  if (stopping_) return {now_ns + ns_per_s / 100};
  const std::int64_t turn_ns = in_window_ ? end_ns_ : window_ns_;
  return {options_.rate > 0 ? std::min(turn_ns, next_due_ns()) : turn_ns};
}

void Driver::look_at_clock(std::int64_t now_ns) {
  if (!in_window_ && !stopping_ && now_ns >= window_ns_) {
    in_window_ = true;
    window_ns_ = now_ns;
    broker_before_ = cpu_time_of(options_.broker_pid);
    own_before_ = own_cpu_time();
  }
  const bool full = options_.bytes_max > 0 &&
                    report_.all_bytes >= static_cast<std::uint64_t>(options_.bytes_max);
  if (!stopping_ && (now_ns >= end_ns_ || full || report_.broken)) {
    stopping_ = true;
    in_window_ = false;
    end_ns_ = now_ns;
    report_.seconds = static_cast<double>(now_ns - window_ns_) / static_cast<double>(ns_per_s);
    report_.broker_cpu = difference(cpu_time_of(options_.broker_pid), broker_before_);
    report_.own_cpu = difference(own_cpu_time(), own_before_);
  }
}

bool Driver::finished(std::int64_t now_ns) const {
  if (!stopping_) return false;
  if (report_.broken || now_ns > end_ns_ + drain_ns_max) return true;
  return std::all_of(connections_.begin(), connections_.end(),
                     [](const auto& connection) { return connection->in_flight() == 0; });
}

Report Driver::run() {
  const auto to_ns = [](double seconds) {
    return static_cast<std::int64_t>(seconds * static_cast<double>(ns_per_s));
  };
  began_ns_ = monotonic_ns();
  window_ns_ = began_ns_ + to_ns(options_.warm_up_s);
  end_ns_ = window_ns_ + to_ns(options_.measured_s);
  for (std::size_t i = 0; i < connections_.size(); ++i) refill(i, began_ns_);
  std::int64_t now_ns = began_ns_;
  while (!finished(now_ns)) {
    ask_due(now_ns);
    network_.turn(wakes_at(now_ns));
    now_ns = monotonic_ns();
    for (std::size_t i = 0; i < connections_.size(); ++i) take_answers(i, now_ns);
    look_at_clock(now_ns);
  }
  // What never was answered counts as having taken until now.
  for (const auto& connection : connections_) {
    report_.errors += report_.broken && options_.may_break ? 0 : connection->in_flight();
  }
  return std::move(report_);
}

}  // namespace tailrace::load
