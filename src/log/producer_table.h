// ProducerTable: what is known of a partition's idempotent producers (KIP-98): for each the epoch
// and its last five batches, which is how far Kafka's clients send ahead.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "record/batch_view.h"

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
};

class ProducerTable {
 public:
  ProducerTable() = default;
  ProducerTable(const ProducerTable&) = delete;  // Producers point at each other.
  ProducerTable& operator=(const ProducerTable&) = delete;

  // What a batch with a producer id is. `duplicate` comes with the batch it repeats.
  // Errors: out_of_order (a gap, or older than five batches), stale_epoch (an older epoch).
  // A new producer may begin anywhere (its state may have expired); a new epoch begins at 0.
  struct Verdict {
    bool duplicate = false;
    ProducerBatch original;
  };
  Result<Verdict> check(const record::BatchHeader& batch) const;
  // The batch was given `base_offset` and staged. Counts it even if a check would refuse it
  // (replay and replication follow the leader).
  void on_batch(const record::BatchHeader& batch, std::int64_t base_offset, std::int64_t wall_ms);

  // The batch is the newest of a producer that is known.
  bool ends_with(const record::BatchHeader& batch) const;

  std::size_t size() const { return producers_.size(); }
  // Forgets producers last seen before `wall_ms`; returns how many.
  std::size_t expire(std::int64_t wall_ms);
  // Forgets the one that has been silent longest; for the core's bound on producers.
  void drop_oldest();
  // Batches that start at or behind `end_offset` did not happen. A producer of which no batch is
  // left is forgotten, so it may begin anywhere.
  void truncate(std::int64_t end_offset);

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
    std::int16_t epoch = -1;
    std::uint8_t batch_count = 0;
    std::array<Batch, ProducerState::batches_max> batches{};  // oldest first
  };
  static ProducerBatch unpacked(const Batch& batch);
  static void add_batch(Producer& producer, const Batch& batch);
  Producer& find_or_add(std::int64_t producer_id);  // and makes it the newest
  void unlink(Producer& producer);
  void forget(Producer& producer);

  std::unordered_map<std::int64_t, Producer> producers_;  // by producer id
  Producer* newest_ = nullptr;
  Producer* oldest_ = nullptr;
};

}  // namespace tailrace::log
