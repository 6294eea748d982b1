// A node's logs on a FakeDisk: boot, append, read, crash, boot again.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "log/boot.h"
#include "record/batch_builder.h"
#include "support/fake_disk.h"

namespace tailrace::log {

inline Limits small_limits() {
  Limits limits;
  limits.wal_bytes = 256U << 10;
  limits.frame_bytes_max = 32U << 10;
  limits.cache_bytes = 256U << 10;
  limits.dirty_bytes_max = 96U << 10;
  limits.segment_write_bytes = 8U << 10;
  limits.read_buffer_bytes = 16U << 10;
  limits.read_buffer_count = 3;
  limits.segment_writes_max = 3;
  limits.partitions_max = 32;
  limits.open_files_max = 8;
  limits.index_interval_bytes = 4096;
  limits.free_bytes_min = 0;
  limits.compaction_memory_bytes = 256U << 10;
  return limits;
}

inline PartitionKey partition_of(std::uint8_t topic, std::int32_t partition) {
  PartitionKey key;
  key.topic.bytes[0] = topic;
  key.partition = partition;
  return key;
}

inline std::uint16_t owner_by_number(const PartitionKey& key, std::uint16_t core_count) {
  return static_cast<std::uint16_t>(key.partition % core_count);
}

class LogNode {
 public:
  explicit LogNode(Limits limits = small_limits()) : limits_(limits), prng_(7, "boot") {}

  // True when it came up; why() otherwise.
  bool boot(std::uint16_t core_count = 1, bool may_format = true) {
    tags_.clear();
    logs.clear();
    memory_.clear();
    std::vector<MutableBytes> regions;
    for (std::uint16_t i = 0; i < core_count; ++i) {
      memory_.push_back(std::make_unique<AlignedBuffer>(CoreLog::memory_bytes(limits_)));
      regions.push_back(memory_.back()->bytes());
    }
    Boot boot(limits_,
              {.core_count = core_count,
               .owner_of = &owner_by_number,
               .core_memory = regions,
               .may_format = may_format,
               .list = lister_of(disk)},
              prng_);
    for (int turn = 0; turn < 100'000 && !boot.done() && !boot.failed(); ++turn) {
      boot.step(now);
      submit(boot);
      if (disk.waiting_count() > 0) boot.on_disk_done(complete(), now);
    }
    why = boot.why();
    if (!boot.done()) return false;
    EXPECT_EQ(disk.open_count(), 0u) << "boot leaves a file open";
    logs = boot.take_logs();
    return true;
  }

  CoreLog& core_of(const PartitionKey& key) {
    return *logs[owner_by_number(key, static_cast<std::uint16_t>(logs.size()))];
  }
  PartitionLog& partition(const PartitionKey& key) {
    CoreLog& core = core_of(key);
    PartitionLog* found = core.find(key);
    return found != nullptr ? *found : **core.create(key, config, now);
  }

  // One turn of each core; at most `completions` operations come back, whosever they are.
  void turn(std::size_t completions = SIZE_MAX) {
    step_all();
    for (; completions > 0 && disk.waiting_count() > 0; --completions) {
      deliver(complete());
      if (completions > 1'000'000) step_all();
    }
    step_all();
  }
  void settle() {
    for (int i = 0; i < 50; ++i) turn();
  }
  // As a thread does it: one step, then sleep until a completion or the deadline. True when
  // stopped() without any time passing.
  bool stops_at_once() {
    for (int i = 0; i < 10'000 && !logs[0]->stopped(); ++i) {
      logs[0]->step(now);
      submit(*logs[0], 0);
      if (disk.waiting_count() > 0) {
        deliver(complete());
      } else if (now.instant < logs[0]->next_deadline() && !logs[0]->stopped()) {
        return false;
      }
    }
    return logs[0]->stopped();
  }

  Result<Appended> append(const PartitionKey& key, Bytes batch) {
    return core_of(key).append(partition(key), {.batch = batch, .leader_epoch = 3}, now);
  }
  // Steps until the log takes it.
  Appended append_now(const PartitionKey& key, Bytes batch) {
    for (int i = 0; i < 1000; ++i) {
      const Result<Appended> appended = append(key, batch);
      if (appended) return *appended;
      EXPECT_EQ(appended.error().code, Errc::full);
      turn();
    }
    ADD_FAILURE() << "the log stays full";
    return {};
  }

  // All batches of [offset, durable_end), read one piece after another.
  std::vector<std::byte> read_all(const PartitionKey& key, std::int64_t offset,
                                  std::uint32_t bytes_max = 20'000) {
    std::vector<std::byte> bytes;
    CoreLog& core = core_of(key);
    PartitionLog& log = partition(key);
    while (offset < log.durable_end()) {
      const Result<ReadId> id = core.read(log, {.offset = offset,
                                                .offset_end = log.durable_end(),
                                                .bytes_max = bytes_max,
                                                .at_least_one = true});
      if (!id) {
        ADD_FAILURE() << to_string(id.error().code);
        return bytes;
      }
      for (int i = 0; i < 1000 && !core.get(*id).done; ++i) turn();
      const Read& read = core.get(*id);
      if (!read.done || !read.status || read.bytes == 0) {
        ADD_FAILURE() << "read at " << offset << ": "
                      << (read.status ? "nothing" : to_string(read.status.error().code));
        core.release_read(*id);
        return bytes;
      }
      for (const Bytes piece : read.pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
      Bytes rest = Bytes(bytes);
      offset = last_offset(rest) + 1;
      core.release_read(*id);
      std::array<ReadId, 8> done;
      while (core.take_reads_done(done) > 0) {
      }
    }
    return bytes;
  }
  static std::int64_t last_offset(Bytes bytes) {
    std::int64_t last = -1;
    while (!bytes.empty()) {
      const auto view = record::parse_batch(bytes);
      if (!view) return last;
      last = view->header.last_offset();
      bytes = bytes.subspan(view->bytes.size());
    }
    return last;
  }

  void crash(Prng& prng) {
    disk.crash(prng);  // Before the memory of what is under way is gone.
    tags_.clear();
    logs.clear();
  }

  // From the next boot on.
  void set_limits(const Limits& limits) { limits_ = limits; }

  test::FakeDisk disk;
  PartitionConfig config;
  Now now{.instant = {1'000'000'000}, .wall_ms = 1'700'000'000'000};
  std::vector<std::unique_ptr<CoreLog>> logs;
  std::string why;
  Prng* reorder = nullptr;  // completions come in this order

 private:
  void step_all() {
    for (std::size_t i = 0; i < logs.size(); ++i) {
      logs[i]->step(now);
      submit(*logs[i], i);
    }
  }
  // The cores share the disk, so their tags are told apart here.
  template <class Log>
  void submit(Log& log, std::size_t owner = SIZE_MAX) {
    for (const DiskClass disk_class : disk_classes) {
      // What is offered changes while it is taken (Boot shows two queues as one).
      while (!log.ops(disk_class).empty()) {
        DiskOp op = log.ops(disk_class).front();
        log.ops_taken(disk_class, 1);
        if (owner != SIZE_MAX) {
          tags_[++last_tag_] = {owner, op.tag};
          op.tag = last_tag_;
        }
        disk.submit({&op, 1});
      }
    }
  }
  void deliver(const DiskDone& done) {
    const auto [owner, tag] = tags_.at(done.tag);
    tags_.erase(done.tag);
    logs[owner]->on_disk_done({.tag = tag, .result = done.result}, now);
  }
  DiskDone complete() {
    return reorder == nullptr ? disk.complete(0) : disk.complete_any(*reorder);
  }

  Limits limits_;
  std::map<std::uint64_t, std::pair<std::size_t, std::uint64_t>> tags_;
  std::uint64_t last_tag_ = 0;
  Prng prng_;
  std::vector<std::unique_ptr<AlignedBuffer>> memory_;
};

// Batches whose records are their own names, so that a mix-up shows.
class BatchMaker {
 public:
  Bytes make(const std::string& text, int record_count = 1,
             std::int64_t timestamp_ms = 1'700'000'000'000, record::BatchHeader header = {}) {
    builder_.start(header);
    for (int i = 0; i < record_count; ++i) {
      EXPECT_TRUE(builder_.add({.timestamp = timestamp_ms + i,
                                .key = std::string_view(text),
                                .value = std::string_view(text)}));
    }
    return *builder_.finish();
  }

 private:
  record::BatchBuilder builder_{1U << 20};
};

}  // namespace tailrace::log
