// A WAL on a disk in memory for the tests of its writer and its scanner.
#pragma once

#include <memory>
#include <vector>

#include "log/commit_log.h"
#include "log/wal_format.h"
#include "log/wal_scanner.h"
#include "support/fake_disk.h"
#include "support/raw_batch.h"

namespace tailrace::log {

inline constexpr const char* wal_name = "wal/0.wal";

inline Limits wal_limits() {
  Limits limits;
  limits.wal_bytes = 256U << 10;
  limits.frame_bytes_max = 32U << 10;
  limits.frame_entries_max = 16;
  limits.frames_in_flight_max = 4;
  limits.cache_bytes = 256U << 10;
  return limits;
}

inline PartitionKey some_key() {
  PartitionKey key{.partition = 1, .incarnation = 1};
  key.topic.bytes.fill(3);
  return key;
}

// What a recovery found.
struct Recovered {
  WalScanner::State state = WalScanner::State::reading;
  WalMark mark;
  std::uint64_t found_seq = 0;
  std::int32_t error_number = 0;
  std::vector<std::int64_t> offsets;  // of the batches, in order
  std::vector<std::uint64_t> seqs;
};

inline Recovered recover(test::FakeDisk& disk, const Limits& limits, const WalMark& from,
                         Prng* order = nullptr) {
  Recovered found;
  const auto format = parse_wal_format(Bytes(disk.bytes(wal_name)).first(4096));
  TR_ASSERT(format.has_value());
  OpQueue queue;
  WalScanner scanner(limits, disk.open_now(wal_name), *format, from, queue);
  while (true) {
    disk.take_all(queue);
    if (scanner.state() == WalScanner::State::frame) {
      found.seqs.push_back(scanner.header().seq);
      for (std::uint32_t i = 0; i < scanner.header().entry_count; ++i) {
        const Entry entry = frame_entry(scanner.frame(), scanner.header(), i);
        if (entry.kind == EntryKind::batch) found.offsets.push_back(entry.base_offset);
      }
      scanner.next();
    } else if (scanner.state() == WalScanner::State::reading) {
      TR_ASSERT(disk.waiting_count() > 0);
      scanner.on_disk_done(order != nullptr ? disk.complete_any(*order) : disk.complete(0));
      scanner.step();
    } else {
      break;
    }
  }
  while (!scanner.idle()) scanner.on_disk_done(disk.complete(0));
  found.state = scanner.state();
  found.mark = scanner.mark();
  found.found_seq = scanner.found_seq();
  found.error_number = scanner.error_number();
  return found;
}

// One life of a core: cache, queue and log, over a disk that outlives it.
class WalRig {
 public:
  explicit WalRig(test::FakeDisk& disk, const Limits& limits = wal_limits())
      : disk_(disk),
        limits_(limits),
        memory_(limits.cache_bytes),
        cache_(memory_.bytes(), limits.frame_bytes_max) {
    if (!disk.exists(wal_name)) {
      wal_.bytes.fill(5);
      std::vector<std::byte> bytes(4096 + limits.wal_bytes);
      store_wal_format(MutableBytes(bytes).first(4096),
                       {.wal = wal_, .ring_bytes = limits.wal_bytes});
      disk.put(wal_name, std::move(bytes));
    } else {
      wal_ = parse_wal_format(Bytes(disk.bytes(wal_name)).first(4096))->wal;
    }
  }
  void start(const WalMark& kept_from = {}, const WalMark& next = {},
             std::int64_t next_offset = 0) {
    log_ = std::make_unique<CommitLog>(limits_, cache_, queue_);
    constexpr std::uint16_t life = 7;
    log_->start(disk_.open_now(wal_name), wal_, life, kept_from, next);
    next_offset_ = next_offset;
  }

  // Stages a batch of so many record bytes at the next offset; the frame's seq, or the error.
  Result<std::uint64_t> stage(std::size_t record_bytes = 100) {
    const auto batch = test::make_raw_batch(
        {.base_offset = next_offset_, .record_bytes = record_bytes,
         .seed = static_cast<std::uint64_t>(next_offset_) + seed_salt});
    const Result<CommitLog::Draft> draft = log_->begin(batch.size());
    if (!draft) return fail(draft.error());
    std::memcpy(draft->payload.data(), batch.data(), batch.size());
    newest_ = *draft;
    const std::uint64_t seq =
        log_->finish({.kind = EntryKind::batch, .key = some_key(), .base_offset = next_offset_,
                      .payload_crc = record::parse_header(batch)->crc});
    seqs_.push_back({next_offset_++, seq});
    // The segment is not under test: a batch is clean at once, so chunks can be taken again.
    if (!keep_dirty) cache_.sub_dirty(draft->chunk, batch.size());
    return seq;
  }
  // Seals what it is time for and hands it to the disk.
  void turn() {
    log_->step();
    disk_.take_all(queue_);
  }
  void complete(std::size_t index) {
    log_->on_disk_done(disk_.complete(index));
    disk_.take_all(queue_);
  }
  void complete_kind(DiskOpKind kind) {
    const auto index = disk_.find(kind);
    ASSERT_TRUE(index.has_value());
    complete(*index);
  }
  void run() {
    for (turn(); disk_.waiting_count() > 0; turn()) complete(0);
  }
  // Offsets that were acknowledged: everything in durable frames.
  std::int64_t acked_end() const {
    std::int64_t end = seqs_.empty() ? next_offset_ : seqs_.front().first;
    for (const auto& [offset, seq] : seqs_) {
      if (seq <= log_->durable_seq()) end = offset + 1;
    }
    return end;
  }

  CommitLog& log() { return *log_; }
  ChunkCache& cache() { return cache_; }
  OpQueue& queue() { return queue_; }
  const CommitLog::Draft& newest() const { return newest_; }
  std::int64_t next_offset() const { return next_offset_; }

  bool keep_dirty = false;
  std::uint64_t seed_salt = 1;

 private:
  test::FakeDisk& disk_;
  Limits limits_;
  AlignedBuffer memory_;
  ChunkCache cache_;
  OpQueue queue_;
  Uuid wal_;
  std::unique_ptr<CommitLog> log_;
  CommitLog::Draft newest_;
  std::int64_t next_offset_ = 0;
  std::vector<std::pair<std::int64_t, std::uint64_t>> seqs_;  // offset, frame
};

}  // namespace tailrace::log
