// EpochTable: which leader epoch began at which offset of a partition (KIP-101, KIP-279).
#pragma once

#include <cstdint>
#include <vector>

namespace tailrace::log {

struct EpochStart {
  std::int32_t epoch = 0;
  std::int64_t start_offset = 0;
  friend bool operator==(const EpochStart&, const EpochStart&) = default;
};

class EpochTable {
 public:
  // A batch of `epoch` starts at `offset`. Epochs and offsets never go back (asserted: the caller
  // checks what comes from outside). A batch without an epoch (-1) leaves no mark.
  void on_batch(std::int32_t epoch, std::int64_t offset);
  // The largest epoch <= `epoch` that has batches, and the offset behind its last one
  // (`log_end` for the newest). As Kafka answers OffsetForLeaderEpoch: an epoch older than all that
  // are known ends where the oldest known one starts; {-1, -1} when nothing is known at all.
  struct End {
    std::int32_t epoch = -1;
    std::int64_t end_offset = -1;
  };
  End end_of(std::int32_t epoch, std::int64_t log_end) const;
  // The epoch of the batch at `offset`, -1 when unknown.
  std::int32_t epoch_at(std::int64_t offset) const;
  std::int32_t newest() const;  // -1 when empty
  // Keeps what is needed for offsets >= log_start; the oldest then starts there.
  void trim_front(std::int64_t log_start);
  // Drops what starts at or behind end_offset.
  void truncate(std::int64_t end_offset);

  const std::vector<EpochStart>& entries() const { return entries_; }
  // From a checkpoint. An entry that goes back is left out.
  void restore(std::vector<EpochStart> entries);

 private:
  std::vector<EpochStart> entries_;  // epochs and offsets both grow
};

}  // namespace tailrace::log
