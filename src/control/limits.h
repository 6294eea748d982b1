// Limits of the control plane, filled in from the hardware profile.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace tailrace::control {

struct Limits {
  // Partitions of all topics together.
  std::uint32_t partitions_max = 4096;
  // The largest batch a topic may allow (log::Limits::batch_bytes_max()).
  std::uint32_t batch_bytes_max = 1'048'588;

  // Requests that wait for a commit; what comes beyond is answered with an error clients retry.
  std::uint32_t requests_waiting_max = 1024;
  // Memory in which one request is decoded and its answer put together.
  std::uint32_t request_memory_bytes = 4U << 20;
  // Images that some core still uses. Beyond it changes are committed but not yet shown, and
  // answers wait.
  std::uint32_t images_max = 64;

  // One change of metadata on disk: a topic with its partitions (24 bytes each) and configs. A
  // multiple of 2 KiB.
  std::uint32_t entry_bytes_max = 128U << 10;
  // All configs of one topic or of the brokers: names and values.
  std::uint32_t config_bytes_max = 32U << 10;

  // Whom client quotas are set for: users, client ids, pairs of them, addresses.
  std::uint32_t quota_entities_max = 1000;

  // Each of the two journal files, zero-filled at format; they grow with the metadata up to the
  // maximum. See control/raft_store.h.
  std::uint64_t journal_bytes = std::uint64_t{2} << 20;
  std::uint64_t journal_bytes_max = std::uint64_t{256} << 20;

  // Groups. Partitions of __consumer_offsets when it is made; it cannot be changed later, because
  // a group's partition follows from it (Kafka: offsets.topic.num.partitions).
  std::uint32_t offsets_partitions = 50;
  // What this node keeps in memory: groups, members of one group (Kafka: group.max.size),
  // committed offsets of all groups, and the bytes of all that. What comes beyond is refused.
  std::uint32_t groups_max = 10'000;
  std::uint32_t group_members_max = 1'000;
  std::uint32_t offsets_max = 250'000;
  std::uint64_t group_bytes_max = std::uint64_t{64} << 20;
  // Of the text that a client stores with an offset (Kafka: offset.metadata.max.bytes).
  std::uint32_t offset_metadata_bytes_max = 4096;
  // A new group waits so long for more members (Kafka: group.initial.rebalance.delay.ms).
  Duration group_initial_delay = seconds(3);
  // What a member may ask for (Kafka: group.min.session.timeout.ms and ...max...).
  Duration session_timeout_min = seconds(6);
  Duration session_timeout_max = seconds(1800);
  // Of members of the consumer protocol (Kafka: group.consumer.session.timeout.ms and
  // ...heartbeat.interval.ms).
  Duration consumer_session_timeout = seconds(45);
  Duration consumer_heartbeat_interval = seconds(5);
  // What may be set for one group (Kafka: group.consumer.min.session.timeout.ms and so on).
  Duration consumer_session_timeout_min = seconds(45);
  Duration consumer_session_timeout_max = seconds(60);
  Duration consumer_heartbeat_interval_min = seconds(5);
  Duration consumer_heartbeat_interval_max = seconds(15);
  // Offsets of groups without members (Kafka: offsets.retention.minutes), and how often it is
  // looked (offsets.retention.check.interval.ms).
  Duration offsets_retention = seconds(7 * 24 * 3600);
  Duration offsets_check = seconds(600);
  // Partitions of __consumer_offsets that are read at a time after a start; each needs a buffer
  // for one batch.
  std::uint32_t group_loads_max = 4;
  // A partition that could not be read is tried again after this.
  Duration group_load_retry = seconds(1);

  // Transactions. Partitions of __transaction_state when it is made; it cannot be changed later
  // (Kafka: transaction.state.log.num.partitions).
  std::uint32_t transaction_partitions = 50;
  // What this node keeps in memory: transactional ids, partitions of one transaction, and the
  // bytes of all that. What comes beyond is refused or waits.
  std::uint32_t transactional_ids_max = 10'000;
  std::uint32_t transaction_partitions_max = 2'000;
  std::uint64_t transaction_bytes_max = std::uint64_t{32} << 20;
  // What a producer may ask for (Kafka: transaction.max.timeout.ms).
  Duration transaction_timeout_max = seconds(900);
  // Transactional ids that were not used for so long are forgotten (Kafka:
  // transactional.id.expiration.ms).
  Duration transactional_id_expiry = seconds(7 * 24 * 3600);
};

}  // namespace tailrace::control
