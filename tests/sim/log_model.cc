#include "log_model.h"

#include <algorithm>

#include "record/batch_check.h"
#include "record/control_record.h"
#include "record/record_iterator.h"

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

Result<std::vector<ModelRecord>> records_of(const record::BatchView& batch) {
  static record::BatchChecker checker(1U << 20);
  std::vector<ModelRecord> records;
  const auto plain = checker.plain_records(batch);
  if (!plain) return fail(plain.error());
  record::RecordIterator iterator{Bytes(*plain)};
  const auto text = [](const std::byte* at, std::int32_t size) {
    if (size < 0) return std::string("-");
    return "k" + std::string(reinterpret_cast<const char*>(at), static_cast<std::size_t>(size));
  };
  for (std::int32_t i = 0; i < batch.header.record_count; ++i) {
    const auto record = iterator.next();
    if (!record) return fail(record.error());
    records.push_back({batch.header.base_offset + record->offset_delta,
                       batch.header.base_timestamp + record->timestamp_delta,
                       text(record->key, record->key_size),
                       text(record->value, record->value_size)});
  }
  if (const auto ended = iterator.finish(); !ended) return fail(ended.error());
  return records;
}

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

bool ModelTransactions::is_aborted(const ModelBatch& batch) const {
  const auto header = *record::parse_header(batch.bytes);
  if (!header.is_transactional() || header.is_control()) return false;
  return std::any_of(aborted.begin(), aborted.end(), [&](const log::AbortedTransaction& one) {
    return one.producer_id == header.producer_id && one.first_offset <= batch.base_offset &&
           batch.base_offset < one.last_offset;
  });
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
    if (is_told) found.aborted.push_back({producer_id, begun->second, batch.base_offset, -1});
    open.erase(begun);
  }
  for (const auto& [producer_id, begin] : open) {
    found.stable_end = std::min(found.stable_end, begin);
  }
  found.stable_end = std::max(found.stable_end, log_start);
  return found;
}

void LogModel::check_transactions(const log::PartitionLog& partition, Plant plant,
                                  Verdicts& verdicts) {
  const std::int64_t durable_end = partition.durable_end();
  const ModelTransactions expected = transactions(durable_end);
  const std::int64_t stable_end =
      plant == Plant::pass_undecided ? durable_end : partition.stable_end();
  if (stable_end != expected.stable_end) {
    verdicts.broken("stable_end", "{}: the stable end is {}, by its batches it is {}; durable {}",
                    name(), stable_end, expected.stable_end, durable_end);
  }
  std::vector<log::AbortedTransaction> told;
  for (const log::AbortedTransaction& one : partition.transactions().aborted()) {
    if (one.last_offset >= durable_end) continue;
    told.push_back({one.producer_id, one.first_offset, one.last_offset, -1});
  }
  if (plant == Plant::forget_aborted && !told.empty()) told.pop_back();
  if (plant == Plant::keep_aborted) {
    std::erase_if(told_ever, [&](const auto& one) { return one.last_offset >= durable_end; });
    const std::int64_t known = told_ever.empty() ? -1 : told_ever.back().last_offset;
    for (const log::AbortedTransaction& one : told) {
      if (one.last_offset > known) told_ever.push_back(one);
    }
  }
  const std::int64_t first_told = told.empty() ? INT64_MAX : told.front().last_offset;
  const std::int64_t closed_end =
      was_compacted && !partition.segments().empty() ? partition.segments().back().base_offset : 0;
  std::vector<log::AbortedTransaction> due;
  for (const log::AbortedTransaction& one : expected.aborted) {
    if (one.last_offset >= std::min(first_told, closed_end)) due.push_back(one);
  }
  if (told != due) {
    verdicts.broken("aborted_are_told", "{}: {} aborted transactions are told, {} are there",
                    name(), told.size(), due.size());
  }
  if (first_told < partition.clean_passes().end_offset()) {
    verdicts.broken("aborted_are_told", "{}: the transaction that ends at {} is told, of which "
                                        "nothing is left", name(), first_told);
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
  while (!batches.empty() && batches.back().base_offset >= end_found) {
    lost_producers.insert(record::parse_header(batches.back().bytes)->producer_id);
    batches.pop_back();
  }
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
    // Of a segment that was compacted the newest record may have gone before.
    const bool age = retention_ms_least != INT64_MAX &&
                     (was_compacted || newest + retention_ms_least < wall_ms);
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
      const bool is_behind = expected >= 0 ? base < expected : view->header.last_offset() < offset;
      const bool is_beyond = expected >= 0 ? base > expected : base > offset;
      if (is_behind || (is_beyond && !was_compacted)) {
        verdicts.broken("offsets_dense", "{}: a read at {} gives [{}, {}] where {} was due", name(),
                        offset, base, view->header.last_offset(), expected);
        return offset;
      }
      expected = view->header.last_offset() + 1;
      const ModelBatch* given = find(base);
      const bool says_gap = was_compacted && view->header.record_count == 0 &&
                            !view->header.has_producer();
      if (says_gap || (was_compacted && given != nullptr && is_rest_of(*view, *given))) {
        piece = piece.subspan(view->bytes.size());
        continue;
      }
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

// What a compaction may leave of a batch: some of its records, as they were, or none, and of a
// marker that it waits to go.
bool LogModel::is_rest_of(const record::BatchView& found, const ModelBatch& given) const {
  const auto before = record::parse_header(given.bytes);
  const record::BatchHeader& after = found.header;
  int may_differ = after.record_count == 0 ? record::codec_mask : 0;
  if (after.is_control()) may_differ |= record::delete_horizon_bit;
  const bool same_header = after.base_offset == given.base_offset &&
                           after.last_offset() + 1 == given.end_offset &&
                           ((after.attributes ^ before->attributes) & ~may_differ) == 0 &&
                           after.producer_id == before->producer_id &&
                           after.producer_epoch == before->producer_epoch &&
                           after.base_sequence == before->base_sequence;
  if (!same_header || !record::crc_matches(found.bytes)) return false;
  const auto records = records_of(found);
  if (!records) return false;
  std::size_t at = 0;
  std::int64_t newest = INT64_MIN;
  for (const ModelRecord& record : *records) {
    newest = std::max(newest, record.timestamp);
    while (at < given.records.size() && given.records[at].offset < record.offset) ++at;
    if (at == given.records.size() || !(given.records[at] == record)) return false;
  }
  return records->empty() || after.max_timestamp == newest;
}

void LogModel::check_keys(const std::set<std::int64_t>& seen, std::int64_t end,
                          std::int64_t wall_ms, Verdicts& verdicts) const {
  struct Newest {
    ModelRecord record;
    std::int64_t older_seen = -1;
  };
  std::map<std::string, Newest> newest;
  const ModelTransactions ended = transactions(end);
  for (const ModelBatch& batch : batches) {
    // What was aborted hides nothing, and may go at any time.
    if (record::parse_header(batch.bytes)->is_control() || ended.is_aborted(batch)) continue;
    for (const ModelRecord& record : batch.records) {
      if (record.offset < log_start || record.offset >= end || record.key == "-") continue;
      // The log has another key than we were told.
      const std::string told = plant_wrong_key && record.offset % 8 == 0 ? "other" : record.key;
      Newest& of_key = newest[told];
      if (!of_key.record.key.empty() && seen.contains(of_key.record.offset)) {
        of_key.older_seen = of_key.record.offset;
      }
      of_key.record = record;
    }
  }
  for (const auto& [which, found] : newest) {
    const ModelRecord& record = found.record;
    if (seen.contains(record.offset)) continue;
    if (record.value != "-") {
      verdicts.broken("latest_of_key_stays", "{}: the newest record of key {}, at {}, is gone",
                      name(), which, record.offset);
    } else if (found.older_seen >= 0) {
      verdicts.broken("latest_of_key_stays",
                      "{}: key {} was deleted at {}, and is back with the record at {}", name(),
                      which, record.offset, found.older_seen);
    } else if (delete_retention_ms_least > wall_ms - record.timestamp) {
      verdicts.broken("tombstones_stay", "{}: the deletion of key {} at {} is gone after {} ms",
                      name(), which, record.offset, wall_ms - record.timestamp);
    }
  }
}

}  // namespace tailrace::sim
