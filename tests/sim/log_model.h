// LogModel: what one partition's log must hold, batch by batch.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkers/verdicts.h"
#include "log/partition_log.h"
#include "world.h"

namespace tailrace::sim {

struct ModelRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;
  std::string key;                // with a letter in front: "k", or "-" for none
  std::string value;              // likewise
  friend bool operator==(const ModelRecord&, const ModelRecord&) = default;
};
// Errors: a batch that cannot be taken apart.
Result<std::vector<ModelRecord>> records_of(const record::BatchView& batch);

struct ModelBatch {
  std::int64_t base_offset = -1;
  std::int64_t end_offset = -1;
  std::vector<std::byte> bytes;   // as given to append()
  std::int64_t max_timestamp = 0;
  std::vector<ModelRecord> records;
};

// What the batches of a model say of a producer, and of all transactions.
struct ModelProducer {
  std::int16_t epoch = 0;
  std::int32_t next_sequence = 0;
  bool in_transaction = false;
};
struct ModelTransactions {
  std::int64_t stable_end = 0;
  std::vector<log::AbortedTransaction> aborted;  // in the order of their markers
  bool is_aborted(const ModelBatch& batch) const;
};

struct LogModel {
  log::PartitionKey key;
  log::PartitionConfig config;
  std::deque<ModelBatch> batches;      // by offset, all that may be in the log
  std::int64_t acked_end = 0;          // everything before it was acknowledged
  std::int64_t log_start = 0;          // newest seen
  std::int64_t delete_to = 0;          // the furthest that was asked for
  std::int64_t delete_acked = 0;       // the furthest known to be durable
  std::int64_t log_start_seen_max = 0;
  std::int64_t retention_ms_least = INT64_MAX;
  std::int64_t retention_bytes_least = INT64_MAX;
  std::map<std::int64_t, std::int32_t> next_sequence;  // by producer
  std::map<std::int64_t, std::deque<ModelBatch>> sent; // by producer: its newest batches, any fate

  std::int64_t end() const { return batches.empty() ? first_offset : batches.back().end_offset; }
  std::int64_t first_offset = 0;       // where `batches` begins or would begin
  bool was_compacted = false;          // or may have been: records may be missing
  std::int64_t delete_retention_ms_least = INT64_MAX;
  std::set<std::int64_t> lost_producers;  // some of their batches were lost by a crash
  std::vector<log::AbortedTransaction> told_ever;  // with Plant::keep_aborted
  bool plant_wrong_key = false;

  const ModelBatch* find(std::int64_t offset) const;
  std::string name() const;

  ModelProducer producer(std::int64_t producer_id) const;
  // With what lies before `durable_end`; told are those with offsets from log_start on.
  ModelTransactions transactions(std::int64_t durable_end) const;
  // Does the log say the same? Of what was aborted it may have forgotten what a compaction has left
  // nothing of, and must where it knows that all was compacted.
  void check_transactions(const log::PartitionLog& partition, Plant plant, Verdicts& verdicts);

  // A restart found the log to end at `end`: later batches never were. Checks the promises.
  void on_recovered(std::int64_t log_start, std::int64_t end, Verdicts& verdicts);
  // The log says that it starts at `log_start`.
  void on_log_start(std::int64_t log_start, std::int64_t wall_ms, Verdicts& verdicts);
  // Whole batches that a read at `offset` gave. Returns the offset behind them.
  std::int64_t check_batches(std::int64_t offset, std::span<const Bytes> pieces,
                             Verdicts& verdicts) const;
  // All of the log was read, from log_start to `end`, with nothing compacted meanwhile; `seen`: the
  // offsets of the records. Of every key the newest is there; a deletion may be gone once its time
  // is over, and with it everything that it deleted.
  void check_keys(const std::set<std::int64_t>& seen, std::int64_t end, std::int64_t wall_ms,
                  Verdicts& verdicts) const;

 private:
  bool is_rest_of(const record::BatchView& found, const ModelBatch& given) const;
};

}  // namespace tailrace::sim
