// The records of __transaction_state, in Kafka's own format, so that Kafka's tools can read the
// topic and a topic of Kafka's can be read here.
//
//   key: version i16 (0), transactional id
//   value: version i16, content; a record without value takes back what was under its key
//
// Written are values of version 1, as Kafka 4 does; version 0 is read as well.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "control/group_records.h"

namespace tailrace::control {

// The numbers are those on disk. What leads where: control/transaction.h.
enum class TransactionState : std::int8_t {
  empty = 0,
  ongoing = 1,
  prepare_commit = 2,
  prepare_abort = 3,
  complete_commit = 4,
  complete_abort = 5,
  dead = 6,
  prepare_epoch_fence = 7,
};
// As clients are told; the other way around for filters.
std::string_view to_text(TransactionState state);
std::optional<TransactionState> transaction_state_of(std::string_view text);

struct NamedPartition {
  std::string topic;
  std::int32_t partition = -1;
  friend auto operator<=>(const NamedPartition&, const NamedPartition&) = default;
};

struct TransactionRecord {
  std::int64_t producer_id = -1;
  std::int64_t previous_producer_id = -1;  // before the newest change
  std::int64_t next_producer_id = -1;      // from the end of this transaction on
  std::int16_t producer_epoch = -1;
  std::int32_t timeout_ms = 0;
  TransactionState state = TransactionState::empty;
  std::set<NamedPartition> partitions;
  std::int64_t update_ms = -1;
  std::int64_t start_ms = -1;
  std::int16_t client_version = 0;  // 2: the epoch grows with every transaction (KIP-890)
  friend bool operator==(const TransactionRecord&, const TransactionRecord&) = default;
};

ByteString encode_transaction_key(std::string_view transactional_id);
ByteString encode_transaction_value(const TransactionRecord& record);

// Any bytes may be given. Errors: truncated, malformed; unsupported for a newer version.
Result<std::string_view> parse_transaction_key(Bytes key);
Result<TransactionRecord> parse_transaction_value(Bytes value);

}  // namespace tailrace::control
