// What a node counts, as texts: for Prometheus and for a person. Made on any thread from counters
// that their one writer goes on changing; each number is right by itself.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/counters.h"
#include "control/group_coordinator.h"
#include "control/transaction_coordinator.h"
#include "io/packet_device.h"
#include "io/steering/handover.h"
#include "log/core_log.h"
#include "net/counters.h"
#include "runtime/link_watch.h"

namespace tailrace::runtime {

// One number of a part that has no table of its own here (the log, the disk).
struct NamedNumber {
  std::string_view name;  // without the prefix "tailrace_"
  std::string_view help;
  bool only_grows = true;
  std::uint64_t value = 0;
};

// The disk as a core sees it; all cores of a node have the same.
struct Space {
  std::uint64_t free_bytes = 0;
  bool refuses_produce = false;
};

// What one core counts. Of all cores, `others` has the same names in the same order.
struct CoreView {
  const broker::Counters* broker = nullptr;
  std::vector<NamedNumber> others;
  Space space = {};
};

std::vector<NamedNumber> log_numbers(const log::CoreLog::Counters& counters);
// Of a core that does its own TCP/IP.
std::vector<NamedNumber> net_numbers(const net::Counters& counters);
std::vector<NamedNumber> device_numbers(const io::DeviceNumbers& numbers, const LinkWatch& link);
// Of a core that shares a network device with others.
std::vector<NamedNumber> handover_numbers(const io::Handover::Counters& counters);
Space space_of(const log::CoreLog::Counters& counters);

std::vector<NamedNumber> group_numbers(const control::GroupCounters& counters);
std::vector<NamedNumber> transaction_numbers(const control::TransactionCounters& counters);

// GET /metrics: the Prometheus text format, version 0.0.4. `node`: what is counted once.
std::string metrics_text(std::span<const CoreView> cores, std::span<const NamedNumber> node = {});

// GET /status: lines for a person, sums over all cores. `uptime_s`: since the node was ready.
std::string status_text(std::span<const CoreView> cores, std::int64_t uptime_s,
                        std::span<const NamedNumber> node = {});

}  // namespace tailrace::runtime
