// Limits of a core's log, filled in from the hardware profile.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/aligned.h"
#include "base/time.h"

namespace tailrace::log {

struct Limits {
  // The write-ahead log (WAL) ring, without its format block. A multiple of 4 KiB.
  std::uint64_t wal_bytes = std::uint64_t{256} << 20;
  // The largest group commit: header, payloads, entry table and padding. Also a chunk's size.
  std::uint32_t frame_bytes_max = 2U << 20;
  std::uint32_t frame_entries_max = 8192;
  std::uint32_t frames_in_flight_max = 4;
  // True: RWF_DSYNC on each write; false: writes, then one fdatasync.
  bool durable_writes = false;

  // Recent bytes kept in memory, dirty ones included.
  std::uint64_t cache_bytes = std::uint64_t{64} << 20;
  // Bytes of the WAL that a restart may have to replay: the back-pressure on producers.
  std::uint64_t dirty_bytes_max = std::uint64_t{32} << 20;
  // Batches that can be found in memory.
  std::uint32_t cached_batches_max = 1U << 16;

  std::uint32_t segment_write_bytes = 256U << 10;
  std::uint32_t segment_writes_max = 8;
  std::uint32_t read_buffer_bytes = 1U << 20;
  std::uint32_t read_buffer_count = 8;
  std::uint32_t reads_max = 1024;  // reads under way or held, hot ones included

  std::uint32_t partitions_max = 4096;
  // Those with an open transaction are kept beyond this.
  std::uint32_t producers_max = 16384;
  // Open and aborted transactions remembered, all partitions together. None is ever forgotten
  // before its records are gone, by retention or compaction: beyond this no further one may begin.
  std::uint32_t transactions_max = 65536;
  std::uint32_t open_files_max = 4096;
  std::uint32_t index_interval_bytes = 64U << 10;

  // Compaction: memory for the keys of one pass, 32 to 64 bytes each; what is read and written by
  // it per second at the most; how often it is looked for something to do.
  std::uint64_t compaction_memory_bytes = std::uint64_t{16} << 20;
  std::uint64_t compaction_bytes_per_second = std::uint64_t{32} << 20;
  Duration compaction_check = seconds(15);

  Duration checkpoint_interval = seconds(60);
  Duration retention_check = seconds(300);
  // A producer that has been silent for so long is forgotten (Kafka: producer.id.expiration.ms).
  Duration producer_expiry = seconds(86400);
  // With less space free, appends are refused.
  std::uint64_t free_bytes_min = std::uint64_t{64} << 20;

  // The largest batch a topic may allow: a frame less its header, one tail, two table entries.
  std::uint32_t batch_bytes_max() const {
    return frame_bytes_max - 3 * static_cast<std::uint32_t>(disk_block_bytes);
  }
  // The records of a batch may become so large when they are decompressed: so much larger than the
  // largest batch, but no more than anybody should need.
  std::uint32_t decompressed_bytes_max() const {
    constexpr std::uint64_t ratio = 128;
    constexpr std::uint64_t most = std::uint64_t{256} << 20;
    const std::uint64_t batch = batch_bytes_max();
    return static_cast<std::uint32_t>(std::max(batch, std::min(ratio * batch, most)));
  }
  // A read buffer holds the largest batch wherever in a block it starts.
  std::uint32_t read_bytes() const {
    const std::uint32_t batch = frame_bytes_max + 2 * static_cast<std::uint32_t>(disk_block_bytes);
    return read_buffer_bytes > batch ? read_buffer_bytes : batch;
  }
};

}  // namespace tailrace::log
