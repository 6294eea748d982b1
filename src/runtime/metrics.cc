#include "runtime/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kafka/apis.h"

namespace tailrace::runtime {
namespace {

using broker::Counters;

struct Series {
  std::string_view name;
  std::string_view help;
  Counter Counters::*member;
};
constexpr std::array series = {
    Series{"connections_opened_total", "Connections accepted", &Counters::connections_opened},
    Series{"connections_closed_total", "Connections ended", &Counters::connections_closed},
    Series{"connections_refused_total", "Connections beyond connections_max",
           &Counters::connections_refused},
    Series{"connections_idle_total", "Connections closed for idleness",
           &Counters::connections_idle},
    Series{"protocol_errors_total", "Connections closed for what the peer sent",
           &Counters::protocol_errors},
    Series{"received_bytes_total", "Bytes received from clients", &Counters::bytes_in},
    Series{"sent_bytes_total", "Bytes sent to clients", &Counters::bytes_out},
    Series{"pauses_total", "Times reading from a connection paused", &Counters::pauses},
    Series{"error_responses_total", "Answers with at least one error code in them",
           &Counters::error_responses},
    Series{"appended_records_total", "Records appended", &Counters::records_appended},
    Series{"appended_bytes_total", "Bytes of batches appended", &Counters::bytes_appended},
    Series{"fetched_bytes_total", "Bytes of batches given to consumers", &Counters::bytes_fetched},
    Series{"throttled_total", "Requests whose client was told to wait, for a quota",
           &Counters::throttled},
    Series{"append_stalls_total", "Produce requests that waited for the log",
           &Counters::append_stalls},
    Series{"core_tasks_total", "Pieces of work sent to other cores", &Counters::tasks_sent},
};
constexpr std::array quantiles = {50.0, 90.0, 99.0, 99.9};

void describe(std::string& text, std::string_view name, std::string_view help,
              std::string_view type) {
  text += fmt::format("# HELP tailrace_{} {}\n# TYPE tailrace_{} {}\n", name, help, name, type);
}

std::uint64_t open_connections(const Counters& counters) {
  const std::uint64_t closed = counters.connections_closed.load();
  const std::uint64_t opened = counters.connections_opened.load();
  return opened > closed ? opened - closed : 0;  // Read at two moments.
}

void add_requests(std::string& text, std::span<const CoreView> cores) {
  describe(text, "requests_total", "Requests by API", "counter");
  for (std::size_t core = 0; core < cores.size(); ++core) {
    for (const kafka::ApiInfo& api : kafka::apis()) {
      const auto key = static_cast<std::size_t>(api.key);
      if (key >= Counters::api_keys_max) continue;
      text += fmt::format("tailrace_requests_total{{core=\"{}\",api=\"{}\"}} {}\n", core, api.name,
                          cores[core].broker->requests[key].load());
    }
  }
}

void add_latency(std::string& text, std::span<const CoreView> cores, std::string_view name,
                 std::string_view help, SharedHistogram Counters::*member) {
  describe(text, name, help, "summary");
  for (std::size_t core = 0; core < cores.size(); ++core) {
    const SharedHistogram& histogram = cores[core].broker->*member;
    for (const double percent : quantiles) {
      text += fmt::format("tailrace_{}{{core=\"{}\",quantile=\"{:.4g}\"}} {:.6f}\n", name, core,
                          percent / 100, static_cast<double>(histogram.percentile(percent)) / 1e6);
    }
    text += fmt::format("tailrace_{0}_sum{{core=\"{1}\"}} {2:.6f}\n"
                        "tailrace_{0}_count{{core=\"{1}\"}} {3}\n", name, core,
                        static_cast<double>(histogram.sum()) / 1e6, histogram.count());
  }
}

void add_others(std::string& text, std::span<const CoreView> cores) {
  for (std::size_t i = 0; i < cores[0].others.size(); ++i) {
    const NamedNumber& first = cores[0].others[i];
    describe(text, first.name, first.help, first.only_grows ? "counter" : "gauge");
    for (std::size_t core = 0; core < cores.size(); ++core) {
      text += fmt::format("tailrace_{}{{core=\"{}\"}} {}\n", first.name, core,
                          cores[core].others[i].value);
    }
  }
}

void add_space(std::string& text, std::span<const CoreView> cores) {
  describe(text, "disk_free_bytes", "Bytes free in the file system of the data", "gauge");
  for (std::size_t core = 0; core < cores.size(); ++core) {
    text += fmt::format("tailrace_disk_free_bytes{{core=\"{}\"}} {}\n", core,
                        cores[core].space.free_bytes);
  }
  describe(text, "produce_refused_for_space", "1 while produce is refused for lack of space",
           "gauge");
  for (std::size_t core = 0; core < cores.size(); ++core) {
    text += fmt::format("tailrace_produce_refused_for_space{{core=\"{}\"}} {}\n", core,
                        cores[core].space.refuses_produce ? 1 : 0);
  }
}

std::string space_line(std::span<const CoreView> cores) {
  std::uint64_t free_bytes = UINT64_MAX;
  std::size_t refusing = 0;
  for (const CoreView& core : cores) {
    free_bytes = std::min(free_bytes, core.space.free_bytes);
    if (core.space.refuses_produce) ++refusing;
  }
  if (refusing == 0) return fmt::format("{} bytes free, produce accepted", free_bytes);
  return fmt::format("{} bytes free, PRODUCE REFUSED for lack of space by {} of {} cores",
                     free_bytes, refusing, cores.size());
}

std::uint64_t sum(std::span<const CoreView> cores, Counter Counters::*member) {
  std::uint64_t total = 0;
  for (const CoreView& core : cores) total += (core.broker->*member).load();
  return total;
}

std::string latency_line(std::span<const CoreView> cores, SharedHistogram Counters::*member) {
  Histogram all;
  for (const CoreView& core : cores) all.merge(core.broker->*member);
  return fmt::format("{} requests, p50 {} us, p99 {} us, p99.9 {} us, max {} us", all.count(),
                     all.percentile(50), all.percentile(99), all.percentile(99.9), all.max());
}

}  // namespace

std::vector<NamedNumber> log_numbers(const log::CoreLog::Counters& counters) {
  const auto grows = [](std::string_view name, std::string_view help, const Counter& counter) {
    return NamedNumber{name, help, true, counter.load()};
  };
  const auto level = [](std::string_view name, std::string_view help, const Gauge& gauge) {
    const std::int64_t value = gauge.load();
    return NamedNumber{name, help, false, value < 0 ? 0 : static_cast<std::uint64_t>(value)};
  };
  return {
      grows("log_appends_total", "Batches appended", counters.appends),
      grows("log_append_bytes_total", "Bytes of batches appended", counters.append_bytes),
      grows("wal_frames_total", "Group commits", counters.frames),
      grows("wal_bytes_total", "Bytes written to the WAL, with padding", counters.wal_bytes),
      grows("wal_syncs_total", "Syncs of the WAL", counters.syncs),
      grows("segment_bytes_total", "Bytes written to segments", counters.segment_bytes),
      grows("checkpoints_total", "Checkpoints", counters.checkpoints),
      grows("reads_hot_total", "Reads answered from memory", counters.hot_reads),
      grows("reads_cold_total", "Reads from disk", counters.cold_reads),
      grows("compactions_total", "Compaction passes that came to their end", counters.compactions),
      grows("compaction_failures_total", "Compaction passes given up for an error",
            counters.compaction_failures),
      grows("compaction_read_bytes_total", "Bytes read by compaction",
            counters.compaction_read_bytes),
      grows("compaction_written_bytes_total", "Bytes written by compaction",
            counters.compaction_written_bytes),
      grows("compaction_records_dropped_total", "Records that compaction has removed",
            counters.compaction_records_dropped),
      level("compaction_dirty_bytes", "Bytes of compacted partitions that no pass has seen",
            counters.compaction_dirty_bytes),
      level("dirty_bytes", "Bytes in memory and not yet in a segment", counters.dirty_bytes),
      level("replay_bytes", "Bytes of WAL that a restart would read", counters.replay_bytes),
      level("partitions", "Partitions", counters.partitions),
      level("open_files", "Open segment files", counters.open_files),
  };
}

std::vector<NamedNumber> group_numbers(const control::GroupCounters& counters) {
  const auto grows = [](std::string_view name, std::string_view help, const Counter& counter) {
    return NamedNumber{name, help, true, counter.load()};
  };
  const auto level = [](std::string_view name, std::string_view help, const Gauge& gauge) {
    return NamedNumber{name, help, false, static_cast<std::uint64_t>(gauge.load())};
  };
  return {
      level("groups", "Consumer groups", counters.groups),
      level("group_members", "Members of all groups", counters.members),
      level("group_offsets", "Committed offsets of all groups", counters.offsets),
      level("group_partitions_loading", "Partitions of groups being read after a start",
            counters.partitions_loading),
      grows("group_commits_total", "Partitions whose offset was committed",
            counters.offset_commits),
      grows("group_rebalances_total", "Plans of groups that were written", counters.rebalances),
      grows("group_write_failures_total", "Records of groups that could not be written",
            counters.write_failures),
  };
}

std::vector<NamedNumber> transaction_numbers(const control::TransactionCounters& counters) {
  const auto grows = [](std::string_view name, std::string_view help, const Counter& counter) {
    return NamedNumber{name, help, true, counter.load()};
  };
  const auto level = [](std::string_view name, std::string_view help, const Gauge& gauge) {
    return NamedNumber{name, help, false, static_cast<std::uint64_t>(gauge.load())};
  };
  return {
      level("transactional_ids", "Transactional ids", counters.transactional_ids),
      level("transactions_ongoing", "Transactions that have not ended", counters.ongoing),
      level("transaction_partitions_loading",
            "Partitions of transactional ids being read after a start",
            counters.partitions_loading),
      level("transaction_markers_waiting", "Markers that are not durable yet",
            counters.markers_waiting),
      grows("transaction_commits_total", "Transactions that were committed", counters.commits),
      grows("transaction_aborts_total", "Transactions that were aborted", counters.aborts),
      grows("transaction_timeouts_total", "Of those: that took too long", counters.timeouts),
      grows("transaction_write_failures_total",
            "Records of transactional ids that could not be written", counters.write_failures),
  };
}

std::vector<NamedNumber> net_numbers(const net::Counters& counters) {
  return {
#define TR_NET_NUMBER(name)                                                     \
  NamedNumber{"net_" #name "_total", "Of the node's own TCP/IP: " #name, true, \
              counters.of(net::Count::name)},
      TR_NET_COUNTS(TR_NET_NUMBER)
#undef TR_NET_NUMBER
  };
}

std::vector<NamedNumber> device_numbers(const io::DeviceNumbers& numbers, const LinkWatch& link) {
  const auto grows = [](std::string_view name, std::string_view help, const Counter& counter) {
    return NamedNumber{name, help, true, counter.load()};
  };
  return {
      grows("device_received_frames_total", "Frames from the network device",
            numbers.received_frames),
      grows("device_received_bytes_total", "Bytes of those", numbers.received_bytes),
      grows("device_missed_frames_total", "Frames that found no room in the network device",
            numbers.missed_frames),
      grows("device_receive_errors_total", "Frames that the network device could not give on",
            numbers.receive_errors),
      grows("device_sent_frames_total",
            "Frames to the network device; those that it cuts count once", numbers.sent_frames),
      grows("device_sent_bytes_total", "Bytes of those", numbers.sent_bytes),
      grows("device_send_errors_total", "Frames that the network device could not send",
            numbers.send_errors),
      {"device_link_up", "1 while the network device has a link, told of its first queue", false,
       link.is_up() ? 1U : 0U},
      {"device_link_losses_total", "How often it had none, at the start or later", true,
       link.losses()},
  };
}

std::vector<NamedNumber> handover_numbers(const io::Handover::Counters& counters) {
  return {
      {"net_frames_handed_over_total", "Frames of the core's queue that were another core's", true,
       counters.handed_over.load()},
      {"net_frames_taken_over_total", "Frames of the core's that another core's queue had", true,
       counters.taken_over.load()},
      {"net_drop_no_turns_total",
       "Frames of the core's queue that were lost, as another core did not take its own", true,
       counters.drop_no_turns.load()},
  };
}

Space space_of(const log::CoreLog::Counters& counters) {
  const std::int64_t free_bytes = counters.usable_bytes.load();
  return {.free_bytes = free_bytes < 0 ? 0 : static_cast<std::uint64_t>(free_bytes),
          .refuses_produce = counters.refuses_for_space.load() != 0};
}

std::string metrics_text(std::span<const CoreView> cores, std::span<const NamedNumber> node) {
  std::string text;
  if (cores.empty()) return text;
  add_requests(text, cores);
  for (const Series& one : series) {
    describe(text, one.name, one.help, "counter");
    for (std::size_t core = 0; core < cores.size(); ++core) {
      text += fmt::format("tailrace_{}{{core=\"{}\"}} {}\n", one.name, core,
                          (cores[core].broker->*one.member).load());
    }
  }
  describe(text, "connections", "Connections now", "gauge");
  for (std::size_t core = 0; core < cores.size(); ++core) {
    text += fmt::format("tailrace_connections{{core=\"{}\"}} {}\n", core,
                        open_connections(*cores[core].broker));
  }
  add_latency(text, cores, "produce_seconds", "From the whole request to its response",
              &Counters::produce_us);
  add_latency(text, cores, "fetch_seconds", "The same, waiting for data included",
              &Counters::fetch_us);
  add_space(text, cores);
  add_others(text, cores);
  for (const NamedNumber& number : node) {
    describe(text, number.name, number.help, number.only_grows ? "counter" : "gauge");
    text += fmt::format("tailrace_{} {}\n", number.name, number.value);
  }
  return text;
}

std::string status_text(std::span<const CoreView> cores, std::int64_t uptime_s,
                        std::span<const NamedNumber> node) {
  std::string text = fmt::format("up          {} s, {} core{}\n", uptime_s, cores.size(),
                                 cores.size() == 1 ? "" : "s");
  if (cores.empty()) return text;
  std::uint64_t connections = 0;
  for (const CoreView& core : cores) connections += open_connections(*core.broker);
  text += fmt::format("connections {} now, {} in all, {} refused, {} protocol errors\n",
                      connections, sum(cores, &Counters::connections_opened),
                      sum(cores, &Counters::connections_refused),
                      sum(cores, &Counters::protocol_errors));
  text += fmt::format("bytes       {} in, {} out\n", sum(cores, &Counters::bytes_in),
                      sum(cores, &Counters::bytes_out));
  text += fmt::format("appended    {} records, {} bytes, {} stalls\n",
                      sum(cores, &Counters::records_appended),
                      sum(cores, &Counters::bytes_appended),
                      sum(cores, &Counters::append_stalls));
  text += fmt::format("fetched     {} bytes\n", sum(cores, &Counters::bytes_fetched));
  text += fmt::format("disk        {}\n", space_line(cores));
  std::uint64_t requests = 0;
  for (const CoreView& core : cores) {
    for (const Counter& of_api : core.broker->requests) requests += of_api.load();
  }
  text += fmt::format("errors      {} answers with an error code in them, of {} requests\n",
                      sum(cores, &Counters::error_responses), requests);
  text += fmt::format("produce     {}\n", latency_line(cores, &Counters::produce_us));
  text += fmt::format("fetch       {}\n", latency_line(cores, &Counters::fetch_us));
  for (std::size_t i = 0; i < cores[0].others.size(); ++i) {
    std::uint64_t total = 0;
    for (const CoreView& core : cores) total += core.others[i].value;
    text += fmt::format("{:<28} {}\n", cores[0].others[i].name, total);
  }
  for (const NamedNumber& number : node) {
    text += fmt::format("{:<28} {}\n", number.name, number.value);
  }
  return text;
}

}  // namespace tailrace::runtime
