// Transaction: what one transactional id is in, as Kafka's coordinator sees it. Requests and the
// time go in; out comes a verdict: an error, or a record that is to be written before anybody is
// told. Nothing changes until on_written().
//
//               ┌────────────── add ──────────────┐
//               │                                 ▼
//   init ──▶ [empty] ◀─ init ─┐   add ──────▶ [ongoing] ◀─┐ add
//               │             │    │           │  │   └────┘
//               │     [complete_commit]  commit│  │abort, too late,
//               │     [complete_abort ]        │  │another producer: init
//               │        ▲         ▲           ▼  ▼
//               │        │  markers are out  [prepare_commit]
//               └────────┼─ abort (v2) ────▶ [prepare_abort ]
//                        └──────────────────────┘
//
// [dead]: expired, its tombstone is being written. [prepare_epoch_fence] is on no disk: here it
// is an abort whose record has a higher epoch, so that the producer of old is fenced.
//
// Epochs: below transaction version 2 one lasts for all transactions of a producer's life. From
// version 2 on every end of a transaction gives the next (KIP-890), so that what comes late from
// a transaction that has ended is told from what belongs to the next.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "control/transaction_records.h"
#include "kafka/errors.h"

namespace tailrace::control {

struct ProducerIdentity {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
  friend bool operator==(const ProducerIdentity&, const ProducerIdentity&) = default;
};

class Transaction {
 public:
  using State = TransactionState;
  // `error` is told at once when there is nothing to write, else when it is written.
  struct Verdict {
    kafka::ErrorCode error = kafka::ErrorCode::none;
    bool writes = false;
    bool used_spare_id = false;
  };

  // A new one; its first record is the answer to init().
  Transaction(std::int64_t producer_id, std::int32_t timeout_ms, std::int64_t now_ms);
  // As it was written.
  explicit Transaction(TransactionRecord record) : record_(std::move(record)) {}

  // `spare_id`: a producer id that nobody has, for when epochs run out; -1: there is none now.
  Verdict init(std::int32_t timeout_ms, const std::optional<ProducerIdentity>& expected,
               std::int64_t spare_id, std::int64_t now_ms);
  Verdict add(const ProducerIdentity& producer, const std::set<NamedPartition>& partitions,
              std::int16_t version, std::size_t partitions_max, std::int64_t now_ms);
  // May this producer write now? Then contains() says to which partitions.
  kafka::ErrorCode check(const ProducerIdentity& producer) const;
  bool contains(const NamedPartition& partition) const {
    return record_.partitions.contains(partition);
  }
  Verdict end(const ProducerIdentity& producer, bool is_commit, std::int16_t version,
              std::int64_t spare_id, std::int64_t now_ms);
  // It has taken too long.
  Verdict abort_late(std::int64_t now_ms) { return fence(now_ms); }
  // All markers are written.
  Verdict complete(std::int64_t now_ms);
  // Its topic is gone, so no marker is owed.
  void drop_partition(const NamedPartition& partition) { record_.partitions.erase(partition); }
  // It is to be forgotten.
  void expire();

  // After a verdict that writes: the record, and what became of it.
  const TransactionRecord& next() const { return *next_; }
  bool is_writing() const { return next_.has_value(); }
  void on_written(bool is_good);

  const TransactionRecord& record() const { return record_; }
  State state() const { return record_.state; }
  bool is_ongoing() const { return record_.state == State::ongoing; }
  // Markers are owed.
  bool is_ending() const {
    return record_.state == State::prepare_commit || record_.state == State::prepare_abort;
  }
  // Under which the producer goes on; in an ending transaction, once it has ended.
  ProducerIdentity producer() const;
  std::uint64_t memory_bytes() const;

 private:
  Verdict write(TransactionRecord record, std::int16_t last_epoch);
  Verdict end_v1(const ProducerIdentity& producer, bool is_commit, std::int64_t now_ms);
  Verdict end_v2(const ProducerIdentity& producer, bool is_commit, std::int64_t spare_id,
                 std::int64_t now_ms);
  Verdict prepare(State to, std::int16_t version, std::int64_t spare_id, std::int64_t now_ms);
  Verdict fence(std::int64_t now_ms);
  Verdict increment_epoch(TransactionRecord next, const std::optional<ProducerIdentity>& expected);
  bool is_known(const ProducerIdentity& expected) const;
  bool is_epoch_exhausted() const;

  TransactionRecord record_;
  // The epoch that the producer had before, while it may not know yet that it has another; not
  // on disk, as with Kafka.
  std::int16_t last_epoch_ = -1;
  std::optional<TransactionRecord> next_;
  std::int16_t next_last_epoch_ = -1;
  std::optional<std::int16_t> fence_epoch_;  // next_ fences with it
  bool has_failed_fence_ = false;            // the epoch was never told: not one more
};

// No client ever has the highest epoch: there must be one to fence it with.
inline constexpr std::int16_t producer_epoch_max = INT16_MAX - 1;

}  // namespace tailrace::control
