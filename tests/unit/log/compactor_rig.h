// A partition to compact: keyed records in small segments, and what is left of them.
#pragma once

#include <set>

#include "core_log_rig.h"
#include "record/batch_filter.h"

namespace tailrace::log {

inline const PartitionKey p0 = partition_of(1, 0);

struct Kept {
  std::int64_t offset;
  std::string key;
  std::string value;  // "-": none
  friend bool operator==(const Kept&, const Kept&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Kept& kept) {
  return out << kept.offset << ' ' << kept.key << '=' << kept.value;
}

class CompactorTest : public testing::Test {
 protected:
  CompactorTest() {
    limits.compaction_check = milliseconds(10);
    limits.checkpoint_interval = seconds(3600);
    node = std::make_unique<LogNode>(limits);
    node->config.segment_bytes = 700;
    node->config.compaction = {.dirty_ratio_min = 0, .delete_retention_ms = 1000};
    node->config.rules.keys_required = true;
    EXPECT_TRUE(node->boot()) << node->why;
  }

  struct Options {
    record::Codec codec = record::Codec::none;
    std::int64_t producer_id = -1;
    std::int32_t sequence = -1;
  };
  Appended write(const std::vector<std::pair<std::string, std::string>>& records,
                 const Options& options) {
    record::BatchBuilder builder(16'000);
    builder.start({.producer_id = options.producer_id,
                   .producer_epoch = static_cast<std::int16_t>(options.producer_id >= 0 ? 0 : -1),
                   .base_sequence = options.sequence});
    for (const auto& [key, value] : records) {
      record::NewRecord record{.timestamp = node->now.wall_ms, .key = std::string_view(key),
                               .value = std::string_view(value)};
      if (value == "-") record.value = nullptr;
      EXPECT_TRUE(builder.add(record));
    }
    return node->append_now(p0, *builder.finish(options.codec));
  }
  Appended write(const std::vector<std::pair<std::string, std::string>>& records) {
    return write(records, {});
  }
  // Closes the segment in hand and lets a checkpoint be made.
  void roll_and_checkpoint() {
    write({{"end", std::string(700, 'x')}});
    checkpoint();
  }
  void checkpoint() {
    node->settle();
    const std::uint64_t before = node->logs[0]->counters().checkpoints.load();
    for (int i = 0; i < 200 && node->logs[0]->counters().checkpoints.load() == before; ++i) {
      node->now.instant = node->now.instant + limits.checkpoint_interval;
      node->settle();
    }
    EXPECT_GT(node->logs[0]->counters().checkpoints.load(), before);
  }
  std::uint64_t passes() { return node->logs[0]->counters().compactions.load(); }
  // The topic is compacted from now on.
  void allow() {
    node->config.compaction.compacts = true;
    node->core_of(p0).set_config(log(), node->config);
  }
  void compact() {
    allow();
    wait();
  }
  void wait() {
    for (int i = 0; i < 100; ++i) {
      node->now.instant = node->now.instant + milliseconds(20);
      node->turn();
    }
    EXPECT_TRUE(node->logs[0]->compactor().idle());
  }
  PartitionLog& log() { return node->partition(p0); }

  std::vector<Kept> records(std::int64_t from = 0) {
    std::vector<Kept> kept;
    const auto bytes = node->read_all(p0, from);
    Bytes rest = bytes;
    record::BatchChecker checker(1 << 20);
    record::BatchFilter filter(checker, 1 << 20);
    std::int64_t offset = from;
    while (!rest.empty()) {
      const auto batch = record::parse_batch(rest);
      EXPECT_TRUE(batch && record::crc_matches(batch->bytes));
      if (!batch) break;
      EXPECT_GE(batch->header.last_offset(), offset);
      offset = batch->header.last_offset() + 1;
      record::RecordIterator iterator(*checker.plain_records(*batch));
      for (std::int32_t i = 0; i < batch->header.record_count; ++i) {
        const auto record = iterator.next();
        EXPECT_TRUE(record);
        const auto text = [](const std::byte* at, std::int32_t size) {
          return size < 0 ? std::string("-")
                          : std::string(reinterpret_cast<const char*>(at),
                                        static_cast<std::size_t>(size));
        };
        kept.push_back({batch->header.base_offset + record->offset_delta,
                        text(record->key, record->key_size),
                        text(record->value, record->value_size)});
      }
      rest = rest.subspan(batch->bytes.size());
    }
    std::erase_if(kept, [](const Kept& k) { return k.key == "end"; });
    return kept;
  }
  // One read while other things go on, an operation at a time; returns the offset behind it.
  std::int64_t read_on(std::int64_t at, std::set<std::string>& keys) {
    CoreLog& core = node->core_of(p0);
    const auto id = core.read(log(), {.offset = at, .offset_end = log().durable_end(),
                                      .bytes_max = 300, .at_least_one = true});
    EXPECT_TRUE(id);
    for (int i = 0; i < 5000 && !core.get(*id).done; ++i) {
      node->now.instant = node->now.instant + milliseconds(1);
      node->turn(1);
    }
    const Read& read = core.get(*id);
    EXPECT_TRUE(read.done && read.status && !read.pieces.empty());
    std::vector<std::byte> bytes;
    for (const Bytes piece : read.pieces) bytes.insert(bytes.end(), piece.begin(), piece.end());
    core.release_read(*id);
    for (Bytes rest = bytes; !rest.empty();) {
      const auto batch = *record::parse_batch(rest);
      record::RecordIterator records(batch.records());
      for (int i = 0; i < batch.header.record_count; ++i) {
        const auto record = records.next();
        keys.emplace(reinterpret_cast<const char*>(record->key),
                     static_cast<std::size_t>(record->key_size));
      }
      at = batch.header.last_offset() + 1;
      rest = rest.subspan(batch.bytes.size());
    }
    return bytes.empty() ? INT64_MAX : at;
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    const auto entries = node->disk.list(partition_directory(p0).text());
    for (const auto& entry : *entries) {
      if (entry.name.ends_with(".log")) names.push_back(entry.name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Limits limits = small_limits();
  std::unique_ptr<LogNode> node;
  Prng prng{5};
};

}  // namespace tailrace::log
