#include "log_model.h"

#include <algorithm>

#include "record/batch_view.h"

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
