#include "runtime/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace tailrace::runtime {
namespace {

// The profile's ranges keep every number within these types.
std::uint32_t u32(std::int64_t value) { return static_cast<std::uint32_t>(value); }
std::uint64_t u64(std::int64_t value) { return static_cast<std::uint64_t>(value); }

}  // namespace

log::Limits log_limits(const Profile& profile) {
  log::Limits limits;
  limits.wal_bytes = u64(profile.wal_bytes);
  limits.frame_bytes_max = u32(profile.frame_bytes_max);
  limits.durable_writes = profile.sync == "dsync";
  limits.cache_bytes = u64(profile.cache_bytes);
  limits.dirty_bytes_max = u64(profile.dirty_bytes_max);
  // About one batch per KiB of cache: smaller ones fill this table before they fill the cache.
  limits.cached_batches_max =
      u32(std::clamp<std::int64_t>(profile.cache_bytes / 1024, 1 << 12, 1 << 22));
  limits.segment_write_bytes = u32(profile.segment_write_bytes);
  limits.read_buffer_bytes = u32(profile.read_buffer_bytes);
  limits.read_buffer_count = u32(profile.read_buffer_count);
  limits.partitions_max = u32(profile.partitions_max);
  limits.producers_max = u32(profile.producers_max);
  limits.transactions_max = u32(profile.open_and_aborted_max);
  limits.open_files_max = u32(profile.open_files_max);
  limits.compaction_memory_bytes = u64(profile.compaction_memory_bytes);
  limits.compaction_bytes_per_second = u64(profile.compaction_bytes_per_second);
  limits.compaction_check = seconds(profile.compaction_check_s);
  limits.checkpoint_interval = seconds(profile.checkpoint_interval_s);
  limits.retention_check = seconds(profile.retention_check_s);
  limits.free_bytes_min = u64(profile.free_bytes_min);
  return limits;
}

broker::Limits broker_limits(const Profile& profile) {
  broker::Limits limits;
  limits.core_count = static_cast<std::uint16_t>(profile.cores);
  limits.connections_max = u32(profile.connections_max);
  limits.requests_in_flight_max = u32(profile.requests_in_flight_max);
  // A connection has one control request at work, and an answer or so on its way out: members
  // that wait for a rebalance never keep a heartbeat of another connection out.
  limits.control_requests_max = 2 * limits.connections_max;
  // Each connection may be a client of its own, with each kind of quota that cores count.
  limits.quota_accounts_max = 3 * limits.connections_max;
  limits.connection_idle_max = seconds(profile.connection_idle_s_max);
  limits.request_bytes_max = u32(profile.request_bytes_max);
  limits.request_memory_bytes = u64(profile.request_memory_bytes);
  limits.answer_memory_bytes = u64(profile.answer_memory_bytes);
  // A quarter of the transport's buffers at most are held back, so that reading goes on.
  limits.events_held_max = std::min(limits.events_held_max, u32(profile.receive_buffer_count / 4));
  // Half of the cache that is never dirty: one slow consumer cannot stop producers.
  const std::int64_t clean = profile.cache_bytes - profile.dirty_bytes_max;
  limits.pinned_bytes_max = u32(std::clamp<std::int64_t>(
      clean / 2, 2 * profile.frame_bytes_max, std::int64_t{1} << 30));
  return limits;
}

control::Limits control_limits(const Profile& profile) {
  control::Limits limits;
  limits.partitions_max = u32(profile.partitions_max);
  limits.batch_bytes_max = log_limits(profile).batch_bytes_max();
  // A topic is one entry of the metadata log, so one with all partitions of the node should fit (24
  // bytes each), beside its configs. The journals hold some of the largest entries at any time.
  constexpr std::int64_t KiB = 1024;
  const std::int64_t entry =
      std::clamp(profile.partitions_max * 24 + 64 * KiB, 128 * KiB, 1024 * KiB);
  limits.entry_bytes_max = u32((entry + 2 * KiB - 1) / (2 * KiB) * (2 * KiB));
  limits.journal_bytes = std::max<std::uint64_t>(
      limits.journal_bytes, std::uint64_t{12} * limits.entry_bytes_max / 4096 * 4096);
  limits.offsets_partitions = u32(profile.offsets_partitions);
  limits.quota_entities_max = u32(profile.quota_entities_max);
  limits.groups_max = u32(profile.groups_max);
  limits.group_members_max = u32(profile.members_max);
  limits.offsets_max = u32(profile.offsets_max);
  limits.group_bytes_max = u64(profile.group_bytes_max);
  limits.group_initial_delay = milliseconds(profile.initial_delay_ms);
  limits.consumer_session_timeout = milliseconds(profile.consumer_session_timeout_ms);
  limits.consumer_heartbeat_interval = milliseconds(profile.consumer_heartbeat_interval_ms);
  limits.consumer_session_timeout_min = milliseconds(profile.consumer_session_timeout_min_ms);
  limits.consumer_session_timeout_max = milliseconds(profile.consumer_session_timeout_max_ms);
  limits.consumer_heartbeat_interval_min =
      milliseconds(profile.consumer_heartbeat_interval_min_ms);
  limits.consumer_heartbeat_interval_max =
      milliseconds(profile.consumer_heartbeat_interval_max_ms);
  limits.offsets_retention = seconds(profile.offsets_retention_minutes * 60);
  limits.transaction_partitions = u32(profile.state_partitions);
  limits.transactional_ids_max = u32(profile.transactional_ids_max);
  limits.transaction_partitions_max = u32(profile.transaction_partitions_max);
  limits.transaction_bytes_max = u64(profile.transaction_bytes_max);
  limits.transaction_timeout_max = milliseconds(profile.transaction_timeout_max_ms);
  limits.transactional_id_expiry = seconds(profile.transactional_id_expiry_minutes * 60);
  return limits;
}

std::uint64_t open_files_needed(const Profile& profile, std::size_t listener_count) {
  // Per core: log files, connections, its ring, event descriptor, WAL and checkpoint. The rest:
  // standard streams, the metadata log, the admin server, libraries.
  constexpr std::int64_t per_core_fixed = 16;
  constexpr std::int64_t process_fixed = 128;
  const std::int64_t per_core = profile.open_files_max + profile.connections_max +
                                static_cast<std::int64_t>(listener_count) + per_core_fixed;
  return u64(profile.cores * per_core + process_fixed);
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (unit + 1 < units.size() && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{} {}", bytes, units[unit]);
}

std::string limit_lines(const Profile& profile) {
  const log::Limits log = log_limits(profile);
  const broker::Limits broker = broker_limits(profile);
  std::string text;
  const auto line = [&](std::string_view what, const std::string& values) {
    text += fmt::format("  {:<12} {}\n", what, values);
  };
  line("cores", fmt::format("{} (idle: {}, {} partitions, {} producers per core; {} transactions "
                            "open or aborted)", profile.cores, profile.idle, log.partitions_max,
                            log.producers_max, log.transactions_max));
  line("connections", fmt::format("{} per core, {} requests in flight each, idle at most {} s",
                                  broker.connections_max, broker.requests_in_flight_max,
                                  profile.connection_idle_s_max));
  line("request", fmt::format("at most {}, batch at most {}; {} per core for all requests, {} for "
                              "their answers",
                              size_text(broker.request_bytes_max),
                              size_text(log.batch_bytes_max()),
                              size_text(broker.request_memory_bytes),
                              size_text(broker.answer_memory_bytes)));
  line("log", fmt::format("WAL {} per core, frame {}, sync by {}", size_text(log.wal_bytes),
                          size_text(log.frame_bytes_max), profile.sync));
  line("cache", fmt::format("{} per core, of it at most {} dirty", size_text(log.cache_bytes),
                            size_text(log.dirty_bytes_max)));
  line("groups", fmt::format("{} of {} members each, {} offsets, {} for all; kept {} minutes",
                             profile.groups_max, profile.members_max, profile.offsets_max,
                             size_text(u64(profile.group_bytes_max)),
                             profile.offsets_retention_minutes));
  line("compaction", fmt::format("{} per core for keys, at most {} a second",
                                 size_text(log.compaction_memory_bytes),
                                 size_text(log.compaction_bytes_per_second)));
  line("transactions", fmt::format("{} ids, {} for all; at most {} partitions and {} s each",
                                   profile.transactional_ids_max,
                                   size_text(u64(profile.transaction_bytes_max)),
                                   profile.transaction_partitions_max,
                                   profile.transaction_timeout_max_ms / 1000));
  line("disk", fmt::format("{} open files per core; produce refused below {} free",
                           log.open_files_max, size_text(log.free_bytes_min)));
  return text;
}

}  // namespace tailrace::runtime
