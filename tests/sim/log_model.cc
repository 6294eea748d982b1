#include "log_model.h"

#include <algorithm>

#include "record/batch_view.h"
#include "record/control_record.h"

namespace tailrace::sim {
namespace {

// Base offset and leader epoch are the log's to give; the rest is the producer's.
constexpr std::size_t given_bytes = 16;

bool same_batch(Bytes stored, Bytes given) {
  return stored.size() == given.size() &&
         std::memcmp(stored.data() + given_bytes, given.data() + given_bytes,
                     stored.size() - given_bytes) == 0;
}

}  // namespace

std::string LogModel::name() const {
  return fmt::format("{}-{}-{}", std::string(to_string(key.topic)).substr(0, 6), key.partition,
                     key.incarnation);
}

const ModelBatch* LogModel::find(std::int64_t offset) const {
  const auto at = std::upper_bound(
      batches.begin(), batches.end(), offset,
      [](std::int64_t value, const ModelBatch& batch) { return value < batch.end_offset; });
  return at == batches.end() || offset < at->base_offset ? nullptr : &*at;
}

ModelProducer LogModel::producer(std::int64_t producer_id) const {
  ModelProducer found;
  for (const ModelBatch& batch : batches) {
    const auto header = *record::parse_header(batch.bytes);
    if (header.producer_id != producer_id) continue;
    if (header.producer_epoch != found.epoch) found.next_sequence = 0;
    found.epoch = header.producer_epoch;
    if (header.is_transactional()) found.in_transaction = !header.is_control();
    if (header.base_sequence >= 0) found.next_sequence = header.last_sequence() + 1;
  }
  return found;
}

ModelTransactions LogModel::transactions(std::int64_t durable_end) const {
  ModelTransactions found{.stable_end = durable_end};
  std::map<std::int64_t, std::int64_t> open;  // by producer: where its transaction begins
  for (const ModelBatch& batch : batches) {
    if (batch.end_offset > durable_end) break;
    const auto view = *record::parse_batch(batch.bytes);
    const std::int64_t producer_id = view.header.producer_id;
    if (!view.header.is_transactional()) continue;
    if (!view.header.is_control()) {
      open.try_emplace(producer_id, batch.base_offset);
      continue;
    }
    const auto begun = open.find(producer_id);
    if (begun == open.end()) continue;
    const bool is_told = !record::marker_of(view)->is_commit && batch.base_offset >= log_start;
    if (is_told) found.aborted.push_back({producer_id, begun->second});
    open.erase(begun);
  }
  for (const auto& [producer_id, begin] : open) {
    found.stable_end = std::min(found.stable_end, begin);
  }
  found.stable_end = std::max(found.stable_end, log_start);
  return found;
}

void LogModel::check_transactions(const log::PartitionLog& partition, Plant plant,
                                  Verdicts& verdicts) const {
  const std::int64_t durable_end = partition.durable_end();
  const ModelTransactions expected = transactions(durable_end);
  const std::int64_t stable_end =
      plant == Plant::pass_undecided ? durable_end : partition.stable_end();
  if (stable_end != expected.stable_end) {
    verdicts.broken("stable_end", "{}: the stable end is {}, by its batches it is {}; durable {}",
                    name(), stable_end, expected.stable_end, durable_end);
  }
  std::vector<log::AbortedRange> told;
  for (const log::AbortedTransaction& one : partition.transactions().aborted()) {
    if (one.last_offset < durable_end) told.push_back({one.producer_id, one.first_offset});
  }
  if (plant == Plant::forget_aborted && !told.empty()) told.pop_back();
  if (told != expected.aborted) {
    verdicts.broken("aborted_are_told", "{}: {} aborted transactions are told, {} are there",
                    name(), told.size(), expected.aborted.size());
  }
}

void LogModel::on_recovered(std::int64_t start, std::int64_t end_found, Verdicts& verdicts) {
  if (end_found < acked_end) {
    verdicts.broken("acked_is_durable", "{}: acknowledged up to {}, the log ends at {}", name(),
                    acked_end, end_found);
  }
  if (end_found > end()) {
    verdicts.broken("acked_is_durable", "{}: {} was staged, but the log ends at {}", name(), end(),
                    end_found);
  }
  while (!batches.empty() && batches.back().base_offset >= end_found) batches.pop_back();
  if (!batches.empty() && batches.back().end_offset > end_found) {
    verdicts.broken("acked_is_durable", "{}: the log ends inside a batch, at {}", name(),
                    end_found);
  }
  if (start < delete_acked) {
    verdicts.broken("delete_records_stay", "{}: deleted up to {}, the log starts at {}", name(),
                    delete_acked, start);
  }
  acked_end = std::max(acked_end, end_found);
  log_start = start;
}

void LogModel::on_log_start(std::int64_t start, std::int64_t wall_ms, Verdicts& verdicts) {
  log_start = start;
  if (start <= log_start_seen_max) return;
  log_start_seen_max = start;
  if (start > delete_to) {
    std::uint64_t left = 0;
    std::int64_t newest = -1;
    for (const ModelBatch& batch : batches) {
      if (batch.end_offset > start) {
        left += batch.bytes.size();
      } else if (batch.end_offset > delete_to) {
        newest = std::max(newest, batch.max_timestamp);
      }
    }
    const bool age = retention_ms_least != INT64_MAX && newest + retention_ms_least < wall_ms;
    const bool size = retention_bytes_least != INT64_MAX &&
                      left >= static_cast<std::uint64_t>(retention_bytes_least);
    if (!age && !size) {
      verdicts.broken("retention_keeps",
                      "{}: starts at {}, {} asked for; {} bytes left, newest gone {} at {}; "
                      "retention.ms {}, retention.bytes {}",
                      name(), start, delete_to, left, newest, wall_ms, retention_ms_least,
                      retention_bytes_least);
    }
  }
}

std::int64_t LogModel::check_batches(std::int64_t offset, std::span<const Bytes> pieces,
                                     Verdicts& verdicts) const {
  std::int64_t expected = -1;
  for (Bytes piece : pieces) {
    while (!piece.empty()) {
      const auto view = record::parse_batch(piece);
      if (!view) {
        verdicts.broken("acked_is_durable", "{}: a read at {} gives no whole batch at {}", name(),
                        offset, expected);
        return offset;
      }
      const std::int64_t base = view->header.base_offset;
      if (expected >= 0 ? base != expected : base > offset || view->header.last_offset() < offset) {
        verdicts.broken("offsets_dense", "{}: a read at {} gives [{}, {}] where {} was due", name(),
                        offset, base, view->header.last_offset(), expected);
        return offset;
      }
      expected = view->header.last_offset() + 1;
      const ModelBatch* given = find(base);
      if (given == nullptr || given->base_offset != base ||
          !same_batch(view->bytes, given->bytes)) {
        verdicts.broken("acked_is_durable", "{}: the batch at {} is not the one that was appended",
                        name(), base);
        return offset;
      }
      piece = piece.subspan(view->bytes.size());
    }
  }
  return expected < 0 ? offset : expected;
}

}  // namespace tailrace::sim
