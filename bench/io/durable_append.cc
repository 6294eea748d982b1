// Durable appends through the product's WAL writer (CommitLog over UringDisk): `depth` appends are
// always under way, each a batch whose frame alone has `--bytes`. Latency counts from the moment
// the append is staged to the turn in which it is durable. bench/io/run.py sets fio beside it.
//
// One line of JSON. What is not in here: sockets, the check of records, segments.
#include <fmt/format.h>

#include <deque>

#include "base/crc32c.h"
#include "disk_rig.h"
#include "log/commit_log.h"
#include "record/batch_view.h"

namespace tailrace::bench {
namespace {

constexpr std::size_t crc_pos = 17;  // in a batch

class Writer {
 public:
  Writer(const log::Limits& limits, DiskRig& rig, std::uint32_t frame_bytes)
      : rig_(rig),
        memory_(limits.cache_bytes),
        cache_(memory_.bytes(), limits.frame_bytes_max),
        commit_(limits, cache_, queue_),
        batch_(frame_bytes - log::frame_header_bytes - log::frame_entry_bytes) {
    rig.register_memory(memory_.bytes());
    record::BatchHeader header;
    header.batch_length =
        static_cast<std::int32_t>(batch_.size() - record::length_prefix_bytes);
    record::store_header(batch_, header);
    record::seal_crc(batch_);
    const FileId file = rig.zero_filled("wal", disk_block_bytes + limits.wal_bytes);
    Uuid id;
    id.bytes[0] = 1;
    commit_.start(file, id, 0, {}, {});
  }

  // Keeps `depth` appends under way for so long.
  void run(Duration duration, std::size_t depth, Histogram* latency_ns) {
    Instant now = now_instant();
    const Instant end = now + duration;
    while (now < end || !waiting_.empty()) {
      while (now < end && waiting_.size() < depth && append(now)) {
      }
      commit_.step();
      const std::size_t work =
          rig_.turn(queue_, [&](const DiskDone& done) { commit_.on_disk_done(done); });
      now = now_instant();
      take_durable(now, latency_ns);
      if (work == 0) {
        rig_.wait();
        now = now_instant();
      }
    }
  }

  std::size_t batch_bytes() const { return batch_.size(); }
  const log::CommitLog::Counters& counters() const { return commit_.counters(); }

 private:
  struct Waiting {
    std::uint64_t seq;
    Instant staged;
    log::ChunkId chunk;
  };

  bool append(Instant now) {
    const auto draft = commit_.begin(batch_.size());
    if (!draft) return false;
    std::memcpy(draft->payload.data(), batch_.data(), record::crc_start);
    const std::uint32_t crc = copy_and_crc32c(draft->payload.data() + record::crc_start,
                                              Bytes(batch_).subspan(record::crc_start));
    const auto said = load_be<std::uint32_t>(batch_.data() + crc_pos);
    TR_ASSERT(crc == said);
    record::set_base_offset(draft->payload, next_offset_);
    record::set_leader_epoch(draft->payload, 1);
    const std::uint64_t seq = commit_.finish(
        {.base_offset = next_offset_, .leader_epoch = 1, .payload_crc = crc});
    ++next_offset_;
    waiting_.push_back({seq, now, draft->chunk});
    return true;
  }

  void take_durable(Instant now, Histogram* latency_ns) {
    bool any = false;
    while (!waiting_.empty() && waiting_.front().seq <= commit_.durable_seq()) {
      const Waiting& item = waiting_.front();
      if (latency_ns != nullptr) {
        latency_ns->record(static_cast<std::uint64_t>((now - item.staged).ns));
      }
      cache_.sub_dirty(item.chunk, batch_.size());
      waiting_.pop_front();
      any = true;
    }
    if (any) commit_.trim(commit_.durable_mark());
    if (commit_.failed()) give_up("the WAL failed");
  }

  DiskRig& rig_;
  AlignedBuffer memory_;
  log::ChunkCache cache_;
  log::OpQueue queue_;
  log::CommitLog commit_;
  std::vector<std::byte> batch_;
  std::deque<Waiting> waiting_;
  std::int64_t next_offset_ = 0;
};

int run(const Arguments& arguments) {
  const std::int64_t bytes = arguments.number("--bytes", 4096);
  const std::int64_t depth = arguments.number("--depth", 1);
  const std::int64_t run_ms = arguments.number("--ms", 2000);
  const std::string sync = arguments.text("--sync", "fsync");
  log::Limits limits;
  limits.durable_writes = sync == "dsync";
  DiskRig rig(arguments.text("--dir", "."));
  Writer writer(limits, rig, static_cast<std::uint32_t>(bytes));
  writer.run(milliseconds(run_ms / 4), static_cast<std::size_t>(depth), nullptr);
  Histogram latency_ns;
  const std::uint64_t frames_before = writer.counters().frames;
  const Instant began = now_instant();
  const std::int64_t cpu_before = process_cpu_ns();
  writer.run(milliseconds(run_ms), static_cast<std::size_t>(depth), &latency_ns);
  const double spent_s = static_cast<double>((now_instant() - began).ns) / 1e9;
  const double cpu_us = static_cast<double>(process_cpu_ns() - cpu_before) / 1e3;
  const auto count = static_cast<double>(latency_ns.count());
  fmt::print("{{\"appends\": {}, \"per_s\": {:.0f}, \"mb_s\": {:.1f}, \"p50_us\": {:.1f}, "
             "\"p99_us\": {:.1f}, \"p999_us\": {:.1f}, \"max_us\": {:.1f}, \"frames\": {}, "
             "\"cpu_us_per_append\": {:.2f}}}\n",
             latency_ns.count(), count / spent_s,
             count * static_cast<double>(bytes) / spent_s / 1e6,
             to_us(latency_ns.percentile(50)), to_us(latency_ns.percentile(99)),
             to_us(latency_ns.percentile(99.9)), to_us(latency_ns.max()),
             writer.counters().frames - frames_before, cpu_us / count);
  return 0;
}

}  // namespace
}  // namespace tailrace::bench

int main(int argc, char** argv) {
  return tailrace::bench::run(tailrace::bench::Arguments(argc, argv));
}
