// The load itself: one thread, many connections, requests by a clock or as fast as answers come.
//
// Open loop (rate > 0): request n is due at start + n / rate, whatever the broker does; its latency
// counts from then, so that a stall is felt by every request it delays (no coordinated omission).
// Closed loop (rate 0): `depth` requests per connection are always under way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "load/connection.h"
#include "load/network.h"

namespace tailrace::load {

struct Options {
  std::string address = "127.0.0.1:9092";
  std::string topic = "bench";
  std::int32_t partition_count = 1;
  bool is_fetch = false;
  std::size_t request_bytes = 65536;   // of one batch; fetch: the most to answer
  std::size_t record_bytes = 1024;
  std::int64_t connection_count = 1;
  std::int64_t depth = 1;
  double rate = 0;                     // requests per second in all
  double warm_up_s = 1;
  double measured_s = 5;
  std::int64_t bytes_max = 0;          // stop after so many acknowledged bytes; 0: by time
  std::int16_t acks = -1;
  int broker_pid = 0;                  // whose processor time is read
  bool may_break = false;              // a lost connection ends the load without an error
};

// Processor time of a process, children not counted.
struct CpuTime {
  double user_s = 0;
  double system_s = 0;
  double sum_s() const { return user_s + system_s; }
};
CpuTime cpu_time_of(int pid);
std::int64_t monotonic_ns();

struct Report {
  std::uint64_t requests = 0;          // answered within the measured window
  std::uint64_t bytes = 0;             // of record batches, likewise
  std::uint64_t all_bytes = 0;         // acknowledged from the first request to the last
  std::uint64_t errors = 0;
  std::int16_t last_error = 0;
  double seconds = 0;
  Histogram latency_ns;                // of requests due within the window
  CpuTime broker_cpu;
  CpuTime own_cpu;
  bool broken = false;
};

class Driver {
 public:
  // `network` outlives it.
  Driver(Network& network, const Options& options);
  bool open(std::string& why);
  Report run();

 private:
  struct Cursor {                      // fetch: where in its partition a connection is
    std::int32_t partition = 0;
    std::int64_t offset = 0;
  };
  void ask(std::size_t connection, std::int64_t intended_ns);
  void ask_fetch(std::size_t connection, std::int64_t intended_ns);
  void ask_due(std::int64_t now_ns);
  void refill(std::size_t connection, std::int64_t now_ns);
  void take_answers(std::size_t connection, std::int64_t now_ns);
  void on_answer(const Connection::Answer& answer, std::int64_t now_ns);
  std::int64_t next_due_ns() const;
  Instant wakes_at(std::int64_t now_ns) const;
  void look_at_clock(std::int64_t now_ns);
  bool finished(std::int64_t now_ns) const;

  Network& network_;
  const Options options_;
  Batch batch_;
  std::vector<Frame> produce_frames_;   // by partition
  std::vector<std::int64_t> ends_;      // fetch: by partition
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Cursor> cursors_;

  std::int64_t began_ns_ = 0;
  std::int64_t window_ns_ = 0;          // when the measured window begins
  std::int64_t end_ns_ = 0;
  std::int64_t next_request_ = 0;
  std::uint64_t sent_count_ = 0;
  bool in_window_ = false;
  bool stopping_ = false;
  CpuTime broker_before_;
  CpuTime own_before_;
  Report report_;
};

}  // namespace tailrace::load
