// ProducerTable: what is known of a partition's idempotent producers (KIP-98): for each the epoch,
// its last five batches, which is how far Kafka's clients send ahead, and its transaction.
//
//   a transactional batch opens the transaction ─▶ more of them ─▶ a marker ends it
//
// The coordinator of a transaction knows which partitions it is in; a batch that came late must not
// open one here that no marker will ever end (KIP-890). So before a first batch the coordinator is
// asked, and a guard, taken before the question, tells whether a marker has come since.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "record/batch_view.h"
#include "record/control_record.h"

namespace tailrace::log {

struct ProducerBatch {
  std::int32_t first_sequence = -1;
  std::int32_t last_sequence = -1;
  std::int64_t base_offset = -1;
  std::int64_t last_offset = -1;
  std::int64_t timestamp_ms = -1;  // max timestamp of the batch
};

struct ProducerState {
  static constexpr std::size_t batches_max = 5;
  std::int64_t producer_id = -1;
  std::int16_t epoch = -1;
  std::uint8_t batch_count = 0;
  std::array<ProducerBatch, batches_max> batches{};  // oldest first
  std::int64_t last_seen_ms = 0;                      // wall clock of the last append
  std::int32_t coordinator_epoch = -1;                // of its newest marker
  std::int64_t transaction_start = -1;                // of the open one; -1: none is open
};

class ProducerTable {
 public:
  ProducerTable() = default;
  ProducerTable(const ProducerTable&) = delete;  // Producers point at each other.
  ProducerTable& operator=(const ProducerTable&) = delete;

  // What a batch with a producer id is. `duplicate` comes with the batch it repeats.
  // Errors: out_of_order (a gap, or older than five batches), stale_epoch (an older epoch),
  // wrong_transaction (not transactional, with one open).
  // A new producer may begin anywhere (its state may have expired) unless `must_begin`, which
  // holds for those that get a new epoch with each transaction; a new epoch begins at 0.
  // A batch without sequences, which only a coordinator makes, is of any.
  struct Verdict {
    bool duplicate = false;
    ProducerBatch original;
  };
  Result<Verdict> check(const record::BatchHeader& batch, bool must_begin = false) const;
  // What a marker is; true: it repeats one, and there is nothing to append. From transaction
  // version 2 on each transaction ends with an epoch of its own.
  // Errors: stale_epoch, coordinator_fenced.
  Result<bool> check_marker(const record::BatchHeader& batch,
                            const record::TransactionMarker& marker,
                            std::int8_t transaction_version) const;
  // The batch was given `base_offset` and staged. Counts it even if a check would refuse it
  // (replay and replication follow the leader).
  void on_batch(const record::BatchHeader& batch, std::int64_t base_offset, std::int64_t wall_ms);
  // The same for a marker. Returns where the transaction that it ended began; -1: none was open.
  std::int64_t on_marker(const record::BatchHeader& batch, const record::TransactionMarker& marker,
                         std::int64_t wall_ms);

  // The batch waits for its verification, which may fail: then those that its producer sent behind
  // it must not pass for the first one of a new producer. Until it comes again, or a marker does.
  void expect(const record::BatchHeader& batch);

  // May a transactional batch be appended without asking the coordinator?
  bool in_transaction(std::int64_t producer_id, std::int16_t epoch) const;
  bool has_open(std::int64_t producer_id) const;
  // Taken before the coordinator is asked; holds until a marker comes that may have ended the
  // batch's transaction. With an epoch for each transaction that is one of a later epoch than the
  // batch (which check() refuses): the markers of the transaction before may still be coming.
  std::uint64_t guard() const { return markers_; }
  bool guard_holds(const record::BatchHeader& batch, std::uint64_t guard,
                   bool epoch_per_transaction) const;
  // Where the oldest open transaction begins; INT64_MAX when none is open.
  std::int64_t first_open() const {
    return first_open_ == nullptr ? INT64_MAX : first_open_->transaction_start;
  }
  std::size_t open_count() const { return open_count_; }

  // The batch is the newest with sequences of a producer that is known, or, in an epoch without
  // any, the newest at all, a marker included: what the log tells of the producer's state.
  bool ends_with(const record::BatchHeader& batch) const;

  std::size_t size() const { return producers_.size(); }
  // Forgets producers last seen before `wall_ms`; returns how many. Never one with an open
  // transaction, which holds back all readers of committed records: its marker will come.
  std::size_t expire(std::int64_t wall_ms);
  // Forgets the one that has been silent longest; for the core's bound on producers. False when
  // all have open transactions.
  bool drop_oldest();
  // Batches that start at or behind `end_offset` did not happen. A producer of which no batch is
  // left may begin anywhere.
  void truncate(std::int64_t end_offset);
  // Its marker was truncated.
  void reopen(std::int64_t producer_id, std::int64_t transaction_start);

  std::vector<ProducerState> snapshot() const;  // by producer id
  void restore(const std::vector<ProducerState>& states);

 private:
  // Sequences count records as offsets do, so the last sequence and the last offset of a batch
  // both follow from one delta: 24 bytes a batch instead of 40.
  struct Batch {
    std::int64_t base_offset = -1;
    std::int64_t timestamp_ms = -1;
    std::int32_t first_sequence = -1;
    std::int32_t last_delta = 0;
  };
  struct Producer {
    std::int64_t producer_id = -1;
    Producer* newer = nullptr;  // neighbours in the order of their last batches
    Producer* older = nullptr;
    std::int64_t last_seen_ms = 0;
    std::int64_t transaction_start = -1;
    Producer* opened_before = nullptr;  // neighbours in the order of transaction_start
    Producer* opened_after = nullptr;
    std::uint64_t marker = 0;           // which of markers_ was its newest
    std::int64_t newest_offset = -1;    // of its batches and markers; -1: unknown since a restart
    std::int32_t coordinator_epoch = -1;
    std::int16_t epoch = -1;
    bool may_begin_anywhere = false;    // with no batch: what it sent was truncated
    std::uint8_t batch_count = 0;
    std::array<Batch, ProducerState::batches_max> batches{};  // oldest first
  };
  struct Expected {
    std::int32_t sequence = 0;
    std::int16_t epoch = 0;
  };
  // Few, and only for a moment; beyond this some are forgotten, which helps nobody to overtake but
  // a producer that has reached all these at once.
  static constexpr std::size_t expected_max = 1024;
  bool overtakes_expected(const record::BatchHeader& batch) const;
  static ProducerBatch unpacked(const Batch& batch);
  static void add_batch(Producer& producer, const Batch& batch);
  Producer& find_or_add(std::int64_t producer_id);  // and makes it the newest
  void unlink(Producer& producer);
  void forget(Producer& producer);
  void set_epoch(Producer& producer, std::int16_t epoch);
  void open(Producer& producer, std::int64_t transaction_start);
  void close(Producer& producer);

  std::unordered_map<std::int64_t, Producer> producers_;  // by producer id
  std::unordered_map<std::int64_t, Expected> expected_;   // likewise, of unknown producers
  Producer* newest_ = nullptr;
  Producer* oldest_ = nullptr;
  Producer* first_open_ = nullptr;
  Producer* last_open_ = nullptr;
  std::size_t open_count_ = 0;
  std::uint64_t markers_ = 0;           // since start
  std::uint64_t marker_forgotten_ = 0;  // the newest of producers that were forgotten
};

}  // namespace tailrace::log
