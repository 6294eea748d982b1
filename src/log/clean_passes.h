// CleanPasses: which compaction passes a partition has seen, and so, how long its tombstones still
// have to stay.
//
// A tombstone may go when delete.retention.ms has passed since the pass that first cleaned it:
// until then a reader that had seen the deleted record will meet the deletion. Kafka (KIP-534)
// writes the horizon into the batch, in place of its base timestamp, and so has to make every such
// batch anew.
// Here the passes themselves are remembered, beside the segments in the checkpoint: batches stay as
// they are, the swap of the files and what is said of them are one thing, and a changed
// delete.retention.ms holds for what was cleaned already.
//
// Passes close to each other are counted as one, with the time of the later: a tombstone stays a
// little longer than it must, never shorter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tailrace::log {

struct CleanPass {
  std::int64_t end_offset = 0;  // exclusive: of what was cleaned first in it
  std::int64_t first_ms = 0;    // wall clock of the first and of the last pass that this stands for
  std::int64_t last_ms = 0;
  std::uint64_t waiting = 0;    // tombstones of its offsets that only wait to go
  friend bool operator==(const CleanPass&, const CleanPass&) = default;
};

class CleanPasses {
 public:
  static constexpr std::size_t passes_max = 64;

  // Records before it have been compacted with each other; 0 at the beginning.
  std::int64_t end_offset() const { return passes_.empty() ? 0 : passes_.back().end_offset; }
  // Tombstones before it need not stay.
  std::int64_t expired_end(std::int64_t delete_retention_ms, std::int64_t wall_ms) const;
  // Something waits that need not.
  bool has_expired(std::int64_t delete_retention_ms, std::int64_t wall_ms) const;

  // Which pass has an offset; size() for one behind all of them.
  std::size_t index_of(std::int64_t offset) const;
  std::size_t size() const { return passes_.size(); }

  // Everything before `end_offset` was cleaned, at wall_ms. `waiting`: what waits now, by
  // index_of() before the call; size() + 1 numbers.
  void add(std::int64_t end_offset, std::int64_t wall_ms, std::int64_t delete_retention_ms,
           std::span<const std::uint64_t> waiting);

  const std::vector<CleanPass>& passes() const { return passes_; }
  // From a checkpoint. A pass that goes back is left out.
  void restore(const std::vector<CleanPass>& passes);

 private:
  void join(std::size_t older);  // with the next one

  std::vector<CleanPass> passes_;  // end offsets grow
};

}  // namespace tailrace::log
