// Kafka's error codes, and the only mapping from our own errors to them.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace tailrace::kafka {

enum class ErrorCode : std::int16_t {
  unknown_server_error = -1,
  none = 0,
  offset_out_of_range = 1,
  corrupt_message = 2,
  unknown_topic_or_partition = 3,
  leader_not_available = 5,
  not_leader_or_follower = 6,
  request_timed_out = 7,
  replica_not_available = 9,
  message_too_large = 10,
  offset_metadata_too_large = 12,
  coordinator_load_in_progress = 14,
  coordinator_not_available = 15,
  not_coordinator = 16,
  invalid_topic = 17,
  not_enough_replicas = 19,
  not_enough_replicas_after_append = 20,
  invalid_required_acks = 21,
  illegal_generation = 22,
  inconsistent_group_protocol = 23,
  invalid_group_id = 24,
  unknown_member_id = 25,
  invalid_session_timeout = 26,
  rebalance_in_progress = 27,
  invalid_commit_offset_size = 28,
  invalid_timestamp = 32,
  unsupported_version = 35,
  topic_already_exists = 36,
  invalid_partitions = 37,
  invalid_replication_factor = 38,
  invalid_replica_assignment = 39,
  invalid_config = 40,
  not_controller = 41,
  invalid_request = 42,
  unsupported_for_message_format = 43,
  policy_violation = 44,
  out_of_order_sequence_number = 45,
  invalid_producer_epoch = 47,
  invalid_txn_state = 48,
  invalid_producer_id_mapping = 49,
  invalid_transaction_timeout = 50,
  concurrent_transactions = 51,
  transaction_coordinator_fenced = 52,
  transactional_id_authorization_failed = 53,
  operation_not_attempted = 55,
  kafka_storage_error = 56,
  log_dir_not_found = 57,
  non_empty_group = 68,
  group_id_not_found = 69,
  fetch_session_id_not_found = 70,
  invalid_fetch_session_epoch = 71,
  fenced_leader_epoch = 74,
  unknown_leader_epoch = 75,
  unsupported_compression_type = 76,
  offset_not_available = 78,
  member_id_required = 79,
  preferred_leader_not_available = 80,
  group_max_size_reached = 81,
  fenced_instance_id = 82,
  eligible_leaders_not_available = 83,
  election_not_needed = 84,
  no_reassignment_in_progress = 85,
  group_subscribed_to_topic = 86,
  invalid_record = 87,
  unstable_offset_commit = 88,
  throttling_quota_exceeded = 89,
  producer_fenced = 90,
  invalid_update_version = 95,
  unknown_topic_id = 100,
  broker_id_not_registered = 102,
  transactional_id_not_found = 105,
  fetch_session_topic_id_error = 106,
  fenced_member_epoch = 110,
  unreleased_instance_id = 111,
  unsupported_assignor = 112,
  stale_member_epoch = 113,
  unsupported_endpoint_type = 115,
  transaction_abortable = 120,
  invalid_regular_expression = 128,
};

constexpr std::int16_t to_wire(ErrorCode code) { return static_cast<std::int16_t>(code); }

// What a client is told. Everything that may pass by itself gets a code that clients retry.
constexpr ErrorCode to_error_code(Errc code) {
  switch (code) {
    case Errc::truncated: return ErrorCode::corrupt_message;
    case Errc::malformed: return ErrorCode::invalid_record;
    case Errc::unsupported: return ErrorCode::unsupported_for_message_format;
    case Errc::too_large: return ErrorCode::message_too_large;
    case Errc::corrupt: return ErrorCode::corrupt_message;
    case Errc::full: return ErrorCode::kafka_storage_error;
    case Errc::not_found: return ErrorCode::unknown_topic_or_partition;
    case Errc::already_exists: return ErrorCode::topic_already_exists;
    case Errc::out_of_range: return ErrorCode::offset_out_of_range;
    case Errc::not_leader: return ErrorCode::not_leader_or_follower;
    case Errc::fenced: return ErrorCode::kafka_storage_error;
    case Errc::io: return ErrorCode::kafka_storage_error;
    case Errc::invalid_argument: return ErrorCode::invalid_request;
    case Errc::out_of_order: return ErrorCode::out_of_order_sequence_number;
    case Errc::duplicate: return ErrorCode::none;
    case Errc::invalid_timestamp: return ErrorCode::invalid_timestamp;
    case Errc::stale_epoch: return ErrorCode::invalid_producer_epoch;
    case Errc::closed: return ErrorCode::not_leader_or_follower;
    case Errc::timed_out: return ErrorCode::request_timed_out;
    case Errc::no_space: return ErrorCode::kafka_storage_error;
    case Errc::unsupported_codec: return ErrorCode::unsupported_compression_type;
    case Errc::wrong_transaction: return ErrorCode::invalid_txn_state;
    case Errc::coordinator_fenced: return ErrorCode::transaction_coordinator_fenced;
    // As Kafka says to producers that shall try again: it makes no client look for a new leader.
    case Errc::over_limit: return ErrorCode::not_enough_replicas;
  }
  return ErrorCode::unknown_server_error;
}

}  // namespace tailrace::kafka
