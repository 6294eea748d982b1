#include "runtime/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "log/core_log.h"
#include "runtime/limits.h"
#include "runtime/user_network.h"

namespace tailrace::runtime {
namespace {

constexpr std::uint64_t MiB = 1 << 20;

// Estimates, on the high side: of tables whose entries are small beside what they stand for. The
// pools, which make up nearly all of the sum, are counted exactly.
constexpr std::uint64_t connection_bytes = 2560;   // transport, session, timers and quotas
constexpr std::uint64_t partition_bytes = 2048;    // its log, segments, configs, metadata
constexpr std::uint64_t producer_bytes = 256;
constexpr std::uint64_t transaction_bytes = 256;   // an open one has a producer
constexpr std::uint64_t open_file_bytes = 512;
constexpr std::uint64_t frame_bytes = 65'600;      // a receive buffer of our own TCP/IP
constexpr std::uint64_t core_bytes = 32 * MiB;     // rings, stack, kept indexes, other tables
constexpr std::uint64_t process_bytes = 32 * MiB;  // program, libraries, control thread

std::string read_text(const std::string& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  return text.str();
}

std::uint64_t leading_number(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return UINT64_MAX;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data() + first, text.data() + text.size(), value);
  return parsed.ec == std::errc{} ? value : UINT64_MAX;
}

void lower(MachineMemory& memory, std::uint64_t bytes, std::string source) {
  if (bytes >= memory.usable_bytes) return;
  memory = {.usable_bytes = bytes, .source = std::move(source)};
}

// A limit of the group itself or of one above it.
void look_at_groups(MachineMemory& memory) {
  const std::string groups = read_text("/proc/self/cgroup");
  const std::size_t mine = groups.find("0::/");
  std::string group =
      mine == std::string::npos ? "" : groups.substr(mine + 3, groups.find('\n', mine) - mine - 3);
  while (true) {
    const std::string folder = "/sys/fs/cgroup" + group;
    const std::uint64_t limit = limit_bytes(read_text(folder + "/memory.max"));
    lower(memory, limit, fmt::format("memory.max of the control group {}",
                                     group.empty() ? "/" : group));
    const std::size_t slash = group.rfind('/');
    if (slash == std::string::npos) break;
    group.resize(slash);
  }
  lower(memory, limit_bytes(read_text("/sys/fs/cgroup/memory/memory.limit_in_bytes")),
        "memory.limit_in_bytes of the control group");
}

std::string in_mib(std::uint64_t bytes) { return fmt::format("{} MiB", bytes / MiB); }

std::string largest_items(const MemoryPlan& plan) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, plan.items.size()); ++i) {
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", plan.items[i].key,
                        in_mib(plan.items[i].bytes));
  }
  return text;
}

}  // namespace

std::uint64_t MemoryPlan::total_bytes() const {
  std::uint64_t total = fixed_bytes;
  for (const MemoryItem& item : items) total += item.bytes;
  return total;
}

MemoryPlan plan_memory(const Profile& p) {
  const auto cores = static_cast<std::uint64_t>(p.cores);
  const log::Limits log = log_limits(p);
  const broker::Limits broker = broker_limits(p);
  MemoryPlan plan;
  const auto add = [&](std::string_view table, std::string_view key, std::int64_t found,
                       std::uint64_t unit_bytes) {
    plan.items.push_back({.table = table, .key = key, .found = found,
                          .unit_bytes = unit_bytes * cores,
                          .bytes = static_cast<std::uint64_t>(found) * unit_bytes * cores});
  };
  // Huge pages were taken out of the machine's memory beforehand; DPDK looks whether they suffice.
  const bool is_huge = p.transport == "dpdk" && p.huge_pages;
  if (!is_huge) {
    add("storage", "cache_bytes", p.cache_bytes, 1);
    add("storage", "read_buffer_count", p.read_buffer_count, log.read_bytes());
    add("storage", "segment_write_bytes", p.segment_write_bytes, log.segment_writes_max);
  }
  add("compaction", "memory_bytes", p.compaction_memory_bytes, 1);
  add("network", "request_memory_bytes", p.request_memory_bytes, 1);
  add("network", "answer_memory_bytes", p.answer_memory_bytes, 1);
  if (is_huge) {
    // In huge pages too.
  } else if (has_user_network(p)) {
    add("network", "receive_buffer_count", receive_frames(p), frame_bytes);
  } else {
    add("network", "receive_buffer_count", p.receive_buffer_count,
        static_cast<std::uint64_t>(p.receive_buffer_bytes));
  }
  add("network", "connections_max", p.connections_max, connection_bytes);
  add("limits", "partitions_max", p.partitions_max, partition_bytes);
  add("limits", "producers_max", p.producers_max, producer_bytes);
  add("limits", "open_and_aborted_max", p.open_and_aborted_max, transaction_bytes);
  add("limits", "open_files_max", p.open_files_max, open_file_bytes);
  // One for the node.
  plan.items.push_back({.table = "groups", .key = "group_bytes_max", .found = p.group_bytes_max,
                        .unit_bytes = 1, .bytes = static_cast<std::uint64_t>(p.group_bytes_max)});
  plan.items.push_back({.table = "transactions", .key = "transaction_bytes_max",
                        .found = p.transaction_bytes_max, .unit_bytes = 1,
                        .bytes = static_cast<std::uint64_t>(p.transaction_bytes_max)});
  std::stable_sort(plan.items.begin(), plan.items.end(),
                   [](const MemoryItem& a, const MemoryItem& b) { return a.bytes > b.bytes; });
  plan.fixed_bytes = process_bytes + cores * (core_bytes + log::Compactor::memory_bytes(log) +
                                              broker.cold_memory_bytes +
                                              broker.decode_bytes_max);
  return plan;
}

std::uint64_t available_bytes(std::string_view meminfo) {
  constexpr std::string_view name = "MemAvailable:";
  const std::size_t at = meminfo.find(name);
  if (at == std::string_view::npos) return UINT64_MAX;
  const std::uint64_t kib = leading_number(meminfo.substr(at + name.size()));
  return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

std::uint64_t limit_bytes(std::string_view memory_max) { return leading_number(memory_max); }

MachineMemory read_machine_memory() {
  MachineMemory memory;
  lower(memory, available_bytes(read_text("/proc/meminfo")), "MemAvailable in /proc/meminfo");
  look_at_groups(memory);
  return memory;
}

bool memory_fits(const Profile& profile, const MachineMemory& machine, std::string& why) {
  const MemoryPlan plan = plan_memory(profile);
  const std::uint64_t total = plan.total_bytes();
  if (total <= machine.usable_bytes) return true;
  const MemoryItem& largest = plan.items.front();
  const std::uint64_t others = total - largest.bytes;
  const std::string allowed =
      others < machine.usable_bytes
          ? fmt::format("at most {} here", (machine.usable_bytes - others) / largest.unit_bytes)
          : std::string("less, and less of the others too");
  why = fmt::format("{}{}.{}: found {}, allowed: {}: all limits of {} cores add up to {} of "
                    "memory ({}), and {} says {}",
                    profile.place_of(largest.key), largest.table, largest.key, largest.found,
                    allowed, profile.cores, in_mib(total), largest_items(plan), machine.source,
                    in_mib(machine.usable_bytes));
  return false;
}

}  // namespace tailrace::runtime
