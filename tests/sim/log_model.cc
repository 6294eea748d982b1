#include "log_model.h"

#include <algorithm>

#include "record/batch_check.h"
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
      const bool says_gap = was_compacted && view->header.record_count == 0;
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

// What a compaction may leave of a batch: some of its records, as they were.
bool LogModel::is_rest_of(const record::BatchView& found, const ModelBatch& given) const {
  const auto before = record::parse_header(given.bytes);
  const record::BatchHeader& after = found.header;
  const bool same_header = after.base_offset == given.base_offset &&
                           after.last_offset() + 1 == given.end_offset &&
                           after.attributes == before->attributes &&
                           after.producer_id == before->producer_id &&
                           after.producer_epoch == before->producer_epoch &&
                           after.base_sequence == before->base_sequence;
  if (!same_header || !record::crc_matches(found.bytes)) return false;
  const auto records = records_of(found);
  if (!records) return false;
  std::size_t at = 0;
  for (const ModelRecord& record : *records) {
    while (at < given.records.size() && given.records[at].offset < record.offset) ++at;
    if (at == given.records.size() || !(given.records[at] == record)) return false;
  }
  return true;
}

void LogModel::check_keys(const std::set<std::int64_t>& seen, std::int64_t end,
                          std::int64_t wall_ms, Verdicts& verdicts) const {
  struct Newest {
    ModelRecord record;
    std::int64_t older_seen = -1;
  };
  std::map<std::string, Newest> newest;
  for (const ModelBatch& batch : batches) {
    for (const ModelRecord& record : batch.records) {
      if (record.offset < log_start || record.offset >= end || record.key == "-") continue;
      // The log has another key than we were told.
      const bool is_wrong = plant_wrong_key && record.offset % 8 == 0;
      Newest& of_key = newest[is_wrong ? "other" : record.key];
      if (!of_key.record.key.empty() && seen.contains(of_key.record.offset)) {
        of_key.older_seen = of_key.record.offset;
      }
      of_key.record = record;
    }
  }
  for (const auto& [name_of_key, found] : newest) {
    const ModelRecord& record = found.record;
    if (seen.contains(record.offset)) continue;
    if (record.value != "-") {
      verdicts.broken("latest_of_key_stays", "{}: the newest record of key {}, at {}, is gone",
                      name(), name_of_key, record.offset);
    } else if (found.older_seen >= 0) {
      verdicts.broken("latest_of_key_stays",
                      "{}: key {} was deleted at {}, and is back with the record at {}", name(),
                      name_of_key, record.offset, found.older_seen);
    } else if (delete_retention_ms_least > wall_ms - record.timestamp) {
      verdicts.broken("tombstones_stay", "{}: the deletion of key {} at {} is gone after {} ms",
                      name(), name_of_key, record.offset, wall_ms - record.timestamp);
    }
  }
}

}  // namespace tailrace::sim
